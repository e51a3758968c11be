"""NumPy's .npy and .npz files and zip archives, read with bounds and without pickle.

A .npy file is a magic number, a dictionary as text (type, order, shape) and the values
(https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html); a .npz file is a zip archive of them.
Nothing that a header says is believed: the values must have exactly the bytes that type and shape take.
"""

import encodings.cp437  # noqa: F401  (zipfile loads it at need; nothing may be imported while a file is read)
import io
import math
import re
import zipfile
from typing import IO, TYPE_CHECKING, Any

from ganspace_topdis.runs.reading import ReadingError, parsing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["NPY_MAGIC", "member_sizes", "open_archive", "parse_npy", "read_member", "read_npy_header"]

NPY_MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 4096
MAX_DIRECTORY_BYTES = 4 << 20
MAX_AXES = 32
LEAST_INFLATED = 64 << 20
MOST_INFLATION = 20
_PIECE = 1 << 20
_ITEM = re.compile(
    r"\s*'(?:(?P<descr>descr)'\s*:\s*'(?P<type>[<>|=]?[biufcSUVO]\d{0,4})'"
    r"|(?P<order>fortran_order)'\s*:\s*(?P<fortran>True|False)"
    r"|(?P<sizes>shape)'\s*:\s*\((?P<shape>[\d, L]{0,800})\))\s*(?:,|$)"
)


def read_npy_header(file: IO[bytes]) -> tuple["np.dtype[Any]", tuple[int, ...], bool, int]:
    """Type, shape, whether it is stored column by column, and the header's own length, read off an open .npy file.

    Raises:
        ReadingError: it is no .npy file, or holds something else than plain numbers.
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
            raise ReadingError("its header has an absurd length, or ends too early")
        name, shape, fortran = _fields(text.decode("latin-1").strip())
        dtype = np.dtype(name)
        if dtype.kind not in "biufc":
            raise ReadingError(f"it holds {'pickled objects' if dtype.hasobject else dtype.name}, and not numbers")
        return dtype, shape, fortran, 8 + size + length


def parse_npy(data: bytes | memoryview) -> "NDArray[Any]":
    """The array in the bytes of a .npy file, on those bytes where their order allows.

    Raises:
        ReadingError: it is no .npy file, damaged, or holds something else than numbers.
    """
    import numpy as np

    with parsing():
        view = memoryview(data)
        dtype, shape, fortran, start = read_npy_header(io.BytesIO(view[: MAX_HEADER_BYTES + 12]))
        if dtype.itemsize * math.prod(shape) != len(view) - start:
            raise ReadingError("its values do not have the bytes that its shape takes")
        flat = np.frombuffer(view, dtype=dtype, offset=start)
        return flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="), copy=False)


def open_archive(data: memoryview) -> zipfile.ZipFile:
    """A zip archive in memory; a list of its members that takes more than 4 MiB is refused.

    Raises:
        ReadingError: it is no archive, damaged, or names a member twice.
    """
    with parsing():
        archive = zipfile.ZipFile(_View(data))
        if len(archive.NameToInfo) != len(archive.infolist()):
            raise ReadingError("a member is there twice")
        return archive


def member_sizes(archive: zipfile.ZipFile) -> dict[str, int]:
    """Names of the arrays in an .npz archive, and their bytes as the archive declares them."""
    return {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}


def read_member(archive: zipfile.ZipFile, name: str) -> "NDArray[Any]":
    """The array `name` of an .npz archive, no byte more inflated than the size of the archive explains.

    Raises:
        ReadingError: it is missing, damaged, encrypted, or would grow beyond all measure.
    """
    with parsing():
        entry = archive.NameToInfo.get(f"{name}.npy") or archive.NameToInfo.get(name)
        if entry is None or entry.flag_bits & 1:
            raise ReadingError("the array is missing, or encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ReadingError("the array is compressed in an unusual way; save it with numpy.savez")
        if entry.file_size > max(LEAST_INFLATED, MOST_INFLATION * entry.compress_size):
            raise ReadingError(f"the array would be inflated to {entry.file_size:,} bytes")
        data = bytearray()
        with archive.open(entry) as file:
            while piece := file.read(_PIECE):  # zipfile never gives more than the declared size
                data += piece
        return parse_npy(memoryview(data))


def _fields(text: str) -> tuple[str, tuple[int, ...], bool]:
    """The three entries of a header, in whatever order; the text is matched and not evaluated."""
    if not text.startswith("{") or not text.endswith("}"):
        raise ReadingError("its header is damaged")
    found: dict[str, str] = {}
    body = text[1:-1].strip()
    position = 0
    while position < len(body):
        item = _ITEM.match(body, position)
        if item is None:
            raise ReadingError("its header is damaged, or describes something else than plain numbers")
        values = {key: item[key] for key in ("type", "fortran", "shape") if item[key] is not None}
        if values.keys() & found.keys():
            raise ReadingError("its header says something twice")
        found |= values
        position = item.end()
    if len(found) != 3:
        raise ReadingError("its header is damaged")
    sizes = [part.strip().removesuffix("L") for part in found["shape"].split(",") if part.strip()]
    if len(sizes) > MAX_AXES or any(not size.isdigit() or len(size) > 15 for size in sizes):
        raise ReadingError("its header has an absurd shape")
    return found["type"], tuple(map(int, sizes)), found["fortran"] == "True"


class _View(io.RawIOBase):
    """A file on a memoryview for `zipfile`, which reads the directory of an archive through it, all at once."""

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
            raise OSError("a position before the start")
        self._position = start + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = len(self._data) if size is None or size < 0 else self._position + size
        if min(end, len(self._data)) - self._position > MAX_DIRECTORY_BYTES:
            raise OSError("a directory of absurd size")
        piece = bytes(self._data[self._position : end])
        self._position += len(piece)
        return piece
