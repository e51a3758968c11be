"""`topdis-gan rtd`: the divergence of two clouds kept in .npy files, with its spread, and their barcode drawn."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.runs.archives import parse_npy
from ganspace_topdis.runs.reading import ReadingError, parsing, read_bytes
from ganspace_topdis.topology.plot import plot_bars
from ganspace_topdis.topology.rtd import RTDScore, rtd_score

__all__ = ["load_cloud", "rtd_of_files"]

_MOST_BYTES = 16 << 30


def rtd_of_files(
    x: Path, y: Path, *, trials: int = 10, batch: int = 500, seed: int = 0, plot: Path | None = None
) -> RTDScore:
    """RTD between the clouds in two .npy files, row i of one belonging to row i of the other.

    Args:
        x: file of an array (N, ...).
        y: likewise, with the same N.
        trials: random subsets.
        batch: points of a subset.
        seed: draws the subsets.
        plot: where the barcode of one subset is drawn; not at all by default.

    Raises:
        InvalidArgumentError: the clouds do not belong together.
        TopdisError: a file cannot be read.
    """
    first, second = load_cloud(x), load_cloud(y)
    score = rtd_score(first, second, trials=trials, batch=batch, seed=seed)
    if plot is not None:
        rows = torch.randperm(len(first), generator=torch.Generator().manual_seed(seed))[:batch]
        plot_bars(first[rows], second[rows], plot, names=(x.stem, y.stem))
    return score


def load_cloud(path: Path) -> Tensor:
    """The array in a .npy file as a float tensor. Nothing in the file is executed.

    Raises:
        TopdisError: the file is missing, no .npy, damaged, or holds objects.
        InvalidArgumentError: the numbers are complex.
    """
    try:
        array = parse_npy(read_bytes(path, _MOST_BYTES))
        if array.dtype.kind == "c":
            raise InvalidArgumentError(f"{path} holds complex numbers; save an array of real ones with numpy.save")
        with parsing():  # a copy, as torch does not take memory that cannot be written
            return torch.from_numpy(
                array.astype(array.dtype if array.dtype in (np.float32, np.float64) else np.float64)
            )
    except ReadingError as error:
        raise TopdisError(f"{path} cannot be read as a .npy file of numbers ({error}); check the path") from error
