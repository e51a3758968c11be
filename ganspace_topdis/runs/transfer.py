"""One file over HTTPS, by a client that trusts neither the line nor the server.

`transfer(url, part)` fills the file `part`, and goes on where an earlier try ended: with Range, and with If-Range
so that a file that changed meanwhile is not mixed with the old one (RFC 9110, sections 13.1.5 and 14.2). What came
before is used only if the answer is of the same place, names the same strong validator and the same size, and begins
where it was asked to; without a validator nothing is used.
A server that drops the line is asked again; one that redirects to plain HTTP, sends more than the cap, a web
page, or almost nothing for a minute, is given up with a `DownloadError`. Proxies are those of the environment
(HTTPS_PROXY, NO_PROXY), as requests reads them. Whether the bytes are the right ones is for `runs.downloads`.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin, urlsplit, urlunsplit

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.runs.reading import read_json

if TYPE_CHECKING:
    import requests

__all__ = ["DownloadError", "TransferLimits", "require_https", "shown_url", "transfer"]

_PLAIN_HTTP_HOSTS: set[str] = set()
"""Hosts ("127.0.0.1:8000") that may be spoken to without TLS. Only tests, which have no certificate, add one."""

_REDIRECTS = (301, 302, 303, 307, 308)
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_VALIDATOR = re.compile(r"[\x20-\x7e\x80-\xff]{1,1000}")
_MB = 1_000_000


class DownloadError(TopdisError):
    """A file could not be downloaded, or what came is not what was meant. The message says what to do."""


class _LineError(Exception):
    """Something that another try may not meet."""


@dataclass(frozen=True, kw_only=True)
class TransferLimits:
    """How far a server is trusted.

    Attributes:
        max_bytes: no larger file is accepted.
        connect_timeout_s: time to be answered at all.
        read_timeout_s: time between two pieces of an answer.
        min_bytes_per_s: a slower server, over `rate_window_s` seconds, is as good as silent.
        rate_window_s: see above.
        max_redirects: redirections followed, all of them to https.
        num_tries: tries in a row that bring less than a megabyte.
        backoff_s: the pause before the second try, doubled before each further one.
    """

    max_bytes: int = 4_000_000_000
    connect_timeout_s: float = 10
    read_timeout_s: float = 30
    min_bytes_per_s: float = 1000
    rate_window_s: float = 60
    max_redirects: int = 5
    num_tries: int = 5
    backoff_s: float = 1


def transfer(url: str, part: Path, *, limits: TransferLimits | None = None, progress: Progress | None = None) -> None:
    """Fill the file `part` with what `url` gives; the bytes that are there already are kept where possible.

    Args:
        url: an https address.
        part: the file, in a folder that exists. Beside it `NAME.json` remembers which version the bytes are of.
        limits: how far the server is trusted.
        progress: called as `progress(megabytes, megabytes_in_all)` where the server tells the size.

    Raises:
        DownloadError: the file is not there, too large or a web page; the server or line keeps failing; the
            redirection leads away from https; the disk is full. What came so far is kept where it can be used.
    """
    limits = TransferLimits() if limits is None else limits
    num_failed, most = 0, _size(part)
    while True:
        try:
            return _try(url, part, limits, progress)
        except _LineError as error:  # noqa: PERF203 (a try is a whole request)
            gained = _size(part) >= most + _MB
            num_failed, most = 1 if gained else num_failed + 1, max(most, _size(part))
            if num_failed >= limits.num_tries:
                raise DownloadError(
                    f"cannot download {shown_url(url)}: {error}, {num_failed} times in a row; "
                    f"{_size(part)} bytes are kept and the same command goes on from there"
                ) from error
            time.sleep(limits.backoff_s * 2 ** (num_failed - 1))


def require_https(url: str) -> None:
    """Refuse an address that is not https, or holds a password.

    Raises:
        DownloadError: it is such an address, or none at all.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise DownloadError(f"{url!r} is no address: {error}") from error
    if parts.username is not None:
        raise DownloadError(f"{parts.hostname}: an address with a name or password in it is not taken")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.netloc in _PLAIN_HTTP_HOSTS):
        raise DownloadError(f"{shown_url(url)} is not https; fetch the file yourself and give its path")


