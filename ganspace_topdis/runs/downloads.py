"""Files of others, downloaded once, checked always: `fetch(url, sha256=...)` gives the path in the cache.

A file takes its place only when it is whole and its SHA-256 is the expected one: that of a table where there is
one, else the one recorded at the first download, so that a file that changes on its server later is refused.
The copy in the cache is checked again at every use. TOPDIS_CACHE names the cache folder, TOPDIS_OFFLINE=1 forbids
all downloads.
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
from ganspace_topdis.runs.files import sha256_of, write_json
from ganspace_topdis.runs.lock import FolderLock, lock_holder
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.runs.reading import read_json
from ganspace_topdis.runs.transfer import DownloadError, TransferLimits, require_https, shown_url, transfer

__all__ = ["cache_folder", "cached_file", "fetch", "is_offline"]

_RECORD = "record.json"


def cache_folder() -> Path:
    """Where downloads are kept: TOPDIS_CACHE, else the platform's place for caches."""
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
) -> Path:
    """The file at `url`, from the cache or downloaded into it, its SHA-256 checked.

    Args:
        url: an https address.
        sha256: the expected sum, where it is known.
        kind: the folder within the cache ("checkpoints", "data").
        limits: how far the server is trusted.
        progress: called with megabytes while something is downloaded.

    Raises:
        DownloadError: it cannot be had, offline mode forbids it, or its SHA-256 is not the expected one.
    """
    require_https(url)
    place = _place(url, kind)
    record = place.record()
    expected = sha256 or (record.sha256 if record else None)
    if place.file.is_file():
        if expected is not None and sha256_of(place.file) == expected:
            return place.file
        why = "is damaged" if sha256 is None or record is None or record.sha256 == sha256 else "has another SHA-256"
        _warn_or_refuse(place, f"{place.file} {why}")
    elif is_offline():
        raise DownloadError(
            f"{shown_url(url)} is not in the cache {cache_folder()}, and TOPDIS_OFFLINE forbids to download it; "
            "give a file that you have"
        )
    with place.held():
        transfer(url, place.part, limits=limits, progress=progress)
        return place.accept(expected, known=sha256 is not None)


def cached_file(url: str, *, kind: str = "checkpoints") -> Path | None:
    """Where `fetch` put the file at `url`, unchecked; None when it was not fetched yet."""
    file = _place(url, kind).file
    return file if file.is_file() else None


@dataclass(frozen=True, kw_only=True)
class _Record:
    """What is remembered of a download, also when its file is gone."""

    url: str
    sha256: str
    num_bytes: int
    time: str


@dataclass(frozen=True, kw_only=True)
class _Place:
    """The folder in the cache that belongs to one address."""

    url: str
    folder: Path

    @property
    def file(self) -> Path:
        name = re.sub(r"[^\w.-]", "_", unquote(urlsplit(self.url).path).rpartition("/")[2]).lstrip(".")
        return self.folder / (name[-100:] or "file")

    @property
    def part(self) -> Path:
        return self.folder / "unfinished"

    def record(self) -> _Record | None:
        try:
            return _Record(**read_json(self.folder / _RECORD))
        except (OSError, ValueError, TypeError):
            return None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder, made when it is missing, so that no second process writes the same file."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(self.folder)
        except OSError as error:
            raise DownloadError(
                f"cannot make {self.folder}: {error.strerror}; set TOPDIS_CACHE to a folder that can be written"
            ) from error
        except RunFolderError as error:
            holder = lock_holder(self.folder)
            what = "set TOPDIS_CACHE to a folder that can be written" if holder is None else "wait for it"
            reason = error if holder is None else f"process {holder} is downloading {shown_url(self.url)}"
            raise DownloadError(f"{reason}; {what}") from error
        try:
            yield
        finally:
            lock.release()

    def accept(self, expected: str | None, *, known: bool) -> Path:
        """Move the finished download to its place if its sum is the expected one, or the first ever seen."""
        sha256 = sha256_of(self.part)
        if expected is not None and sha256 != expected:
            self._discard()
            raise DownloadError(self._mismatch(sha256, expected, known=known))
        time = datetime.now(timezone.utc).isoformat(timespec="seconds")
        record = _Record(url=shown_url(self.url), sha256=sha256, num_bytes=self.part.stat().st_size, time=time)
        write_json(self.folder / _RECORD, asdict(record))
        self.part.replace(self.file)
        self._discard()
        return self.file

    def _mismatch(self, sha256: str, expected: str, *, known: bool) -> str:
        said = f"{shown_url(self.url)} came with SHA-256 {sha256}, "
        if known:
            return f"{said}expected is {expected}; nothing of it was used, try again later or from another source"
        return (
            f"{said}at the first download it was {expected}; nothing of it was used. If you know why it changed, "
            f"remove {self.folder / _RECORD} and try again"
        )

    def _discard(self) -> None:
        for path in self.folder.glob(f"{self.part.name}*"):
            path.unlink(missing_ok=True)


def _place(url: str, kind: str) -> _Place:
    return _Place(url=url, folder=cache_folder() / kind / hashlib.sha256(url.encode()).hexdigest()[:16])


def _warn_or_refuse(place: _Place, what: str) -> None:
    """Say that a cached file is of no use: a warning where it can be downloaded again, else an error."""
    if is_offline():
        raise DownloadError(f"{what}, and TOPDIS_OFFLINE forbids to download it again; unset it or give another file")
    warnings.warn(f"{what}; downloading it again from {shown_url(place.url)}", stacklevel=3)
