"""The input of every metric: codes (N, D) of finite numbers and factors (N, K), as NumPy arrays or torch tensors.

A factor is discrete when all of its values are whole numbers or text, and continuous otherwise. Metrics that are
defined for discrete factors see a continuous one cut into 20 bins of equal width over its training range.

    constant factor     dropped before every metric: published code returns NaN for it
    missing label       NaN (or text that is empty or "nan"): the row is left out, for every factor
    constant latent     allowed; each metric documents its effect
    NaN in the codes    refused

Data that cannot be scored raise `InvalidArgumentError`; a NaN is never returned.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import check_seed

__all__ = ["Array", "LabeledCodes", "as_array", "as_codes", "check_pair", "check_split", "rng_of", "varying"]

Array: TypeAlias = NDArray[Any]

NUM_BINS = 20
_TEST_SHARE = 1 / 3
_LARGEST = 1e15
"""Sums of squares of larger numbers leave single precision."""
_LARGEST_INTEGER = 2.0**53
_LARGEST_CODE = 1e30
"""Beyond it the networks and regressions of single precision overflow."""


@dataclass(frozen=True, eq=False)
class LabeledCodes:
    """Codes with their factors, checked, and without the factors that are constant.

    Attributes:
        codes: (N, D), finite.
        labels: (N, K) integers: the classes; of a continuous factor, its bins.
        values: (N, K) numbers: the factors as given; of text, the index of its value.
        continuous: (K,) booleans.
        unordered: (K,) booleans: factors given as text.
        columns: (K,) indices among the given factors.
    """

    codes: Array
    labels: Array
    values: Array
    continuous: Array
    unordered: Array
    columns: Array

    @property
    def num_latents(self) -> int:
        """D."""
        return int(self.codes.shape[1])

    @property
    def num_factors(self) -> int:
        """K, constant factors not counted."""
        return int(self.labels.shape[1])

    def rows(self, rows: Array) -> "LabeledCodes":
        """A subset of the rows."""
        return LabeledCodes(
            self.codes[rows], self.labels[rows], self.values[rows], self.continuous, self.unordered, self.columns
        )


def as_array(data: Any) -> Array:
    """`data` as an array; a torch tensor may require a gradient or be on another device."""
    if hasattr(data, "detach"):
        data = data.detach().cpu()
        data = data.float() if str(data.dtype) == "torch.bfloat16" else data
    return np.asarray(data)


def as_codes(codes: ArrayLike, name: str = "codes") -> Array:
    """Codes as a finite floating-point array (N, D); single precision stays single, unless squares would overflow.

    Raises:
        InvalidArgumentError: not numbers, not two-dimensional, fewer than two rows, no columns, or NaN, infinity or
            numbers beyond 1e30 inside.
    """
    array = as_array(codes)
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise InvalidArgumentError(f"{name} must be (N, D) with N >= 2 and D >= 1, got shape {array.shape}")
    if array.dtype.kind not in "fiub":
        raise InvalidArgumentError(f"{name} must be real numbers, not {array.dtype}; give the encoder's means")
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        rows = int((~np.isfinite(array)).any(axis=1).sum())
        raise InvalidArgumentError(f"{name} hold NaN or infinity in {rows} rows; score a model that is finite")
    if (largest := np.abs(array).max()) > _LARGEST_CODE:
        raise InvalidArgumentError(f"{name} hold {largest:.1e}, allowed are 1e30 and less; divide them by a number")
    return array if array.dtype != np.float32 or largest < _LARGEST else array.astype(np.float64)


def rng_of(seed: int) -> np.random.Generator:
    """The random generator of a seed.

    Raises:
        InvalidArgumentError: the seed is no whole number from 0 to `options.MAX_SEED`.
    """
    check_seed(seed)
    return np.random.default_rng(seed)


def varying(codes: Array) -> Array:
    """Which columns (D,) of codes (N, D) are not constant: exactly, where a variance would be that of rounding."""
    return np.asarray(codes.max(axis=0) > codes.min(axis=0))


def check_pair(codes: ArrayLike, factors: ArrayLike, *, min_factors: int = 1, min_latents: int = 1) -> LabeledCodes:
    """Codes and factors of one set.

    Raises:
        InvalidArgumentError: malformed arrays, fewer than two labeled rows, fewer than `min_factors` factors that
            vary, or fewer than `min_latents` latents.
    """
    checked = as_codes(codes)
    values, unordered, known = _as_values([factors], [len(checked)], ["factors"])
    return _labeled(checked[known[0]], values[0], unordered, min_factors, min_latents)


def check_split(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    seed: int = 0,
    min_factors: int = 1,
    min_latents: int = 1,
) -> tuple[LabeledCodes, LabeledCodes]:
    """A training and a test set; without a test set a random third of the rows is held out.

    The training set decides which factors are constant and where bins lie.

    Raises:
        InvalidArgumentError: as `check_pair`, the two sets differ in D or K, or only half of the test set is given.
    """
    if (codes_test is None) != (factors_test is None):
        raise InvalidArgumentError("codes_test and factors_test belong together; give both or neither")
    if codes_test is None or factors_test is None:
        whole = check_pair(codes, factors, min_factors=min_factors, min_latents=min_latents)
        order = rng_of(seed).permutation(len(whole.codes))
        num_test = max(1, round(len(order) * _TEST_SHARE))
        parts = [(whole.codes[rows], whole.values[rows]) for rows in (order[num_test:], order[:num_test])]
        unordered, columns = whole.unordered, whole.columns
    else:
        checked = [as_codes(codes, "codes"), as_codes(codes_test, "codes_test")]
        names, lengths = ["factors", "factors_test"], [len(each) for each in checked]
        values, unordered, known = _as_values([factors, factors_test], lengths, names)
        if checked[0].shape[1] != checked[1].shape[1] or values[0].shape[1] != values[1].shape[1]:
            raise InvalidArgumentError(
                f"training and test sets differ: {checked[0].shape[1]} and {checked[1].shape[1]} latents, "
                f"{values[0].shape[1]} and {values[1].shape[1]} factors; take both from one data set"
            )
        parts = [(each[rows], value) for each, rows, value in zip(checked, known, values, strict=True)]
        columns = np.arange(values[0].shape[1])
    train = _labeled(*parts[0], unordered, min_factors, min_latents)
    return _renamed(train, columns), _renamed(_like(train, *parts[1]), columns)


def _as_values(
    factors: list[ArrayLike], lengths: list[int], names: list[str]
) -> tuple[list[Array], Array, list[Array]]:
    """Numbers (N, K) of each set, which factors are text, and the rows whose labels are all known."""
    arrays = [as_array(each) for each in factors]
    for array, length, name in zip(arrays, lengths, names, strict=True):
        if array.ndim != 2 or array.shape[0] != length or array.shape[1] < 1:
            raise InvalidArgumentError(
                f"{name} must be (N, K) with the codes' N = {length} and K >= 1, got shape {array.shape}"
            )
        if array.dtype.kind not in "fiubUSO":
            raise InvalidArgumentError(f"{name} must be numbers or text, not {array.dtype}")
    if len({array.shape[1] for array in arrays}) > 1:
        return [np.zeros(array.shape) for array in arrays], np.zeros(0, bool), [np.arange(n) for n in lengths]
    stacked = np.concatenate(arrays)
    columns = [_numbers(stacked[:, k]) for k in range(stacked.shape[1])]
    values, bounds = np.stack([numbers for numbers, _ in columns], axis=1), np.cumsum(lengths)[:-1]
    known = [np.flatnonzero(~np.isnan(part).any(axis=1)) for part in np.split(values, bounds)]
    for rows, name in zip(known, names, strict=True):
        if len(rows) < (2 if name == "factors" else 1):
            raise InvalidArgumentError(f"{name}: {len(rows)} rows have every label; give more labeled rows")
    if np.isinf(values).any():
        raise InvalidArgumentError(f"{names[0]} hold infinity; mark a missing label with NaN")
    parts = [part[rows] for part, rows in zip(np.split(values, bounds), known, strict=True)]
    return parts, np.array([text for _, text in columns]), known


def _numbers(column: Array) -> tuple[Array, bool]:
    """A factor as float64 with NaN where it is missing, and whether it is text."""
    if column.dtype.kind not in "USO":
        return column.astype(np.float64), False
    cells = (each.decode("utf-8", "replace") if isinstance(each, bytes) else each for each in column.tolist())
    text = np.array(["" if each is None or each != each else str(each) for each in cells])
    try:
        return np.array([float(each) if each else np.nan for each in text]), False
    except ValueError:
        names, index = np.unique(text, return_inverse=True)
        missing = np.isin(np.char.lower(names), ["", "nan"])[index]
        return np.where(missing, np.nan, index.astype(np.float64)), True


def _labeled(codes: Array, values: Array, unordered: Array, min_factors: int, min_latents: int) -> LabeledCodes:
    varying = np.flatnonzero(values.min(axis=0) != values.max(axis=0))
    if len(varying) < min_factors:
        raise InvalidArgumentError(
            f"{len(varying)} of {values.shape[1]} factors vary, this metric needs at least {min_factors}; "
            "score on data in which more factors change"
        )
    if codes.shape[1] < min_latents:
        raise InvalidArgumentError(
            f"codes have {codes.shape[1]} latents, this metric needs at least {min_latents}; score a larger code"
        )
    chosen = values[:, varying]
    continuous = np.array([not np.array_equal(column, np.rint(column)) for column in chosen.T], dtype=bool)
    for k in np.flatnonzero(~continuous):
        if np.abs(chosen[:, k]).max() >= _LARGEST_INTEGER:
            raise InvalidArgumentError(
                f"factor {varying[k]} holds whole numbers of 2^53 or more, not all of which can be told apart; "
                "number its values from 0"
            )
    labels = _label(chosen, chosen, continuous)
    return LabeledCodes(codes, labels, chosen, continuous, unordered[varying], varying)


def _like(train: LabeledCodes, codes: Array, values: Array) -> LabeledCodes:
    chosen = values[:, train.columns]
    labels = _label(chosen, train.values, train.continuous)
    return LabeledCodes(codes, labels, chosen, train.continuous, train.unordered, train.columns)


def _renamed(data: LabeledCodes, columns: Array) -> LabeledCodes:
    return LabeledCodes(data.codes, data.labels, data.values, data.continuous, data.unordered, columns[data.columns])


def _label(values: Array, range_of: Array, continuous: Array) -> Array:
    """Classes (N, K): whole numbers as they are, others by bins of equal width over the columns of `range_of`."""
    labels = np.rint(values).astype(np.int64)
    for k in np.flatnonzero(continuous):
        edges = np.linspace(range_of[:, k].min(), range_of[:, k].max(), NUM_BINS + 1)[1:-1]
        labels[:, k] = np.digitize(values[:, k], edges)
    return labels
