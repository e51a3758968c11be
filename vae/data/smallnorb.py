"""SmallNORB from its six gzipped matrices: stereo pairs of 96 x 96 pictures of 50 toys, resized to 64 pixels.

A matrix starts with a magic number (its type), the number of axes and at least three sizes, all little-endian int32.
`dat` holds stereo pairs, of which the left one is used; `cat` the category; `info` the instance, elevation, azimuth (in
steps of 20 degrees, as even numbers) and lighting. The ten toys of a category are not a factor: they are the ten images
of each combination, from both the training and the test set.
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

from ganspace_topdis.runs.reading import reason_of
from vae.data.array_dataset import ArrayDataSet, ArrayStore
from vae.data.catalog import DataSetInfo
from vae.data.dataset import Images, resize_images
from vae.data.source_files import DataFileError, file_fingerprint

__all__ = ["read"]

_TYPES = {0x1E3D4C55: np.dtype(np.uint8), 0x1E3D4C54: np.dtype("<i4")}
_MAX_AXES = 4
_SIDE = 96
_BLOCK = 256


def read(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> ArrayDataSet:
    """Read SmallNORB; `files` are dat, cat and info of the training set, then those of the test set.

    Raises:
        DataFileError: a file is another file, or damaged.
    """
    source = "-".join(file_fingerprint(path) for path in (files[0], files[3]))
    return ArrayDataSet(info, store.array(source, info, lambda: [_grid(info, files)]), source=source)


def _grid(info: DataSetInfo, files: tuple[Path, ...]) -> Images:
    images = np.empty((info.num_images, *info.image_shape), np.uint8)
    filled = np.zeros(info.num_images, bool)
    for pictures, categories, labels in (files[:3], files[3:]):
        rows = _rows(info, categories, labels)
        start = 0
        for block in _left_pictures(pictures, len(rows)):
            height, width, _ = info.image_shape
            images[rows[start : start + len(block)]] = resize_images(block, height, width)[..., None]
            start += len(block)
        filled[rows] = True
    if not filled.all():
        raise DataFileError(
            f"{files[1]} and {files[4]} list only {filled.sum():,} of {info.num_images:,} images; "
            "give the published training and test files"
        )
    return images


def _rows(info: DataSetInfo, categories: Path, labels: Path) -> npt.NDArray[np.int64]:
    """Return the grid index of each picture: category, elevation, azimuth, lighting, then the instance."""
    category = _matrix(categories, 1)
    instance, elevation, azimuth, lighting = _matrix(labels, 2).T
    if len(category) != len(instance):
        raise DataFileError(f"{categories} and {labels} do not belong together; fetch them again")
    sizes = (*(factor.size for factor in info.factors), info.images_per_combination)
    codes = (category, elevation, azimuth // 2, lighting, instance)
    try:
        return np.ravel_multi_index(codes, sizes)
    except ValueError as error:
        raise DataFileError(f"{labels} or {categories} holds labels outside {sizes}; fetch it again") from error


def _left_pictures(path: Path, num_pairs: int) -> Iterator[Images]:
    with _matrix_file(path) as (file, dtype, shape):
        if dtype != np.uint8 or shape != (num_pairs, 2, _SIDE, _SIDE):
            raise DataFileError(
                f"{path} is {dtype} of shape {shape}, expected uint8 of shape {(num_pairs, 2, _SIDE, _SIDE)}"
            )
        for start in range(0, num_pairs, _BLOCK):
            pairs = min(_BLOCK, num_pairs - start)
            yield _read_exactly(path, file, pairs * 2 * _SIDE * _SIDE).reshape(pairs, 2, _SIDE, _SIDE)[:, 0]


def _matrix(path: Path, num_axes: int) -> npt.NDArray[np.int32]:
    """Read a whole matrix of labels: (N,) or (N, 4)."""
    with _matrix_file(path) as (file, dtype, shape):
        plausible = len(shape) == num_axes and shape[1:] in ((), (4,)) and 0 < shape[0] < 1_000_000
        if dtype != np.dtype("<i4") or not plausible:
            raise DataFileError(f"{path} is {dtype} of shape {shape}, expected int32 labels; fetch it again")
        num_bytes = dtype.itemsize * int(np.prod(shape))
        return _read_exactly(path, file, num_bytes).view(dtype).reshape(shape)


@contextmanager
def _matrix_file(path: Path) -> Iterator[tuple[IO[bytes], np.dtype, tuple[int, ...]]]:
    """Open a matrix: the file positioned after its header, type and shape."""
    try:
        with gzip.open(path, "rb") as file:
            magic, num_axes = struct.unpack("<Ii", file.read(8))
            if magic not in _TYPES or not 1 <= num_axes <= _MAX_AXES:
                raise DataFileError(f"{path} is not a matrix in the NORB format; fetch it again")
            stored = max(3, num_axes)
            shape = struct.unpack(f"<{stored}i", file.read(4 * stored))[:num_axes]
            yield file, _TYPES[magic], shape  # type: ignore[misc]
    except (gzip.BadGzipFile, EOFError, struct.error, zlib.error, OSError) as error:
        raise DataFileError(f"{path} is not a gzip file or is damaged ({reason_of(error)}); fetch it again") from error


def _read_exactly(path: Path, file: IO[bytes], num_bytes: int) -> npt.NDArray[np.uint8]:
    data = file.read(num_bytes)
    if len(data) != num_bytes:
        raise DataFileError(f"{path} ends too early; fetch it again")
    return np.frombuffer(data, np.uint8)
