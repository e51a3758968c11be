"""`topdis-gan rtd`: the divergence of two clouds kept in .npy files, with its spread, and their barcode drawn."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.topology.plot import plot_bars
from ganspace_topdis.topology.rtd import RTDScore, rtd_score

__all__ = ["load_cloud", "rtd_of_files"]


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
        TopdisError: the file is missing, no .npy, or holds objects.
        InvalidArgumentError: the array is not numeric.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TopdisError(f"{path} cannot be read as a .npy file of numbers ({error}); check the path") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise InvalidArgumentError(f"{path} holds no array of real numbers; save one with numpy.save")
    return torch.from_numpy(array if array.dtype in (np.float32, np.float64) else array.astype(np.float64))
