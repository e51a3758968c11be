"""Readers of the sets of objects seen from all sides, Cars3D and SmallNORB; pictures are resized to 64 pixels.

Cars3D     `nips2015-analogy-data.tar.gz`: data/cars/list.txt and one MATLAB file per car, whose array `im` is
           (128, 128, 3, azimuth 24, elevation 4). It is read in one pass, nothing is extracted to disk, and members
           that are not cars are skipped.
SmallNORB  six gzipped matrices, three of the training and three of the test set. A matrix starts with a magic
           number (its type), the number of axes and at least three sizes, all little-endian int32. `dat` holds
           stereo pairs of 96 x 96, of which the left one is used; `cat` the category; `info` the instance,
           elevation, azimuth (in steps of 20 degrees, as even numbers) and lighting. The ten toys of a category are
           not a factor: they are the ten images of each combination, from both sets.
"""

import gzip
import hashlib
import io
import math
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ganspace_topdis.runs.reading import reason_of
from vae.data.array_dataset import ArrayDataSet, ArrayStore
from vae.data.catalog import DataSetInfo
from vae.data.dataset import Images, resize_images
from vae.data.source_files import DataFileError, file_fingerprint

__all__ = ["read_cars3d", "read_smallnorb"]

_CAR = re.compile(r"(?:\./)?(?:data/)?cars/([\w-]{1,60})\.mat")
_LIST = re.compile(r"(?:\./)?(?:data/)?cars/list\.txt")
_CAR_SIDE = 128
_MAX_CAR_BYTES = 32 << 20
_COMPRESSED = 15
_MAX_ARCHIVE_BYTES = 8 << 30
_MAX_NAME_BYTES = 1 << 16
_HEADERS = (*tarfile.GNU_TYPES, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)

_NORB_SIDE = 96
_NORB_TYPES = {0x1E3D4C55: np.dtype(np.uint8), 0x1E3D4C54: np.dtype("<i4")}
_MAX_AXES = 4
_BLOCK = 256


