"""The published files of a data set: where they are on this machine, and whether their checksums match.

Files are searched in the path that the user gives, else in the folder TOPDIS_DATA, else in the download cache. A file
that matched its published checksum is remembered in the cache until it changes.
"""

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ganspace_topdis.errors import RunFolderError, TopdisError
from ganspace_topdis.runs.downloads import cached_file
from ganspace_topdis.runs.files import hash_file, write_json
from ganspace_topdis.runs.reading import read_json
from vae.data.catalog import DataSetInfo, SourceFile

__all__ = [
    "CACHE_KIND",
    "CHECKSUMS",
    "ChecksumResult",
    "DataFileError",
    "checksum_difference",
    "file_fingerprint",
    "find_files",
    "locate",
    "verify_checksum",
]

CHECKSUMS = ("sha256", "md5", "git_sha1")
"""Kinds of checksums that publishers give, the strongest first."""
CACHE_KIND = "data"
"""The folder of the download cache that holds data sets."""
_SAMPLE_BYTES = 1 << 16


class DataFileError(TopdisError):
    """A file of a data set is missing, damaged, hostile or another file. The message says what to do."""


def find_files(info: DataSetInfo, root: str | os.PathLike[str] | None = None) -> tuple[Path, ...]:
    """Return the local files of a data set, in the order of `info.files`.

    Args:
        info: the data set.
        root: its file (if it has only one), or a folder that holds its files under their published names, directly or
            in a subfolder named after the data set. None searches the folder TOPDIS_DATA, then the cache.

    Raises:
        DataFileError: a file is missing; the message says how to get it.
    """
    given = None if root is None else Path(root).expanduser()
    if given is not None and not given.exists():
        raise DataFileError(f"no file or folder at {given}; check the path")
    if given is not None and given.is_file():
        if len(info.files) > 1:
            names = ", ".join(file.name for file in info.files)
            raise DataFileError(f"{info.name} has {len(info.files)} files; give the folder that holds {names}")
        return (given,)
    return tuple(_require_file(info, file, given) for file in info.files)


def locate(info: DataSetInfo, file: SourceFile, root: Path | None = None) -> Path | None:
    """Return the local path of a file, or None: in `root` if given, else in the folder TOPDIS_DATA or the cache."""
    folder = root
    if folder is None and (named := os.environ.get("TOPDIS_DATA")):
        folder = Path(named).expanduser()
    if folder is not None:
        for path in (folder / file.name, folder / info.name / file.name):
            if path.is_file():
                return path
    if root is not None or file.url is None:
        return None
    return cached_file(file.url, kind=CACHE_KIND)


def _require_file(info: DataSetInfo, file: SourceFile, root: Path | None) -> Path:
    if path := locate(info, file, root):
        return path
    if root is not None:
        raise DataFileError(f"{root} holds no {file.name}, which {info.name} is read from; give its file or folder")
    how = f"`topdis-gan data fetch {info.name}` downloads it" if file.url else info.instructions
    raise DataFileError(
        f"{info.name} is not on this machine: {how}; or give the path of {file.name}, or its folder in TOPDIS_DATA"
    )


@dataclass(frozen=True)
class ChecksumResult:
    """The strongest published checksum of a file, and the one computed from it.

    Attributes:
        algorithm: "sha256", "md5", "git_sha1", or None if no checksum was published.
        found, expected: checksum of the file, and the published one.
    """

    algorithm: str | None
    found: str | None
    expected: str | None

    @property
    def matches(self) -> bool | None:
        """Whether the checksums are equal; None if no checksum was published."""
        return None if self.algorithm is None else self.found == self.expected


def verify_checksum(path: Path, published: SourceFile) -> ChecksumResult:
    """Compare a file with its published checksum, reading all of it."""
    for algorithm in CHECKSUMS:
        if expected := getattr(published, algorithm):
            return ChecksumResult(algorithm, hash_file(path, algorithm), expected)
    return ChecksumResult(None, None, None)


def checksum_difference(path: Path, published: SourceFile, memory: Path | None = None) -> str | None:
    """Return how a file differs from the published one, or that no valid checksum is known; None if it is that file.

    Args:
        path: the file.
        published: the published file.
        memory: folder that remembers verified files by path, size and modification time.
    """
    if not published.has_valid_checksum:
        return f"{path} cannot be compared with the published {published.name}, of which no valid checksum is known"
    num_bytes = path.stat().st_size
    if published.num_bytes is not None and num_bytes != published.num_bytes:
        return f"{path} has {num_bytes:,} bytes, the published {published.name} has {published.num_bytes:,}"
    if memory is not None and _is_remembered(path, published, memory):
        return None
    result = verify_checksum(path, published)
    if result.matches is False:
        return f"{path} has the {result.algorithm} {result.found}, the published {published.name} has {result.expected}"
    if memory is not None:
        _remember(path, published, memory)
    return None


def file_fingerprint(path: Path) -> str:
    """Return a short hash of the size and three pieces of a file; fast for files of any size."""
    num_bytes = path.stat().st_size
    digest = hashlib.sha256(str(num_bytes).encode())
    with path.open("rb") as file:
        for position in (0, max(0, num_bytes // 2), max(0, num_bytes - _SAMPLE_BYTES)):
            file.seek(position)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _record(path: Path, published: SourceFile) -> dict[str, object]:
    status = path.stat()
    checksums = [getattr(published, algorithm) for algorithm in CHECKSUMS]
    return {"path": str(path), "num_bytes": status.st_size, "changed_ns": status.st_mtime_ns, "sums": checksums}


def _memory_file(path: Path, memory: Path) -> Path:
    return memory / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}.json"


def _is_remembered(path: Path, published: SourceFile, memory: Path) -> bool:
    try:
        return bool(read_json(_memory_file(path, memory)) == _record(path, published))
    except (OSError, ValueError):
        return False


def _remember(path: Path, published: SourceFile, memory: Path) -> None:
    with contextlib.suppress(OSError, RunFolderError):  # otherwise the checksum is only computed again
        memory.mkdir(parents=True, exist_ok=True)
        write_json(_memory_file(path, memory), _record(path, published))
