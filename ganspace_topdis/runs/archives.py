"""Zip archives and NumPy's .npy and .npz files, read under the policy of `runs.reading`: bounded, without pickle.

A .npy file is a magic number, a dictionary as text (type, order, shape) and the values
(https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html); an .npz file is a zip archive of them.
A header is matched, not evaluated, and its values must have exactly the number of bytes that type and shape need.
"""

import encodings.cp437  # noqa: F401  (zipfile imports it on demand; nothing may be imported while a file is read)
import io
import math
import mmap
import re
import struct
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ganspace_topdis.runs.reading import ReadingError, parsing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "NPY_MAGIC",
    "map_file",
    "member_sizes",
    "open_archive",
    "parse_npy",
    "read_member",
    "read_npy_header",
    "stored_member",
]

NPY_MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 4096
MAX_DIRECTORY_BYTES = 4 << 20
MAX_AXES = 32
MIN_INFLATION_LIMIT_BYTES = 64 << 20
MAX_INFLATION = 20
_BLOCK_BYTES = 1 << 20
_ENTRY = re.compile(
    r"\s*'(?:(?P<descr>descr)'\s*:\s*'(?P<type>[<>|=]?[biufcSUVO]\d{0,4})'"
    r"|(?P<order>fortran_order)'\s*:\s*(?P<fortran>True|False)"
    r"|(?P<sizes>shape)'\s*:\s*\((?P<shape>[\d, L]{0,800})\))\s*(?:,|$)"
)


def map_file(path: Path) -> memoryview:
    """Memory-map a file for reading.

    Raises:
        ReadingError: the file is missing or empty, or cannot be mapped.
    """
    with parsing(), path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def open_archive(data: memoryview) -> zipfile.ZipFile:
    """Open a zip archive in memory, with a directory of at most 4 MiB.

    Raises:
        ReadingError: the data are not a zip archive, are damaged, or list a member twice.
    """
    with parsing():
        archive = zipfile.ZipFile(_MemoryFile(data))
        if len(archive.NameToInfo) != len(archive.infolist()):
            raise ReadingError("a member is listed twice")
        return archive


def stored_member(data: memoryview, info: zipfile.ZipInfo) -> tuple[int, int]:
    """Return the range [start, end) of an uncompressed member's bytes in its archive `data`.

    Raises:
        ReadingError: the member is compressed or encrypted, has no local header, or ends beyond the archive.
    """
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
        raise ReadingError("a member is compressed or encrypted")
    header = data[info.header_offset : info.header_offset + 30]
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise ReadingError("a member has no header")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    start = info.header_offset + 30 + name_length + extra_length
    if start + info.file_size > len(data):
        raise ReadingError("a member ends beyond the file")
    return start, start + info.file_size


def member_sizes(archive: zipfile.ZipFile) -> dict[str, int]:
    """Return the names of the arrays in an .npz archive, with their declared sizes in bytes."""
    return {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}


def read_member(archive: zipfile.ZipFile, name: str) -> "NDArray[Any]":
    """Read the array `name` of an .npz archive, which may be compressed by up to a factor of 20 (or to 64 MiB).

    Raises:
        ReadingError: the array is missing, damaged, encrypted, or too large when inflated.
    """
    with parsing():
        entry = archive.NameToInfo.get(f"{name}.npy") or archive.NameToInfo.get(name)
        if entry is None or entry.flag_bits & 1:
            raise ReadingError("the array is missing, or encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ReadingError("the array is compressed in an unusual way; save it with numpy.savez")
        if entry.file_size > max(MIN_INFLATION_LIMIT_BYTES, MAX_INFLATION * entry.compress_size):
            raise ReadingError(f"the array would be inflated to {entry.file_size:,} bytes")
        data = bytearray()
        with archive.open(entry) as file:
            while block := file.read(_BLOCK_BYTES):  # zipfile returns at most the declared size
                data += block
        return parse_npy(memoryview(data))


def parse_npy(data: bytes | memoryview) -> "NDArray[Any]":
    """Return the array in the bytes of a .npy file, without a copy if the byte order allows it.

    Raises:
        ReadingError: the data are not a .npy file, are damaged, or hold objects instead of numbers.
    """
    import numpy as np

    with parsing():
        view = memoryview(data)
        dtype, shape, fortran, start = read_npy_header(io.BytesIO(view[: MAX_HEADER_BYTES + 12]))
        if dtype.itemsize * math.prod(shape) != len(view) - start:
            raise ReadingError("its values do not have the number of bytes that its shape needs")
        flat = np.frombuffer(view, dtype=dtype, offset=start)
        return flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="), copy=False)


def read_npy_header(file: IO[bytes]) -> tuple["np.dtype[Any]", tuple[int, ...], bool, int]:
    """Read the header of an open .npy file.

    Returns:
        The type, the shape, whether the order is column-major, and the length of the header in bytes.

    Raises:
        ReadingError: the file is not a .npy file, or holds objects instead of numbers.
    """
    import numpy as np

    with parsing():
        start = file.read(8)
        if start[:6] != NPY_MAGIC or start[6:7] not in (b"\x01", b"\x02", b"\x03"):
            raise ReadingError("it is not a .npy file")
        size = 2 if start[6] == 1 else 4
        length = int.from_bytes(file.read(size), "little")
        text = file.read(length) if length <= MAX_HEADER_BYTES else b""
        if not text or len(text) != length:
            raise ReadingError("its header is too long or truncated")
        name, shape, fortran = _parse_header(text.decode("latin-1").strip())
        dtype = np.dtype(name)
        if dtype.kind not in "biufc":
            raise ReadingError(f"it holds {'pickled objects' if dtype.hasobject else dtype.name}, and not numbers")
        return dtype, shape, fortran, 8 + size + length


def _parse_header(text: str) -> tuple[str, tuple[int, ...], bool]:
    """Return type, shape and column-major order from the text of a header, whose entries may come in any order."""
    if not text.startswith("{") or not text.endswith("}"):
        raise ReadingError("its header is damaged")
    entries: dict[str, str] = {}
    body = text[1:-1].strip()
    position = 0
    while position < len(body):
        match = _ENTRY.match(body, position)
        if match is None:
            raise ReadingError("its header is damaged, or does not describe an array of numbers")
        values = {key: match[key] for key in ("type", "fortran", "shape") if match[key] is not None}
        if values.keys() & entries.keys():
            raise ReadingError("its header has a duplicate entry")
        entries |= values
        position = match.end()
    if len(entries) != 3:
        raise ReadingError("its header is damaged")
    sizes = [size.strip().removesuffix("L") for size in entries["shape"].split(",") if size.strip()]
    if len(sizes) > MAX_AXES or any(not size.isdigit() or len(size) > 15 for size in sizes):
        raise ReadingError("its header has an invalid shape")
    return entries["type"], tuple(map(int, sizes)), entries["fortran"] == "True"


class _MemoryFile(io.RawIOBase):
    """A read-only file over a memoryview, with reads of at most 4 MiB: `zipfile` reads the directory in one call."""

    def __init__(self, data: memoryview) -> None:
        super().__init__()
        self._data, self._position = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._data)}[whence]
        if start + offset < 0:
            raise OSError("negative position")
        self._position = start + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = len(self._data) if size is None or size < 0 else self._position + size
        if min(end, len(self._data)) - self._position > MAX_DIRECTORY_BYTES:
            raise OSError("the directory is too large")
        block = bytes(self._data[self._position : end])
        self._position += len(block)
        return block