def shown_url(url: str) -> str:
    """`url` without the query, which may hold a secret."""
    scheme, host, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, host, path, "", ""))


@dataclass(frozen=True, kw_only=True)
class _Version:
    """Which bytes a server gives, as far as it says: their validator, their number, and where they lie."""

    validator: str
    total: int | None
    source: str

    def is_sane(self) -> bool:
        """Whether the fields are what they should be: they may come from a damaged file."""
        texts = isinstance(self.source, str) and isinstance(self.validator, str)
        number = self.total is None or (type(self.total) is int and self.total > 0)
        return texts and number and (self.validator == "" or _VALIDATOR.fullmatch(self.validator) is not None)


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What an earlier try left: so many bytes of a version; None where they are of no use."""

    num_bytes: int = 0
    version: _Version | None = None

    @property
    def complete(self) -> bool:
        return self.version is not None and self.version.total == self.num_bytes


def _try(url: str, part: Path, limits: TransferLimits, progress: Progress | None) -> None:
    kept = _kept(part)
    if kept.complete:
        return
    with _response(url, kept, limits) as response:
        start, total = _plan(response, kept, part, url)
        _refuse_unwanted(response, total, limits, url)
        with _disk_errors(part):
            if not start:  # before the memory speaks of other bytes, or a kill between would mix them
                part.unlink(missing_ok=True)
                write_json(_memory(part), asdict(_version(response, total)))
            with part.open("r+b" if start else "wb") as file:
                file.truncate(start)
                file.seek(start)
                for num_bytes in _received(_pieces(response), file, start, limits, url):
                    if progress is not None and total is not None:
                        progress(round(num_bytes / _MB), round(total / _MB))
    if total is not None and _size(part) != total:
        raise _LineError(f"the answer ended after {_size(part)} of {total} bytes")
    if total is None:
        write_json(_memory(part), asdict(_version(response, _size(part))))


@contextmanager
def _response(url: str, kept: _Kept, limits: TransferLimits) -> Iterator["requests.Response"]:
    """The answer to a request for what is missing, redirections followed."""
    import requests

    headers = {"Accept-Encoding": "identity", "User-Agent": "topdis-gan"}
    if kept.version is not None:
        headers |= {"Range": f"bytes={kept.num_bytes}-", "If-Range": kept.version.validator}
    timeout = (limits.connect_timeout_s, limits.read_timeout_s)
    with requests.Session() as session:
        for _ in range(limits.max_redirects + 1):
            require_https(url)
            try:
                response = session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=timeout)
            except requests.exceptions.SSLError as error:
                raise DownloadError(f"the certificate of {urlsplit(url).netloc} does not hold: {error}") from error
            except (requests.ConnectionError, requests.Timeout) as error:
                raise _LineError(f"{urlsplit(url).netloc} does not answer ({type(error).__name__})") from error
            except (requests.RequestException, ValueError) as error:
                raise DownloadError(f"cannot download {shown_url(url)}: {error}; check the address") from error
            if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                with response:
                    yield response
                return
            response.close()
            url = _redirected(url, response.headers["Location"])
    raise DownloadError(f"{shown_url(url)} is one redirection too many ({limits.max_redirects}); check the address")


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise DownloadError(f"{shown_url(url)} leads to {location!r}, which is no address: {error}") from error


def _plan(response: "requests.Response", kept: _Kept, part: Path, url: str) -> tuple[int, int | None]:
    """Where the bytes of `response` go in the file, and the file's size if the server tells it."""
    status = response.status_code
    if status == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if _LENGTH.fullmatch(length) else None
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if status == 206 and found and int(found[1]) == kept.num_bytes and kept.version is not None:
        total = int(found[3])
        expected = kept.version if kept.version.total is not None else replace(kept.version, total=total)
        if _version(response, total) == expected:
            return kept.num_bytes, total
    if status in (206, 416):  # not what was asked for, or the kept bytes are of no use
        part.unlink(missing_ok=True)
        raise _LineError("the server cannot go on where the last try ended")
    if status in _TRY_AGAIN:
        raise _LineError(f"the server answered {status} {response.reason}")
    raise DownloadError(f"{shown_url(url)}: the server answered {status} {response.reason}; check the address")


