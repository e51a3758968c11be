"""One interface for every data set: images by index, and a grid of factors behind the indices.

A set whose factors are known is a full grid: image i shows the i-th combination of factor values, counted with
the last factor fastest, so that codes (one integer a factor) and indices turn into each other by mixed-radix
arithmetic. Where a combination has several images (`images_per_combination`), they follow one another. A set
without factors (CelebA) is a list of images.
"""

import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.factors import Factor

__all__ = ["DataSet", "Images", "Integers"]

Images = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


class DataSet(ABC):
    """Images (H, W, C) of known or unknown factors. A subclass gives `_read`, everything else follows.

    Attributes:
        name: what `open_data` calls it, variations included.
        factors: in the order of the codes, the last one fastest; () where they are unknown.
        image_shape: (H, W, C).
        fingerprint: changes when any image or the way of sampling changes; a resumed run compares it.
        images_per_combination: images that share one combination of factor values.
    """

    def __init__(
        self,
        *,
        name: str,
        factors: tuple[Factor, ...],
        image_shape: tuple[int, int, int],
        num_images: int,
        fingerprint: str,
    ) -> None:
        combinations = math.prod(factor.size for factor in factors) if factors else num_images
        assert num_images % combinations == 0, (num_images, factors)
        self.name = name
        self.factors = factors
        self.image_shape = image_shape
        self.fingerprint = fingerprint
        self.images_per_combination = num_images // combinations
        self._num_images = num_images

    @abstractmethod
    def _read(self, indices: Integers) -> Images:
        """Images (n, H, W, C), contiguous, of checked indices (n,)."""

    def __len__(self) -> int:
        return self._num_images

    @property
    def factor_sizes(self) -> tuple[int, ...]:
        """How many values each factor takes."""
        return tuple(factor.size for factor in self.factors)

    @property
    def independent(self) -> "DataSet":
        """This set with all its factors independent: itself, unless it is a correlated one."""
        return self

    def images(self, indices: npt.ArrayLike) -> Images:
        """Images (n, H, W, C) of indices (n,), in 0..255 for every set; in an array of their own.

        Raises:
            InvalidArgumentError: the indices are not integers of shape (n,), or leave 0 .. len - 1.
        """
        rows = np.asarray(indices)
        if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
            raise InvalidArgumentError(f"indices is {rows.dtype} of shape {rows.shape}: give integers of shape (n,)")
        if not rows.size:
            return np.empty((0, *self.image_shape), np.uint8)
        if rows.min() < 0 or rows.max() >= len(self):
            raise InvalidArgumentError(
                f"indices reach from {rows.min()} to {rows.max()}: {self.name} has the images 0 to {len(self) - 1}"
            )
        return self._read(rows.astype(np.int64, copy=False))

    def codes(self, indices: npt.ArrayLike) -> Integers:
        """Factor codes (n, K) of indices (n,).

        Raises:
            InvalidArgumentError: the factors are unknown.
        """
        self._require_factors()
        combinations = np.asarray(indices, np.int64) // self.images_per_combination
        return np.stack(np.unravel_index(combinations, self.factor_sizes), axis=-1)

    def indices(self, codes: npt.ArrayLike, generator: np.random.Generator | None = None) -> Integers:
        """Indices (n,) of codes (n, K): the first image of each combination, or with `generator` any of them.

        Raises:
            InvalidArgumentError: the factors are unknown, or a code leaves the grid.
        """
        self._require_factors()
        rows = np.asarray(codes)
        if rows.ndim != 2 or rows.shape[1] != len(self.factors) or (rows.dtype.kind not in "iu" and rows.size):
            raise InvalidArgumentError(
                f"codes is {rows.dtype} of shape {rows.shape}: "
                f"give integers of shape (n, {len(self.factors)}), one column a factor"
            )
        self._check_range(rows)
        combinations = np.ravel_multi_index(tuple(rows.T.astype(np.int64)), self.factor_sizes).astype(np.int64)
        first = combinations * self.images_per_combination
        if generator is None or self.images_per_combination == 1:
            return first
        return first + generator.integers(self.images_per_combination, size=len(first))

    def sample_codes(self, num: int, generator: np.random.Generator) -> Integers:
        """Codes (num, K) drawn as this set draws them: each factor uniform, unless the set is a correlated one.

        Raises:
            InvalidArgumentError: the factors are unknown.
        """
        self._require_factors()
        return generator.integers(self.factor_sizes, size=(num, len(self.factors)), dtype=np.int64)

    def sample(self, num: int, generator: np.random.Generator) -> Integers:
        """Indices (num,) drawn with replacement as this set draws them; the training's one source of images."""
        if not self.factors:
            return generator.integers(len(self), size=num, dtype=np.int64)
        return self.indices(self.sample_codes(num, generator), generator)

    def _require_factors(self) -> None:
        if not self.factors:
            raise InvalidArgumentError(
                f"{self.name} has no known factors, so it has no codes; choose a set with factors "
                "(topdis-gan data list shows them)"
            )

    def _check_range(self, codes: npt.NDArray[np.integer]) -> None:
        if not len(codes):
            return
        for factor, low, high in zip(self.factors, codes.min(axis=0), codes.max(axis=0), strict=True):
            if low < 0 or high >= factor.size:
                raise InvalidArgumentError(
                    f"codes of {factor.name} reach from {low} to {high}: allowed are 0 to {factor.size - 1}"
                )
