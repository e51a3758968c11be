"""Data sets that lie in an array: in memory, in a file that is mapped into memory, or packed as bits."""

import math

import numpy as np
import numpy.typing as npt

from vae.data.catalogue import SetInfo
from vae.data.dataset import DataSet, Images, Integers

__all__ = ["StoredSet", "array_shape", "packed"]


class StoredSet(DataSet):
    """A set whose images are rows of an array.

    Args:
        info: the set.
        array: (N, H, W, C) uint8, or with `info.bits` (N, H W / 8), the first pixel in the highest bit.
        source: names the contents, for the fingerprint.
    """

    def __init__(self, info: SetInfo, array: Images, *, source: str) -> None:
        super().__init__(
            name=info.name,
            factors=info.factors,
            image_shape=info.image_shape,
            num_images=info.num_images,
            fingerprint=f"{info.name}:{source}",
        )
        assert array.dtype == np.uint8, array.dtype
        assert array.shape == array_shape(info), (array.shape, info)
        self.array = array
        self._bits = info.bits

    def _read(self, indices: Integers) -> Images:
        rows = np.take(self.array, indices, axis=0)
        if not self._bits:
            return np.asarray(rows)
        pixels = np.unpackbits(rows, axis=1)
        return np.negative(pixels, out=pixels).reshape(-1, *self.image_shape)  # 1 becomes 255


def array_shape(info: SetInfo) -> tuple[int, ...]:
    """The shape of the array that a `StoredSet` of this set has."""
    if info.bits:
        return info.num_images, math.prod(info.image_shape) // 8
    return info.num_images, *info.image_shape


def packed(images: npt.NDArray[np.uint8]) -> Images:
    """Images of 0 and 1 with eight pixels a byte: (n, H, W) -> (n, H W / 8)."""
    return np.packbits(images.reshape(len(images), -1), axis=1)