def _refuse_unwanted(response: "requests.Response", total: int | None, limits: TransferLimits, url: str) -> None:
    if total is not None and total > limits.max_bytes:
        raise DownloadError(f"{shown_url(url)} has {total} bytes, allowed are {limits.max_bytes}")
    if total == 0:
        raise DownloadError(f"{shown_url(url)} is empty; check the address")
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise DownloadError(f"{shown_url(url)}: the server sent it packed, though it was asked not to")
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html":
        raise DownloadError(f"{shown_url(url)} gave a web page, not a file; open it in a browser and give the file")


def _received(
    pieces: Iterator[bytes], file: BinaryIO, num_bytes: int, limits: TransferLimits, url: str
) -> Iterator[int]:
    """Write `pieces` while they keep coming fast enough and not too many; the file's size after each."""
    window_start_s, window_bytes = time.monotonic(), 0
    for piece in pieces:
        num_bytes += len(piece)
        window_bytes += len(piece)
        if num_bytes > limits.max_bytes:
            file.truncate(0)
            raise DownloadError(f"{shown_url(url)} does not end: more than {limits.max_bytes} bytes came")
        file.write(piece)
        window_s = time.monotonic() - window_start_s
        if window_s >= limits.rate_window_s:
            if window_bytes < limits.min_bytes_per_s * window_s:
                raise _LineError(f"only {window_bytes} bytes came in {window_s:.0f} s")
            window_start_s, window_bytes = time.monotonic(), 0
        yield num_bytes
    file.flush()
    os.fsync(file.fileno())


def _pieces(response: "requests.Response") -> Iterator[bytes]:
    """The body as it arrives: a read returns what there is, so that a trickle is noticed."""
    from urllib3.exceptions import HTTPError

    read: Callable[[int], bytes] = getattr(response.raw, "read1", response.raw.read)
    try:
        while piece := read(1 << 16):
            yield piece
    except (HTTPError, OSError) as error:
        raise _LineError(f"the line broke ({type(error).__name__})") from error


def _version(response: "requests.Response", total: int | None) -> _Version:
    return _Version(validator=_validator(response), total=total, source=shown_url(response.url))


def _validator(response: "requests.Response") -> str:
    """What If-Range may ask with: a strong ETag, else a date of the last change that is one, else nothing.

    A date is a strong validator where the file had not changed for a second when it was sent (RFC 9110, 8.8.2.2).
    """
    tag, changed = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
    if tag:
        return tag if tag.startswith('"') and _VALIDATOR.fullmatch(tag) else ""
    try:
        age = parsedate_to_datetime(response.headers.get("Date", "")) - parsedate_to_datetime(changed)
        return changed if age.total_seconds() >= 1 else ""
    except (ValueError, TypeError):  # no date, or one without a zone
        return ""


def _kept(part: Path) -> _Kept:
    try:
        version = _Version(**read_json(_memory(part)))
        kept = _Kept(num_bytes=part.stat().st_size, version=version)
    except (OSError, ValueError, TypeError):
        return _Kept()
    usable = version.is_sane() and (kept.complete or (version.validator and kept.num_bytes))
    return kept if usable else _Kept()


def _memory(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


@contextmanager
def _disk_errors(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"cannot write {part}: {error.strerror or error}; free some space or set TOPDIS_CACHE to another folder"
        ) from error
