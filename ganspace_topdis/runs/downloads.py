"""The download cache: `fetch(url, sha256=...)` returns the path of a verified local copy.

A download appears under its name only when it is complete and its SHA-256 is the expected one: the published one if
known, else the one recorded at the first download, so that a file that has changed on its server is refused. The copy
in the cache is verified at every use. TOPDIS_CACHE names the cache folder; TOPDIS_OFFLINE=1 forbids all downloads.
"""

import contextlib
import hashlib
import os
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.files import FolderLock, lock_holder, sha256_of, write_json
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.runs.reading import read_json
from ganspace_topdis.runs.transfer import (
    BearerToken,
    DownloadError,
    TransferLimits,
    require_https,
    shown_url,
    transfer,
)

__all__ = ["cache_folder", "cached_file", "fetch", "is_offline"]

_RECORD = "record.json"
_MAX_NAME_BYTES = 100


def cache_folder() -> Path:
    """Return the cache folder: TOPDIS_CACHE, else the platform's standard location."""
    if chosen := os.environ.get("TOPDIS_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "topdis-gan" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "topdis-gan"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "topdis-gan"


def is_offline() -> bool:
    """Whether TOPDIS_OFFLINE forbids downloads."""
    return os.environ.get("TOPDIS_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off")


def fetch(
    url: str,
    *,
    sha256: str | None = None,
    kind: str = "checkpoints",
    limits: TransferLimits | None = None,
    progress: Progress | None = None,
    token: BearerToken | None = None,
) -> Path:
    """Return the verified file at `url`, from the cache or downloaded into it.

    Args:
        url: an https address.
        sha256: the published checksum, if known.
        kind: the folder within the cache ("checkpoints", "data").
        limits: bounds on what the server may send.
        progress: called with megabytes during a download.
        token: secret for one of the hosts.

    Raises:
        DownloadError: the download failed, offline mode forbids it, or the SHA-256 differs.
    """
    require_https(url)
    entry = _cache_entry(url, kind)
    record = entry.record()
    sha256 = None if sha256 is None else sha256.lower()
    expected = sha256 or (record.sha256 if record else None)
    if entry.file.is_file():
        if expected is not None and sha256_of(entry.file) == expected:
            return entry.file
        why = "is damaged" if sha256 is None or record is None or record.sha256 == sha256 else "has another SHA-256"
        _warn_or_refuse(entry, f"{entry.file} {why}")
    elif is_offline():
        raise DownloadError(
            f"{shown_url(url)} is not in the cache {cache_folder()}, and TOPDIS_OFFLINE forbids downloading it; "
            "give a local file"
        )
    with entry.locked():
        transfer(url, entry.part, limits=limits, progress=progress, token=token)
        return entry.accept(expected, published=sha256 is not None)


def cached_file(url: str, *, kind: str = "checkpoints") -> Path | None:
    """Return the path of the cached file of `url` without verifying it; None if it is not in the cache."""
    file = _cache_entry(url, kind).file
    return file if file.is_file() else None


@dataclass(frozen=True, kw_only=True)
class _Record:
    """The record of a download, which outlives its file."""

    url: str
    sha256: str
    num_bytes: int
    time: str


@dataclass(frozen=True, kw_only=True)
class _CacheEntry:
    """The folder in the cache for one address."""

    url: str
    folder: Path

    @property
    def file(self) -> Path:
        name = re.sub(r"[^\w.-]", "_", unquote(urlsplit(self.url).path).rpartition("/")[2]).lstrip(".")
        name = name.encode()[-_MAX_NAME_BYTES:].decode(errors="ignore") or "file"
        own = name.startswith((self.part.name, _RECORD))  # names of the cache itself
        return self.folder / (f"file_{name}" if own else name)

    @property
    def part(self) -> Path:
        return self.folder / "unfinished"

    def record(self) -> _Record | None:
        try:
            return _Record(**read_json(self.folder / _RECORD))
        except (OSError, ValueError, TypeError):
            return None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Create and lock the folder, so that no other process writes the same file."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(self.folder)
        except OSError as error:
            raise DownloadError(
                f"cannot make {self.folder}: {error.strerror}; set TOPDIS_CACHE to a writable folder"
            ) from error
        except RunFolderError as error:
            holder = lock_holder(self.folder)
            hint = "set TOPDIS_CACHE to a writable folder" if holder is None else "wait for it"
            reason = error if holder is None else f"process {holder} is downloading {shown_url(self.url)}"
            raise DownloadError(f"{reason}; {hint}") from error
        with lock:
            yield

    def accept(self, expected: str | None, *, published: bool) -> Path:
        """Rename the complete download if its checksum is the expected one, or the first; return its path."""
        sha256 = sha256_of(self.part)
        if expected is not None and sha256 != expected:
            self._discard()
            raise DownloadError(self._mismatch(sha256, expected, published=published))
        time = datetime.now(timezone.utc).isoformat(timespec="seconds")
        record = _Record(url=shown_url(self.url), sha256=sha256, num_bytes=self.part.stat().st_size, time=time)
        write_json(self.folder / _RECORD, asdict(record))
        self.part.replace(self.file)
        self._discard()
        return self.file

    def _mismatch(self, sha256: str, expected: str, *, published: bool) -> str:
        found = f"{shown_url(self.url)} came with SHA-256 {sha256}, "
        if published:
            return f"{found}expected is {expected}; it was deleted, try again later or from another source"
        return (
            f"{found}at the first download it was {expected}; it was deleted. If you know why it changed, "
            f"remove {self.folder / _RECORD} and try again"
        )

    def _discard(self) -> None:
        for path in self.folder.glob(f"{self.part.name}*"):
            path.unlink(missing_ok=True)


def _cache_entry(url: str, kind: str) -> _CacheEntry:
    return _CacheEntry(url=url, folder=cache_folder() / kind / hashlib.sha256(url.encode()).hexdigest()[:16])


def _warn_or_refuse(entry: _CacheEntry, what: str) -> None:
    """Report an invalid file in the cache: a warning if it can be downloaded again, else an error."""
    if is_offline():
        raise DownloadError(f"{what}, and TOPDIS_OFFLINE forbids downloading it again; unset it or give another file")
    warnings.warn(f"{what}; downloading it again from {shown_url(entry.url)}", stacklevel=3)
