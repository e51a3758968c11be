"""Cars3D from `nips2015-analogy-data.tar.gz`: data/cars/list.txt and a MATLAB file a car, read in one pass.

Each file's `im` is (128, 128, 3, azimuth 24, elevation 4); pictures are reduced to 64 pixels, as the literature
does. Nothing is extracted to disk: members that are no car are passed over.
"""

import io
import math
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vae.data.array_store import ArrayStore
from vae.data.catalogue import SetInfo
from vae.data.dataset import Images
from vae.data.errors import DataFileError, one_line
from vae.data.pictures import resized
from vae.data.stored import StoredSet
from vae.data.sums import fingerprint_of

__all__ = ["read"]

_CAR = re.compile(r"(?:\./)?(?:data/)?cars/([\w-]{1,60})\.mat")
_LIST = re.compile(r"(?:\./)?(?:data/)?cars/list\.txt")
_SIDE = 128
_MAX_CAR_BYTES = 32 << 20
_MAX_ARCHIVE_BYTES = 8 << 30
_MAX_NAME_BYTES = 1 << 16
_HEADERS = (*tarfile.GNU_TYPES, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


def read(info: SetInfo, files: tuple[Path, ...], store: ArrayStore) -> StoredSet:
    """Cars3D.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    (path,) = files
    source = fingerprint_of(path)
    return StoredSet(info, store.array(source, info, lambda: _grid(path, info)), source=source)


def _grid(path: Path, info: SetInfo) -> Iterator[Images]:
    """The images in the order of the grid: elevation, azimuth, car."""
    elevations, azimuths, num_cars = (factor.size for factor in info.factors)
    cars, order = _cars(path, azimuths, elevations, info.image_shape)
    if len(order) != num_cars or not set(order) <= set(cars):
        raise DataFileError(
            f"{path} has {len(cars)} cars and lists {len(order)}, cars3d has {num_cars}; give the published file"
        )
    by_car = np.stack([cars[name] for name in order])  # car, azimuth, elevation, image
    yield by_car.transpose(2, 1, 0, 3, 4, 5).reshape(info.num_images, *info.image_shape)


def _cars(
    path: Path, azimuths: int, elevations: int, image_shape: tuple[int, int, int]
) -> tuple[dict[str, Images], list[str]]:
    """Reduced pictures (azimuth, elevation, H, W, 3) by name, and the names in order."""
    cars: dict[str, Images] = {}
    order: list[str] = []
    height, width, _ = image_shape
    for name, data in _members(path):
        if name is None:
            order = [line.strip() for line in data.decode("ascii", "replace").splitlines() if line.strip()]
            continue
        images = np.moveaxis(_matlab_images(path, name, data, azimuths, elevations), (3, 4), (0, 1))
        flat = np.ascontiguousarray(images).reshape(-1, _SIDE, _SIDE, 3)
        cars[name] = resized(flat, height, width).reshape(azimuths, elevations, *image_shape)
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
    """Name and bytes of every car; None and the list's text."""
    total = 0
    try:
        with tarfile.open(path, "r|gz", tarinfo=_Member) as archive:
            for member in archive:
                total += member.size
                if total > _MAX_ARCHIVE_BYTES:
                    raise DataFileError(f"{path} unpacks to more than {_MAX_ARCHIVE_BYTES:,} bytes; it is refused")
                car = _CAR.fullmatch(member.name)
                if not member.isreg() or not (car or _LIST.fullmatch(member.name)):
                    continue
                if member.size > _MAX_CAR_BYTES:
                    raise DataFileError(f"{path}: {member.name} has {member.size:,} bytes, which no car takes")
                file = archive.extractfile(member)
                assert file is not None, member
                data = file.read()
                if len(data) != member.size:
                    raise EOFError(f"{member.name} ends too early")
                yield (car.group(1) if car else None), data
    except DataFileError:
        raise
    except Exception as error:  # tarfile raises half a dozen kinds for damaged archives
        raise DataFileError(f"{path} is no .tar.gz archive or is damaged ({one_line(error)}); get it again") from error


def _matlab_images(path: Path, name: str, data: bytes, azimuths: int, elevations: int) -> Images:
    """The checked array `im` of one MATLAB file; nothing else of it is read."""
    from scipy.io import loadmat, whosmat

    shape = (_SIDE, _SIDE, 3, azimuths, elevations)
    try:
        found: list[Any] = [entry for entry in whosmat(io.BytesIO(data)) if entry[0] == "im"]
        if not found or found[0][1:] != (shape, "uint8"):
            kind = f"{found[0][2]} of shape {found[0][1]}" if found else "missing"
            raise DataFileError(f"{path}: im of {name} is {kind}, expected is uint8 of shape {shape}")
        images: Images = loadmat(io.BytesIO(data), variable_names=["im"])["im"]
    except DataFileError:
        raise
    except Exception as error:  # scipy raises half a dozen kinds for damaged files
        raise DataFileError(f"{path}: {name} is no MATLAB file or is damaged; get it again") from error
    assert images.nbytes == math.prod(shape), images.shape
    return images
