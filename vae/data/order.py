"""Checking that a file's labels run through the grid of factors in order, the last one fastest."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from vae.data.catalogue import SetInfo
from vae.data.errors import DataFileError

__all__ = ["require_grid_order", "require_length"]


def require_length(path: Path, info: SetInfo, num_found: int) -> None:
    """Refuse a file with another number of images than the set has.

    Raises:
        DataFileError: it has.
    """
    if num_found != info.num_images:
        raise DataFileError(
            f"{path} has {num_found:,} images, {info.name} has {info.num_images:,}; give the published file"
        )


def require_grid_order(path: Path, info: SetInfo, labels: npt.NDArray) -> None:
    """Refuse labels (N, K), classes or values that grow with them, that are not those of the grid in order.

    Raises:
        DataFileError: they are not.
    """
    codes = np.indices([factor.size for factor in info.factors], dtype=np.int16).reshape(len(info.factors), -1)
    for k, factor in enumerate(info.factors):
        values, ranks = np.unique(labels[:, k], return_inverse=True)
        if len(values) != factor.size or not np.array_equal(ranks.ravel(), codes[k]):
            raise DataFileError(
                f"{path}: the labels of {factor.name} do not run through {factor.size} values in the published order; "
                "give the published file"
            )
