"""Arrays in NumPy's .npz archives, read without pickle: mapped where they are stored, streamed where compressed.

An .npz file is a zip archive of .npy files. Nothing is believed: only the named member is opened, its header must
declare exactly the type and shape that the caller expects, and no more bytes than those are ever inflated.
"""

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.runs.archives import read_npy_header
from ganspace_topdis.runs.reading import ReadingError
from vae.data.errors import DataFileError, one_line

__all__ = ["NpzMember", "open_member"]

_MAX_MEMBERS = 1000


@dataclass(frozen=True)
class NpzMember:
    """One checked array of an .npz file.

    Attributes:
        path: the archive.
        key: the array's name, without ".npy".
        dtype, shape: as its header declares them.
        offset: of its first value in the file, where it lies there uncompressed; None where it does not.
    """

    path: Path
    key: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int | None

    def mapped(self) -> npt.NDArray:
        """The whole array, mapped from the file. Only for members with an offset."""
        assert self.offset is not None, self
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)

    def blocks(self, num_rows: int = 1024) -> Iterator[npt.NDArray]:
        """The array in pieces of `num_rows` rows, inflated as it is read.

        Raises:
            DataFileError: the archive is damaged or ends too early.
        """
        row_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        with _archive(self.path) as archive, archive.open(f"{self.key}.npy") as file:
            _read_header(file, self.path, self.key)
            for start in range(0, self.shape[0], num_rows):
                rows = min(num_rows, self.shape[0] - start)
                data = file.read(rows * row_bytes)
                if len(data) != rows * row_bytes:
                    raise DataFileError(f"{self.path} is damaged: {self.key} ends too early; fetch it again")
                yield np.frombuffer(data, self.dtype).reshape(rows, *self.shape[1:])
            file.read(1)  # at the end of the member its checksum is compared


def open_member(path: Path, key: str, dtype: npt.DTypeLike, row_shape: tuple[int, ...]) -> NpzMember:
    """Find the array `key` in the .npz file `path`; its first axis may have any length.

    Raises:
        DataFileError: the file is no .npz, has no such array, or one of another type or shape.
    """
    with _archive(path) as archive:
        names = [info.filename for info in archive.infolist()]
        if len(names) > _MAX_MEMBERS:
            raise DataFileError(f"{path} has {len(names)} members, which no such data set has; give another file")
        if f"{key}.npy" not in names:
            held = ", ".join(name.removesuffix(".npy") for name in names[:8]) or "nothing"
            raise DataFileError(f"{path} has no array {key!r} (it holds {held}); give the published file")
        info = archive.getinfo(f"{key}.npy")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataFileError(f"{path}: {key} is encrypted or compressed in an unknown way; give the published file")
        with archive.open(info) as file:
            found_dtype, shape, header_bytes = _read_header(file, path, key)
    if found_dtype != np.dtype(dtype) or len(shape) != 1 + len(row_shape) or shape[1:] != row_shape:
        expected = ", ".join(map(str, ("N", *row_shape)))
        raise DataFileError(
            f"{path}: {key} is {found_dtype} of shape {shape}, expected is {np.dtype(dtype)} ({expected}); "
            "give the published file"
        )
    num_bytes = header_bytes + found_dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if info.file_size != num_bytes:
        raise DataFileError(
            f"{path}: {key} says it has {info.file_size:,} bytes, its shape takes {num_bytes:,}; fetch it again"
        )
    offset = None
    if info.compress_type == zipfile.ZIP_STORED:
        offset = _content_offset(path, info) + header_bytes
    return NpzMember(path, key, found_dtype, shape, offset)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except TopdisError:
        raise
    except Exception as error:  # zipfile and numpy raise half a dozen kinds for damaged files
        raise DataFileError(f"{path} is no .npz file or is damaged ({one_line(error)}); fetch it again") from error


def _read_header(file: IO[bytes], path: Path, key: str) -> tuple[np.dtype, tuple[int, ...], int]:
    """Type, shape and length of a .npy header; pickled objects are refused by their type."""
    try:
        dtype, shape, fortran, start = read_npy_header(file)
    except ReadingError as error:
        raise DataFileError(f"{path}: {key} cannot be read ({error}); give the published file") from error
    if fortran and len(shape) > 1:
        raise DataFileError(f"{path}: {key} is stored column by column; give the published file")
    return dtype, shape, start


def _content_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: after its local header, whose extra field may differ from the directory's."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(30)
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise DataFileError(f"{path} is damaged: a member without its header; fetch it again")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    start = info.header_offset + 30 + name_length + extra_length
    if start + info.file_size > path.stat().st_size:
        raise DataFileError(f"{path} is damaged: a member ends after the file; fetch it again")
    return int(start)
