"""The interface of every data set: images by index, and a factor grid behind the indices.

A data set with known factors is a full grid: image i shows the i-th combination of factor values, the last factor
varying fastest, so that codes (one integer per factor) and indices are converted into each other by mixed-radix
arithmetic. If a combination has several images (`images_per_combination`), they are consecutive. A data set without
factors (CelebA) is a plain list of images.

Images are drawn on demand (`ProceduralDataSet`, here) or rows of an array (`vae.data.array_dataset.ArrayDataSet`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.factors import Factor
from vae.data.catalog import DataSetInfo

__all__ = ["DataSet", "Images", "Integers", "ProceduralDataSet", "resize_images"]

Images = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


class DataSet(ABC):
    """Images (H, W, C) with known or unknown factors. A subclass implements `_read`.

    Attributes:
        name: what `open_data` calls it, variations included.
        factors: in the order of the codes, the last one fastest; () if unknown.
        image_shape: (H, W, C).
        fingerprint: changes whenever an image or the sampling changes; a resumed run compares it.
        images_per_combination: images that share a combination of factor values.
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
        """Return contiguous images (n, H, W, C) of valid indices (n,)."""

    def __len__(self) -> int:
        return self._num_images

    @property
    def factor_sizes(self) -> tuple[int, ...]:
        """Number of values of each factor."""
        return tuple(factor.size for factor in self.factors)

    @property
    def independent(self) -> "DataSet":
        """The data set with independent factors: itself, unless it is a correlated one."""
        return self

    def images(self, indices: npt.ArrayLike) -> Images:
        """Return images (n, H, W, C) of indices (n,), values 0 to 255, as a copy.

        Raises:
            InvalidArgumentError: the indices are not integers of shape (n,), or out of range.
        """
        rows = np.asarray(indices)
        if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
            raise InvalidArgumentError(f"indices is {rows.dtype} of shape {rows.shape}; give integers of shape (n,)")
        if not rows.size:
            return np.empty((0, *self.image_shape), np.uint8)
        if rows.min() < 0 or rows.max() >= len(self):
            raise InvalidArgumentError(
                f"indices range from {rows.min()} to {rows.max()}, but {self.name} has images 0 to {len(self) - 1}"
            )
        return self._read(rows.astype(np.int64, copy=False))

    def codes(self, indices: npt.ArrayLike) -> Integers:
        """Return factor codes (n, K) of indices (n,).

        Raises:
            InvalidArgumentError: the factors are unknown.
        """
        self._require_factors()
        combinations = np.asarray(indices, np.int64) // self.images_per_combination
        return np.stack(np.unravel_index(combinations, self.factor_sizes), axis=-1)

    def indices(self, codes: npt.ArrayLike, generator: np.random.Generator | None = None) -> Integers:
        """Return indices (n,) of codes (n, K): the first image of each combination, or with `generator` a random one.

        Raises:
            InvalidArgumentError: the factors are unknown, or a code is out of range.
        """
        self._require_factors()
        rows = np.asarray(codes)
        if rows.ndim != 2 or rows.shape[1] != len(self.factors) or (rows.dtype.kind not in "iu" and rows.size):
            raise InvalidArgumentError(
                f"codes is {rows.dtype} of shape {rows.shape}; "
                f"give integers of shape (n, {len(self.factors)}), one column per factor"
            )
        self._require_in_range(rows)
        combinations = np.ravel_multi_index(tuple(rows.T.astype(np.int64)), self.factor_sizes).astype(np.int64)
        first = combinations * self.images_per_combination
        if generator is None or self.images_per_combination == 1:
            return first
        return first + generator.integers(self.images_per_combination, size=len(first))

    def sample_codes(self, num: int, generator: np.random.Generator) -> Integers:
        """Sample codes (num, K): factors are uniform and independent, unless the data set is a correlated one.

        Raises:
            InvalidArgumentError: the factors are unknown.
        """
        self._require_factors()
        return generator.integers(self.factor_sizes, size=(num, len(self.factors)), dtype=np.int64)

    def sample(self, num: int, generator: np.random.Generator) -> Integers:
        """Sample indices (num,) with replacement; the only source of images in training."""
        if not self.factors:
            return generator.integers(len(self), size=num, dtype=np.int64)
        return self.indices(self.sample_codes(num, generator), generator)

    def _require_factors(self) -> None:
        if not self.factors:
            raise InvalidArgumentError(
                f"{self.name} has no known factors, so it has no codes; choose a data set with factors "
                "(`topdis-gan data list` lists them)"
            )

    def _require_in_range(self, codes: npt.NDArray[np.integer]) -> None:
        if not len(codes):
            return
        for factor, low, high in zip(self.factors, codes.min(axis=0), codes.max(axis=0), strict=True):
            if low < 0 or high >= factor.size:
                raise InvalidArgumentError(
                    f"codes of {factor.name} range from {low} to {high}, but must be 0 to {factor.size - 1}"
                )


class ProceduralDataSet(DataSet):
    """A full factor grid, drawn batch by batch; nothing is stored.

    Args:
        info: the data set.
        draw: codes (n, K) -> images (n, H, W, C).
        version: name and version of the drawing, for the fingerprint.
        draw_rows: codes (n, K) -> the rows of an array that stores the data set; by default the images.
    """

    def __init__(
        self,
        info: DataSetInfo,
        draw: Callable[[Integers], Images],
        *,
        version: str,
        draw_rows: Callable[[Integers], Images] | None = None,
    ) -> None:
        super().__init__(
            name=info.name,
            factors=info.factors,
            image_shape=info.image_shape,
            num_images=info.num_images,
            fingerprint=f"{info.name}:{version}",
        )
        self.version = version
        self.draw_rows = draw if draw_rows is None else draw_rows
        self._draw = draw

    def _read(self, indices: Integers) -> Images:
        return self._draw(self.codes(indices))


def resize_images(
    images: Images, height: int, width: int, method: Image.Resampling = Image.Resampling.LANCZOS
) -> Images:
    """Resize images (n, H, W) or (n, H, W, 3) to height x width; returns them unchanged if they have that size."""
    if images.shape[1:3] == (height, width):
        return images
    resized = [np.asarray(Image.fromarray(image).resize((width, height), method)) for image in images]
    return np.stack(resized)