def read_cars3d(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> ArrayDataSet:
    """Read Cars3D.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    (path,) = files
    source = file_fingerprint(path)
    return ArrayDataSet(info, store.array(source, info, lambda: _car_grid(path, info)), source=source)


def _car_grid(path: Path, info: DataSetInfo) -> Iterator[Images]:
    """Yield the images in grid order: elevation, azimuth, car."""
    elevations, azimuths, num_cars = (factor.size for factor in info.factors)
    cars, order = _cars(path, azimuths, elevations, info.image_shape)
    if len(order) != num_cars or not set(order) <= set(cars):
        raise DataFileError(
            f"{path} has {len(cars)} cars and lists {len(order)}, but cars3d has {num_cars}; give the published file"
        )
    by_car = np.stack([cars[name] for name in order])  # car, azimuth, elevation, image
    yield by_car.transpose(2, 1, 0, 3, 4, 5).reshape(info.num_images, *info.image_shape)


def _cars(
    path: Path, azimuths: int, elevations: int, image_shape: tuple[int, int, int]
) -> tuple[dict[str, Images], list[str]]:
    """Return resized pictures (azimuth, elevation, H, W, 3) by car, and the cars in order."""
    cars: dict[str, Images] = {}
    order: list[str] = []
    height, width, _ = image_shape
    for name, data in _members(path):
        if name is None:
            order = [line.strip() for line in data.decode("ascii", "replace").splitlines() if line.strip()]
            continue
        images = np.moveaxis(_matlab_images(path, name, data, azimuths, elevations), (3, 4), (0, 1))
        flat = np.ascontiguousarray(images).reshape(-1, _CAR_SIDE, _CAR_SIDE, 3)
        cars[name] = resize_images(flat, height, width).reshape(azimuths, elevations, *image_shape)
    return cars, order


class _Member(tarfile.TarInfo):
    """A member whose long name or extended header, which tarfile reads as a whole, has a size that names have."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        made = super().frombuf(buf, encoding, errors)
        if made.type in _HEADERS and made.size > _MAX_NAME_BYTES:
            raise tarfile.ReadError("a name of absurd length")
        return made


def _members(path: Path) -> Iterator[tuple[str | None, bytes]]:
    """Yield (name, bytes) of every car, and (None, bytes) of the list."""
    total = 0
    try:
        with tarfile.open(path, "r|gz", tarinfo=_Member) as archive:
            for member in archive:
                total += member.size
                if total > _MAX_ARCHIVE_BYTES:
                    raise DataFileError(
                        f"{path} unpacks to more than {_MAX_ARCHIVE_BYTES:,} bytes; give the published file"
                    )
                car = _CAR.fullmatch(member.name)
                if not member.isreg() or not (car or _LIST.fullmatch(member.name)):
                    continue
                if member.size > _MAX_CAR_BYTES:
                    raise DataFileError(
                        f"{path}: {member.name} has {member.size:,} bytes, more than any car; give the published file"
                    )
                file = archive.extractfile(member)
                assert file is not None, member
                data = file.read()
                if len(data) != member.size:
                    raise EOFError(f"{member.name} ends too early")
                yield (car.group(1) if car else None), data
    except DataFileError:
        raise
    except Exception as error:  # tarfile raises many types for damaged archives
        raise DataFileError(
            f"{path} is not a .tar.gz archive or is damaged ({reason_of(error)}); get it again"
        ) from error


def _matlab_images(path: Path, name: str, data: bytes, azimuths: int, elevations: int) -> Images:
    """Return the validated array `im` of one MATLAB file; nothing else in it is read."""
    from scipy.io import loadmat, whosmat

    shape = (_CAR_SIDE, _CAR_SIDE, 3, azimuths, elevations)
    if _inflated_bytes(data) > _MAX_CAR_BYTES:
        raise DataFileError(
            f"{path}: {name} unpacks to more than {_MAX_CAR_BYTES:,} bytes, more than any car; give the published file"
        )
    try:
        found: list[Any] = [entry for entry in whosmat(io.BytesIO(data)) if entry[0] == "im"]
        if not found or found[0][1:] != (shape, "uint8"):
            kind = f"{found[0][2]} of shape {found[0][1]}" if found else "missing"
            raise DataFileError(f"{path}: im of {name} is {kind}, expected uint8 of shape {shape}")
        images: Images = loadmat(io.BytesIO(data), variable_names=["im"])["im"]
    except DataFileError:
        raise
    except Exception as error:  # scipy raises many types for damaged files
        raise DataFileError(f"{path}: {name} is not a MATLAB file or is damaged; get it again") from error
    assert images.nbytes == math.prod(shape), images.shape
    return images


def _inflated_bytes(data: bytes) -> int:
    """The bytes of the compressed elements of a MATLAB file of version 5, counted up to `_MAX_CAR_BYTES` + 1."""
    order = ">" if data[126:128] == b"MI" else "<"
    place, total = 128, 0
    while place + 8 <= len(data) and total <= _MAX_CAR_BYTES:
        kind, size = struct.unpack_from(f"{order}II", data, place)
        place += 8
        if kind == _COMPRESSED:
            inflater = zlib.decompressobj()
            with suppress(zlib.error):  # damage is reported by the reader
                total += len(inflater.decompress(data[place : place + size], _MAX_CAR_BYTES + 1))
        place += size
    return total


def read_smallnorb(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> ArrayDataSet:
    """Read SmallNORB; `files` are dat, cat and info of the training set, then those of the test set.

    Raises:
        DataFileError: a file is another file, or damaged.
    """
    source = hashlib.sha256("".join(file_fingerprint(path) for path in files).encode()).hexdigest()[:33]
    return ArrayDataSet(info, store.array(source, info, lambda: [_norb_grid(info, files)]), source=source)


def _norb_grid(info: DataSetInfo, files: tuple[Path, ...]) -> Images:
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
        if dtype != np.uint8 or shape != (num_pairs, 2, _NORB_SIDE, _NORB_SIDE):
            raise DataFileError(
                f"{path} is {dtype} of shape {shape}, expected uint8 of shape {(num_pairs, 2, _NORB_SIDE, _NORB_SIDE)}"
            )
        for start in range(0, num_pairs, _BLOCK):
            block = (min(_BLOCK, num_pairs - start), *shape[1:])
            yield _read_exactly(path, file, math.prod(block)).reshape(block)[:, 0]


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
            if magic not in _NORB_TYPES or not 1 <= num_axes <= _MAX_AXES:
                raise DataFileError(f"{path} is not a matrix in the NORB format; fetch it again")
            stored = max(3, num_axes)
            shape = struct.unpack(f"<{stored}i", file.read(4 * stored))[:num_axes]
            yield file, _NORB_TYPES[magic], shape  # type: ignore[misc]
    except (gzip.BadGzipFile, EOFError, struct.error, zlib.error, OSError) as error:
        raise DataFileError(f"{path} is not a gzip file or is damaged ({reason_of(error)}); fetch it again") from error


def _read_exactly(path: Path, file: IO[bytes], num_bytes: int) -> npt.NDArray[np.uint8]:
    data = file.read(num_bytes)
    if len(data) != num_bytes:
        raise DataFileError(f"{path} ends too early; fetch it again")
    return np.frombuffer(data, np.uint8)
