"""Arrays that are made once from slower sources (compressed files, drawings) and mapped from the cache afterwards.

An array of a set has a folder of its own: `images.u8` with its bytes, `record.json` with their SHA-256. The file
takes its place only when it is whole, and of several processes that want it one makes it and the others wait.
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

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.downloads import cache_folder
from ganspace_topdis.runs.files import sha256_of, write_json
from ganspace_topdis.runs.lock import FolderLock, lock_holder
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.runs.reading import read_json
from vae.data.catalogue import SetInfo
from vae.data.dataset import Images
from vae.data.errors import DataFileError
from vae.data.stored import array_shape

__all__ = ["ArrayStore", "Blocks"]

Blocks = Callable[[], Iterable[Images]]
"""Makes the pieces of an array, in order along its first axis."""

_CHECKED_BYTES = 1 << 30
"""Larger files are not summed at every opening, only by `topdis-gan data check`."""
_POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class ArrayStore:
    """Arrays made once. Without a folder they are made anew each time and kept in memory.

    Attributes:
        folder: where they are kept.
        progress: called with images while an array is made.
    """

    folder: Path | None = None
    progress: Progress | None = None

    @classmethod
    def in_cache(cls, progress: Progress | None = None) -> "ArrayStore":
        """The store in the cache folder of this user."""
        return cls(folder=cache_folder() / "data" / "arrays", progress=progress)

    def array(self, key: str, info: SetInfo, blocks: Blocks) -> Images:
        """The array called `key` of a set, mapped from its file, or made of `blocks`.

        Raises:
            DataFileError: the blocks do not fill the array.
            RunFolderError: the file cannot be written.
        """
        shape = array_shape(info)
        if self.folder is None:
            return _filled(np.empty(shape, np.uint8), self._counted(blocks(), shape[0]))
        file = _ArrayFile(folder=self.folder / info.name / key, shape=shape)
        if not file.is_good():
            with file.held():
                if not file.is_good():  # another process may have made it meanwhile
                    file.write(self._counted(blocks(), shape[0]))
        return file.mapped()

    def kept(self, info: SetInfo) -> list[tuple[Path, str | None]]:
        """The files that keep arrays of this set, each with the SHA-256 taken when it was made."""
        folders = [] if self.folder is None else sorted((self.folder / info.name).glob("*/"))
        files = [_ArrayFile(folder=folder, shape=array_shape(info)) for folder in folders]
        return [(file.path, file.recorded_sum()) for file in files if file.path.is_file()]

    def _counted(self, blocks: Iterable[Images], num_images: int) -> Iterator[Images]:
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

    def recorded_sum(self) -> str | None:
        """The SHA-256 that was written beside the file; None where it cannot be read."""
        try:
            return str(read_json(self.record)["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def is_good(self) -> bool:
        """Whether the file is there, of the right size and, unless it is large, of the recorded sum."""
        sha256 = self.recorded_sum()
        if sha256 is None or not self.path.is_file() or self.path.stat().st_size != math.prod(self.shape):
            return False
        return math.prod(self.shape) > _CHECKED_BYTES or sha256_of(self.path) == sha256

    def mapped(self) -> Images:
        return np.memmap(self.path, np.uint8, "r", shape=self.shape)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder, after whoever holds it now."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        lock = _waited_lock(self.folder)
        try:
            yield
        finally:
            lock.release()

    def write(self, blocks: Iterable[Images]) -> None:
        """Write all blocks beside the file, then put them in its place."""
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
            _require_full(num_bytes, math.prod(self.shape))
            self.record.unlink(missing_ok=True)
            part.replace(self.path)
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        write_json(self.record, {"sha256": digest.hexdigest(), "shape": list(self.shape)})

    def _unwritable(self, error: OSError) -> RunFolderError:
        return RunFolderError(
            f"cannot write {self.path}: {error.strerror or error}; free {math.prod(self.shape):,} bytes, set "
            "TOPDIS_CACHE to another folder, or read the set into memory (cache=False)"
        )


def _waited_lock(folder: Path) -> FolderLock:
    free = 0  # times in a row that the lock failed although nobody held it: it is not a matter of waiting
    while True:
        try:
            return FolderLock(folder)
        except RunFolderError:
            free = free + 1 if lock_holder(folder) is None else 0
            if free == 3:
                raise
        time.sleep(_POLL_S)


def _filled(array: Images, blocks: Iterable[Images]) -> Images:
    start = 0
    for block in blocks:
        if start + len(block) > len(array):
            break
        array[start : start + len(block)] = block
        start += len(block)
    _require_full(start, len(array))
    return array


def _require_full(found: int, expected: int) -> None:
    if found != expected:
        raise DataFileError(f"the file ends too early or goes on too long ({found:,} of {expected:,}); fetch it again")
