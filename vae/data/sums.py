"""Checking a file against the sums that its publisher tells; the last answer is remembered in the cache."""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.reading import read_json
from vae.data.catalogue import SourceFile
from vae.data.errors import DataFileError

__all__ = ["Verdict", "fingerprint_of", "judge", "require_published"]

_ALGORITHMS = ("sha256", "md5", "git_sha1")
_BLOCK = 1 << 20
_SAMPLE = 1 << 16


@dataclass(frozen=True)
class Verdict:
    """How a file compares with the published one: the strongest known sum, found and expected.

    Attributes:
        algorithm: "sha256", "md5", "git_sha1", or None where no sum is known.
        found, expected: the file's sum and the published one.
    """

    algorithm: str | None
    found: str | None
    expected: str | None

    @property
    def matches(self) -> bool | None:
        """Whether it is the published file; None where no sum is known."""
        return None if self.algorithm is None else self.found == self.expected


def judge(path: Path, published: SourceFile) -> Verdict:
    """Compare a file with the published one, reading all of it."""
    for algorithm in _ALGORITHMS:
        if expected := getattr(published, algorithm):
            return Verdict(algorithm, _digest(path, algorithm), expected)
    return Verdict(None, None, None)


def require_published(path: Path, published: SourceFile, memory: Path | None = None) -> None:
    """Refuse a file that is not the published one, where its sum is firm.

    Args:
        path: the file.
        published: what it should be.
        memory: folder that remembers files found good, by path, size and time of change.

    Raises:
        DataFileError: its size or its sum differs.
    """
    if not published.firm:
        return
    num_bytes = path.stat().st_size
    if published.num_bytes is not None and num_bytes != published.num_bytes:
        raise DataFileError(
            f"{path} has {num_bytes:,} bytes, the published {published.name} has {published.num_bytes:,}: "
            "it is incomplete or another file; fetch it again"
        )
    if memory is not None and _remembered(path, published, memory):
        return
    verdict = judge(path, published)
    if verdict.matches is False:
        raise DataFileError(
            f"{path} has the {verdict.algorithm} {verdict.found}, the published {published.name} has "
            f"{verdict.expected}: it is damaged or another file; fetch it again, or pass verify=False to read it anyway"
        )
    if memory is not None:
        _remember(path, published, memory)


def fingerprint_of(path: Path) -> str:
    """A short sum over the size and three pieces of a file, quick for files of any size."""
    num_bytes = path.stat().st_size
    digest = hashlib.sha256(str(num_bytes).encode())
    with path.open("rb") as file:
        for position in (0, max(0, num_bytes // 2), max(0, num_bytes - _SAMPLE)):
            file.seek(position)
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]


def _digest(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm.removeprefix("git_"), usedforsecurity=False)
    if algorithm == "git_sha1":  # git names a file by the sum of this header and its bytes
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _record_of(path: Path, published: SourceFile) -> dict[str, object]:
    status = path.stat()
    sums = [getattr(published, algorithm) for algorithm in _ALGORITHMS]
    return {"path": str(path), "num_bytes": status.st_size, "changed_ns": status.st_mtime_ns, "sums": sums}


def _memory_file(path: Path, memory: Path) -> Path:
    return memory / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}.json"


def _remembered(path: Path, published: SourceFile, memory: Path) -> bool:
    try:
        return bool(read_json(_memory_file(path, memory)) == _record_of(path, published))
    except (OSError, ValueError):
        return False


def _remember(path: Path, published: SourceFile, memory: Path) -> None:
    with contextlib.suppress(OSError, RunFolderError):  # without the record the sum is taken again, no more
        memory.mkdir(parents=True, exist_ok=True)
        write_json(_memory_file(path, memory), _record_of(path, published))
