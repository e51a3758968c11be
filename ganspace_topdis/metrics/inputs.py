"""What every metric takes: codes (N, D) of finite numbers and factors (N, K) of whole numbers.

Constant factors are dropped: they carry no information, and the usual implementations return NaN or raise
on them. Whatever cannot be scored raises `InvalidArgumentError`, so that a NaN never comes back.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["Array", "as_codes", "as_factors", "check_pair", "check_split"]

Array = NDArray[Any]


def as_codes(codes: ArrayLike, name: str = "codes") -> Array:
    """Codes as a finite floating-point array (N, D); single precision stays single.

    Raises:
        InvalidArgumentError: not two-dimensional, fewer than two rows, no columns, or NaN or infinity inside.
    """
    array = np.asarray(codes)
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise InvalidArgumentError(f"{name} must be (N, D) with N >= 2 and D >= 1, got shape {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        rows = int((~np.isfinite(array)).any(axis=1).sum())
        raise InvalidArgumentError(f"{name} hold NaN or infinity in {rows} rows; score a model that is finite")
    return array


def as_factors(factors: ArrayLike, num_rows: int, name: str = "factors") -> Array:
    """Factor values as an integer array (N, K).

    Raises:
        InvalidArgumentError: not two-dimensional, another number of rows than the codes, or values that are
            not whole numbers.
    """
    array = np.asarray(factors)
    if array.ndim != 2 or array.shape[0] != num_rows or array.shape[1] < 1:
        raise InvalidArgumentError(
            f"{name} must be (N, K) with the codes' N = {num_rows} and K >= 1, got shape {array.shape}"
        )
    if np.issubdtype(array.dtype, np.floating) and not np.array_equal(array, np.rint(array)):
        raise InvalidArgumentError(f"{name} must be whole numbers, the indices of the values; discretise them")
    return array.astype(np.int64)


def check_pair(codes: ArrayLike, factors: ArrayLike, *, min_factors: int = 1) -> tuple[Array, Array]:
    """Codes and factors, checked, without the factors that are constant.

    Raises:
        InvalidArgumentError: as `as_codes` and `as_factors`, or fewer than `min_factors` factors vary.
    """
    checked = as_codes(codes)
    values = as_factors(factors, len(checked))
    return checked, values[:, _varying(values, min_factors)]


def check_split(
    codes_train: ArrayLike,
    factors_train: ArrayLike,
    codes_test: ArrayLike,
    factors_test: ArrayLike,
    *,
    min_factors: int = 1,
) -> tuple[Array, Array, Array, Array]:
    """The same for a training and a test set; a factor is constant if it is so in the training set.

    Raises:
        InvalidArgumentError: as `check_pair`, or the two sets differ in D or K.
    """
    x_train, x_test = as_codes(codes_train, "codes_train"), as_codes(codes_test, "codes_test")
    y_train = as_factors(factors_train, len(x_train), "factors_train")
    y_test = as_factors(factors_test, len(x_test), "factors_test")
    if x_train.shape[1] != x_test.shape[1] or y_train.shape[1] != y_test.shape[1]:
        raise InvalidArgumentError(
            f"training and test sets differ: {x_train.shape[1]} and {x_test.shape[1]} latents, "
            f"{y_train.shape[1]} and {y_test.shape[1]} factors; take both from one data set"
        )
    varying = _varying(y_train, min_factors)
    return x_train, y_train[:, varying], x_test, y_test[:, varying]


def _varying(factors: Array, min_factors: int) -> Array:
    varying = factors.min(axis=0) != factors.max(axis=0)
    if varying.sum() < min_factors:
        raise InvalidArgumentError(
            f"{int(varying.sum())} of {factors.shape[1]} factors vary, this metric needs at least {min_factors}; "
            "score on data in which more factors change"
        )
    return varying
