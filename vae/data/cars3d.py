"""Cars3D from `nips2015-analogy-data.tar.gz`: data/cars/list.txt and one MATLAB file per car, read in one pass.

The array `im` of each file is (128, 128, 3, azimuth 24, elevation 4). Pictures are resized to 64 pixels, as in the
literature. Nothing is extracted to disk, and members that are not cars are skipped.
"""

import io
import math
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ganspace_topdis.runs.reading import reason_of
from vae.data.array_dataset import ArrayDataSet, ArrayStore
from vae.data.catalog import DataSetInfo
from vae.data.dataset import Images, resize_images
from vae.data.source_files import DataFileError, file_fingerprint

__all__ = ["read"]

_CAR = re.compile(r"(?:\./)?(?:data/)?cars/([\w-]{1,60})\.mat")
_LIST = re.compile(r"(?:\./)?(?:data/)?cars/list\.txt")
_SIDE = 128
_MAX_CAR_BYTES = 32 << 20
_MAX_ARCHIVE_BYTES = 8 << 30
_MAX_NAME_BYTES = 1 << 16
_HEADERS = (*tarfile.GNU_TYPES, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


def read(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> ArrayDataSet:
    """Read Cars3D.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    (path,) = files
    source = file_fingerprint(path)
    return ArrayDataSet(info, store.array(source, info, lambda: _grid(path, info)), source=source)


def _grid(path: Path, info: DataSetInfo) -> Iterator[Images]:
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
        flat = np.ascontiguousarray(images).reshape(-1, _SIDE, _SIDE, 3)
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

    shape = (_SIDE, _SIDE, 3, azimuths, elevations)
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
