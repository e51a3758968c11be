"""Data sets that lie in an array: in memory, in a file that is mapped into memory, or packed as bits.

`ArrayStore` keeps arrays that were made once from slower sources (compressed files, drawings) in the cache folder,
one flat file each, with its SHA-256 beside it; a file takes its place only when it is whole.
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.downloads import cache_folder
from ganspace_topdis.runs.files import sha256_of, write_json
from ganspace_topdis.runs.progress import Progress
from vae.data.catalogue import SetInfo
from vae.data.dataset import DataSet, Images, Integers
from vae.data.errors import DataFileError

__all__ = ["ArrayStore", "Blocks", "StoredSet", "array_shape", "packed"]

Blocks = Callable[[], Iterable[Images]]
"""Makes the pieces of an array, in order along its first axis."""

_CHECKED_BYTES = 1 << 30
"""Larger files are not summed at every opening, only by `topdis-gan data check`."""


class StoredSet(DataSet):
    """A set whose images are rows of an array.

    Args:
        info: the set.
        array: (N, H, W, C) uint8, or with `info.bits` (N, H W / 8), the first pixel in the highest bit.
        source: names the contents, for the fingerprint.
    """

    def __init__(self, info: SetInfo, array: Images, *, source: str) -> None:
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


def array_shape(info: SetInfo) -> tuple[int, ...]:
    """The shape of the array that a `StoredSet` of this set has."""
    if info.bits:
        return info.num_images, math.prod(info.image_shape) // 8
    return info.num_images, *info.image_shape


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
        """The array called `key`, mapped from its file, or made of `blocks`.

        Raises:
            DataFileError: the blocks do not fill the array.
            RunFolderError: the file cannot be written.
        """
        shape = array_shape(info)
        if self.folder is None:
            return _filled(np.empty(shape, np.uint8), self._counted(blocks(), shape[0]))
        file = _ArrayFile(path=self.folder / f"{info.name}-{key}.u8", shape=shape)
        if not file.is_good():
            file.write(self._counted(blocks(), shape[0]))
        return file.mapped()

    def file_of(self, key: str, info: SetInfo) -> Path | None:
        """The file that keeps the array called `key`, if it was made."""
        path = None if self.folder is None else self.folder / f"{info.name}-{key}.u8"
        return path if path is not None and path.is_file() else None

    def kept(self, info: SetInfo) -> list[tuple[Path, str]]:
        """The files that keep arrays of this set, each with the SHA-256 taken when it was made."""
        files = [] if self.folder is None else sorted(self.folder.glob(f"{info.name}-*.u8"))
        records = [_ArrayFile(path=path, shape=array_shape(info)) for path in files]
        return [(file.path, file.recorded_sum() or "none") for file in records]

    def _counted(self, blocks: Iterable[Images], num_images: int) -> Iterator[Images]:
        done = 0
        for block in blocks:
            yield block
            done += len(block)
            if self.progress is not None:
                self.progress(done, num_images)


@dataclass(frozen=True, kw_only=True)
class _ArrayFile:
    """Bytes of one array, and beside it `NAME.json` with their sum."""

    path: Path
    shape: tuple[int, ...]

    @property
    def record(self) -> Path:
        return self.path.with_suffix(".json")

    def recorded_sum(self) -> str | None:
        """The SHA-256 that was written beside the file; None where it cannot be read."""
        try:
            return str(json.loads(self.record.read_text("utf-8"))["sha256"])
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

    def write(self, blocks: Iterable[Images]) -> None:
        """Write all blocks beside the file, then put them in its place."""
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        digest, num_bytes = hashlib.sha256(), 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
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
            raise RunFolderError(
                f"cannot write {self.path}: {error.strerror or error}; free {math.prod(self.shape):,} bytes, set "
                "TOPDIS_CACHE to another folder, or read the set into memory (cache=False)"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        write_json(self.record, {"sha256": digest.hexdigest(), "shape": list(self.shape)})


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


def packed(images: npt.NDArray[np.uint8]) -> Images:
    """Images of 0 and 1 with eight pixels a byte: (n, H, W) -> (n, H W / 8)."""
    return np.packbits(images.reshape(len(images), -1), axis=1)
