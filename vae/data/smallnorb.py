"""SmallNORB from its six gzipped matrices: pairs of 96 x 96 pictures of 50 toys, reduced to 64 pixels.

A matrix starts with a magic number (its type), the number of axes and at least three sizes, all little-endian
int32. `dat` holds stereo pairs, of which the left is taken, `cat` the category, `info` the instance, elevation,
azimuth (in steps of 20 degrees, written as even numbers) and lighting. The ten toys of a category are no factor:
they are the ten images of each combination, from training and test set alike.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from vae.data.array_store import ArrayStore
from vae.data.catalogue import SetInfo
from vae.data.dataset import Images
from vae.data.errors import DataFileError, one_line
from vae.data.pictures import resized
from vae.data.stored import StoredSet
from vae.data.sums import fingerprint_of

__all__ = ["read"]

_TYPES = {0x1E3D4C55: np.dtype(np.uint8), 0x1E3D4C54: np.dtype("<i4")}
_MAX_AXES = 4
_SIDE = 96
_BLOCK = 256


def read(info: SetInfo, files: tuple[Path, ...], store: ArrayStore) -> StoredSet:
    """SmallNORB; `files` are dat, cat and info of the training set and the same of the test set.

    Raises:
        DataFileError: a file is another one, or damaged.
    """
    source = "-".join(fingerprint_of(path) for path in (files[0], files[3]))
    return StoredSet(info, store.array(source, info, lambda: [_grid(info, files)]), source=source)


def _grid(info: SetInfo, files: tuple[Path, ...]) -> Images:
    images = np.empty((info.num_images, *info.image_shape), np.uint8)
    filled = np.zeros(info.num_images, bool)
    for pictures, categories, labels in (files[:3], files[3:]):
        rows = _rows(info, categories, labels)
        start = 0
        for block in _left_pictures(pictures, len(rows)):
            height, width, _ = info.image_shape
            images[rows[start : start + len(block)]] = resized(block, height, width)[..., None]
            start += len(block)
        filled[rows] = True
    if not filled.all():
        raise DataFileError(
            f"{files[1]} and {files[4]} name {filled.sum():,} of {info.num_images:,} toys and views; "
            "give the published training and test files"
        )
    return images


def _rows(info: SetInfo, categories: Path, labels: Path) -> npt.NDArray[np.int64]:
    """The place of each picture in the grid: category, elevation, azimuth, lighting, then the instance."""
    category = _matrix(categories, 1)
    instance, elevation, azimuth, lighting = _matrix(labels, 2).T
    if len(category) != len(instance):
        raise DataFileError(f"{categories} and {labels} do not belong together; fetch them again")
    sizes = (*(factor.size for factor in info.factors), info.images_per_combination)
    codes = (category, elevation, azimuth // 2, lighting, instance)
    try:
        return np.ravel_multi_index(codes, sizes)
    except ValueError as error:
        raise DataFileError(f"{labels} or {categories} holds labels outside of {sizes}; fetch it again") from error


def _left_pictures(path: Path, num_pairs: int) -> Iterator[Images]:
    with _matrix_file(path) as (file, dtype, shape):
        if dtype != np.uint8 or shape != (num_pairs, 2, _SIDE, _SIDE):
            raise DataFileError(
                f"{path} is {dtype} of shape {shape}, expected is uint8 of shape {(num_pairs, 2, _SIDE, _SIDE)}"
            )
        for start in range(0, num_pairs, _BLOCK):
            pairs = min(_BLOCK, num_pairs - start)
            yield _exactly(path, file, pairs * 2 * _SIDE * _SIDE).reshape(pairs, 2, _SIDE, _SIDE)[:, 0]


def _matrix(path: Path, num_axes: int) -> npt.NDArray[np.int32]:
    """A whole matrix of labels: (N,) or (N, 4)."""
    with _matrix_file(path) as (file, dtype, shape):
        plausible = len(shape) == num_axes and shape[1:] in ((), (4,)) and 0 < shape[0] < 1_000_000
        if dtype != np.dtype("<i4") or not plausible:
            raise DataFileError(f"{path} is {dtype} of shape {shape}, expected is int32 labels; fetch it again")
        num_bytes = dtype.itemsize * int(np.prod(shape))
        return _exactly(path, file, num_bytes).view(dtype).reshape(shape)


@contextmanager
def _matrix_file(path: Path) -> Iterator[tuple[IO[bytes], np.dtype, tuple[int, ...]]]:
    """The open file behind its header, with type and shape."""
    try:
        with gzip.open(path, "rb") as file:
            magic, num_axes = struct.unpack("<Ii", file.read(8))
            if magic not in _TYPES or not 1 <= num_axes <= _MAX_AXES:
                raise DataFileError(f"{path} is no matrix of the NORB format; fetch it again")
            stored = max(3, num_axes)
            shape = struct.unpack(f"<{stored}i", file.read(4 * stored))[:num_axes]
            yield file, _TYPES[magic], shape  # type: ignore[misc]
    except (gzip.BadGzipFile, EOFError, struct.error, zlib.error, OSError) as error:
        raise DataFileError(f"{path} is no gzip file or is damaged ({one_line(error)}); fetch it again") from error


def _exactly(path: Path, file: IO[bytes], num_bytes: int) -> npt.NDArray[np.uint8]:
    data = file.read(num_bytes)
    if len(data) != num_bytes:
        raise DataFileError(f"{path} ends too early; fetch it again")
    return np.frombuffer(data, np.uint8)
