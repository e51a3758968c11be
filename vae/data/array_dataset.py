"""Data sets whose images are rows of an array, and the cache of arrays that are slow to make.

`ArrayStore` makes an array once from a slower source (compressed files, drawings) and memory-maps it afterwards. Each
array has its own folder: `images.u8` holds its bytes, `record.json` their SHA-256. The file appears under its name only
when it is complete; if several processes need it, one makes it while the others wait.
"""

import contextlib
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.downloads import cache_folder
from ganspace_topdis.runs.files import FolderLock, lock_holder, sha256_of, write_json
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.runs.reading import read_json
from vae.data.catalog import DataSetInfo
from vae.data.dataset import DataSet, Images, Integers
from vae.data.source_files import DataFileError

__all__ = ["ArrayDataSet", "ArrayStore", "Blocks", "array_shape", "pack_bits"]

Blocks = Callable[[], Iterable[Images]]
"""Yields the blocks of an array in order along its first axis."""

_MAX_VERIFIED_BYTES = 1 << 30
"""Larger files are not checksummed at every opening, only by `topdis-gan data check`."""
_POLL_S = 0.5


class ArrayDataSet(DataSet):
    """A data set whose images are rows of an array in memory, in a memory-mapped file, or packed as bits.

    Args:
        info: the data set.
        array: (N, H, W, C) uint8, or with `info.bits` (N, H W / 8), the first pixel in the highest bit.
        source: identifies the contents, for the fingerprint.
    """

    def __init__(self, info: DataSetInfo, array: Images, *, source: str) -> None:
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


def array_shape(info: DataSetInfo) -> tuple[int, ...]:
    """Return the shape of the array of an `ArrayDataSet`."""
    if info.bits:
        return info.num_images, math.prod(info.image_shape) // 8
    return info.num_images, *info.image_shape


def pack_bits(images: npt.NDArray[np.uint8]) -> Images:
    """Pack images of 0 and 1 into eight pixels per byte: (n, H, W) -> (n, H W / 8)."""
    return np.packbits(images.reshape(len(images), -1), axis=1)


@dataclass(frozen=True, kw_only=True)
class ArrayStore:
    """A cache of arrays. Without a folder, arrays are made anew each time and held in memory.

    Attributes:
        folder: the cache folder.
        progress: called with the number of images while an array is made.
    """

    folder: Path | None = None
    progress: Progress | None = None

    @classmethod
    def in_cache(cls, progress: Progress | None = None) -> "ArrayStore":
        """Return the store in this user's cache folder."""
        return cls(folder=cache_folder() / "data" / "arrays", progress=progress)

    def array(self, key: str, info: DataSetInfo, blocks: Blocks) -> Images:
        """Return the array `key` of a data set, memory-mapped from its file, or made from `blocks`.

        Raises:
            DataFileError: the blocks do not fill the array.
            RunFolderError: the file cannot be written.
        """
        shape = array_shape(info)
        if self.folder is None:
            return _fill(np.empty(shape, np.uint8), self._count(blocks(), shape[0]))
        file = _ArrayFile(folder=self.folder / info.name / key, shape=shape)
        if not file.is_valid():
            with file.locked():
                if not file.is_valid():  # another process may have made it meanwhile
                    file.write(self._count(blocks(), shape[0]))
        return file.map()

    def stored(self, info: DataSetInfo) -> list[tuple[Path, str | None]]:
        """List the files that store arrays of a data set, each with the SHA-256 recorded when it was made."""
        folders = [] if self.folder is None else sorted((self.folder / info.name).glob("*/"))
        files = [_ArrayFile(folder=folder, shape=array_shape(info)) for folder in folders]
        return [(file.path, file.recorded_sha256()) for file in files if file.path.is_file()]

    def _count(self, blocks: Iterable[Images], num_images: int) -> Iterator[Images]:
        done = 0
        for block in blocks:
            yield block
            done += len(block)
            if self.progress is not None:
                self.progress(done, num_images)


@dataclass(frozen=True, kw_only=True)
class _ArrayFile:
    """The file of one array."""

    folder: Path
    shape: tuple[int, ...]

    @property
    def path(self) -> Path:
        return self.folder / "images.u8"

    @property
    def record(self) -> Path:
        return self.folder / "record.json"

    def recorded_sha256(self) -> str | None:
        """Return the SHA-256 recorded beside the file; None if it cannot be read."""
        try:
            return str(read_json(self.record)["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def is_valid(self) -> bool:
        """Whether the file exists with the right size and, unless it is large, the recorded SHA-256."""
        sha256 = self.recorded_sha256()
        if sha256 is None or not self.path.is_file() or self.path.stat().st_size != math.prod(self.shape):
            return False
        return math.prod(self.shape) > _MAX_VERIFIED_BYTES or sha256_of(self.path) == sha256

    def map(self) -> Images:
        return np.memmap(self.path, np.uint8, "r", shape=self.shape)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the folder, waiting for its current holder."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._write_error(error) from error
        lock = _wait_for_lock(self.folder)
        try:
            yield
        finally:
            lock.release()

    def write(self, blocks: Iterable[Images]) -> None:
        """Write all blocks to a temporary file, then rename it."""
        part, digest, num_bytes = self.folder / "unfinished", hashlib.sha256(), 0
        try:
            with part.open("wb") as file:
                for block in blocks:
                    data = np.ascontiguousarray(block).data.cast("B")
                    file.write(data)
                    digest.update(data)
                    num_bytes += len(data)
                file.flush()
                os.fsync(file.fileno())
            _require_full(num_bytes, math.prod(self.shape), "bytes")
            self.record.unlink(missing_ok=True)
            part.replace(self.path)
        except OSError as error:
            raise self._write_error(error) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        write_json(self.record, {"sha256": digest.hexdigest(), "shape": list(self.shape)})

    def _write_error(self, error: OSError) -> RunFolderError:
        return RunFolderError(
            f"cannot write {self.path}: {error.strerror or error}; free {math.prod(self.shape):,} bytes, set "
            "TOPDIS_CACHE to another folder, or read the data set into memory (cache=False)"
        )


def _wait_for_lock(folder: Path) -> FolderLock:
    failures = 0  # in a row without a holder: then waiting does not help
    while True:
        try:
            return FolderLock(folder)
        except RunFolderError:
            failures = failures + 1 if lock_holder(folder) is None else 0
            if failures == 3:
                raise
        time.sleep(_POLL_S)


def _fill(array: Images, blocks: Iterable[Images]) -> Images:
    start = 0
    for block in blocks:
        if start + len(block) <= len(array):
            array[start : start + len(block)] = block
        start += len(block)
    _require_full(start, len(array), "images")
    return array


def _require_full(found: int, expected: int, unit: str) -> None:
    if found != expected:
        raise DataFileError(f"the file is too short or too long ({found:,} of {expected:,} {unit}); fetch it again")
