"""A resumable download of one file over HTTPS, from an untrusted server over an unreliable connection.

`transfer(url, part)` downloads into the file `part` and resumes an interrupted download with Range and If-Range, so
that two versions of a file are never mixed (RFC 9110, sections 13.1.5 and 14.2). Bytes of an earlier attempt are used
only if the response comes from the same address, has the same strong validator and the same size, and starts at the
requested position.

A broken connection is retried. A redirect to plain HTTP, a web page, more bytes than the limit, or almost no bytes for
a minute raise a `DownloadError`. Proxies are taken from the environment (HTTPS_PROXY, NO_PROXY). `runs.downloads`
verifies the checksum.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
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

__all__ = ["BearerToken", "DownloadError", "TransferLimits", "require_https", "shown_url", "transfer"]

_PLAIN_HTTP_HOSTS: set[str] = set()
"""Hosts ("127.0.0.1:8000") for which plain HTTP is allowed. Only tests, which have no certificate, add one."""

_REDIRECT_STATUSES = (301, 302, 303, 307, 308)
_RETRY_STATUSES = (408, 425, 429, 500, 502, 503, 504)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_VALIDATOR = re.compile(r"[\x20-\x7e\x80-\xff]{1,1000}")
_MB = 1_000_000


class DownloadError(TopdisError):
    """A file could not be downloaded, or is not the expected one. The message includes the next step."""


class _TransientError(Exception):
    """A failure that may not occur at the next attempt."""


@dataclass(frozen=True, kw_only=True)
class TransferLimits:
    """Bounds on what a server may send.

    Attributes:
        max_bytes: size of the largest accepted file.
        connect_timeout_s: time to establish a connection.
        read_timeout_s: time between two packets.
        min_bytes_per_s: the lowest accepted rate, averaged over `rate_window_s` seconds.
        rate_window_s: see above.
        max_redirects: number of redirects to follow, all of them to https.
        num_tries: number of consecutive attempts that gain less than a megabyte.
        backoff_s: pause before the second attempt, doubled before each further one.
    """

    max_bytes: int = 4_000_000_000
    connect_timeout_s: float = 10
    read_timeout_s: float = 30
    min_bytes_per_s: float = 1000
    rate_window_s: float = 60
    max_redirects: int = 5
    num_tries: int = 5
    backoff_s: float = 1


@dataclass(frozen=True, kw_only=True)
class BearerToken:
    """A secret that requests to one host carry, in place of what ~/.netrc holds for it (an `auth` of requests).

    Attributes:
        token: the secret.
        host: the host, with its port, that gets it; servers that it redirects to do not.
    """

    token: str = field(repr=False)
    host: str

    def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        """Add the header to a request to `host`."""
        if urlsplit(str(request.url)).netloc == self.host:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def transfer(
    url: str,
    part: Path,
    *,
    limits: TransferLimits | None = None,
    progress: Progress | None = None,
    token: BearerToken | None = None,
) -> None:
    """Download `url` into the file `part`, after the bytes of an earlier attempt if possible.

    Args:
        url: an https address.
        part: the file, in an existing folder. `NAME.json` beside it records the version of the bytes.
        limits: bounds on what the server may send.
        progress: called as `progress(megabytes, total_megabytes)` if the size is known.
        token: secret for one of the hosts.

    Raises:
        DownloadError: the file does not exist, is too large or a web page; the server or the connection keeps
            failing; a redirect leads away from https; the disk is full. Usable bytes are kept for the next attempt.
    """
    limits = TransferLimits() if limits is None else limits
    num_failed, max_size = 0, _size(part)
    while True:
        try:
            return _attempt(url, part, limits, progress, token)
        except _TransientError as error:  # noqa: PERF203 (each attempt is a whole request)
            gained = _size(part) >= max_size + _MB
            num_failed, max_size = 1 if gained else num_failed + 1, max(max_size, _size(part))
            if num_failed >= limits.num_tries:
                raise DownloadError(
                    f"cannot download {shown_url(url)}: {error}, {num_failed} times in a row; "
                    f"{_size(part)} bytes are kept and the same command resumes from there"
                ) from error
            time.sleep(limits.backoff_s * 2 ** (num_failed - 1))


def require_https(url: str) -> None:
    """Check that an address is https and has no password.

    Raises:
        DownloadError: it is not such an address.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise DownloadError(f"{url!r} is not an address: {error}") from error
    if parts.username is not None:
        raise DownloadError(f"{parts.hostname}: an address with a user name or password is not accepted")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.netloc in _PLAIN_HTTP_HOSTS):
        raise DownloadError(f"{shown_url(url)} is not https; download the file yourself and give its path")


def shown_url(url: str) -> str:
    """Return `url` without its query, which may contain a secret."""
    scheme, host, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, host, path, "", ""))


@dataclass(frozen=True, kw_only=True)
class _Version:
    """The version of a file on its server: validator (ETag or date), size if known, and address."""

    validator: str
    total: int | None
    source: str

    def is_valid(self) -> bool:
        """Whether the fields, which may come from a damaged file, have valid types and values."""
        texts = isinstance(self.source, str) and isinstance(self.validator, str)
        number = self.total is None or (type(self.total) is int and self.total > 0)
        return texts and number and (self.validator == "" or _VALIDATOR.fullmatch(self.validator) is not None)


@dataclass(frozen=True, kw_only=True)
class _Partial:
    """The bytes of an earlier attempt: their number and version, None if they cannot be used."""

    num_bytes: int = 0
    version: _Version | None = None

    @property
    def complete(self) -> bool:
        return self.version is not None and self.version.total == self.num_bytes


def _attempt(
    url: str, part: Path, limits: TransferLimits, progress: Progress | None, token: BearerToken | None
) -> None:
    partial = _read_partial(part)
    if partial.complete:
        return
    with _response(url, partial, limits, token) as response:
        start, total = _plan(response, partial, part, url)
        _check_response(response, total, limits, url)
        with _disk_errors(part):
            if not start:  # before the record changes, or a kill in between would mix two versions
                part.unlink(missing_ok=True)
                write_json(_record(part), asdict(_version(response, total)))
            with part.open("r+b" if start else "wb") as file:
                file.truncate(start)
                file.seek(start)
                for num_bytes in _write_blocks(_blocks(response), file, start, limits, url):
                    if progress is not None and total is not None:
                        progress(round(num_bytes / _MB), round(total / _MB))
    if total is not None and _size(part) != total:
        raise _TransientError(f"the response ended after {_size(part)} of {total} bytes")
    if total is None:
        write_json(_record(part), asdict(_version(response, _size(part))))


@contextmanager
def _response(
    url: str, partial: _Partial, limits: TransferLimits, token: BearerToken | None
) -> Iterator["requests.Response"]:
    """Request the missing bytes, following redirects; yield the open response."""
    import requests

    headers = {"Accept-Encoding": "identity", "User-Agent": "topdis-gan"}
    if partial.version is not None:
        headers |= {"Range": f"bytes={partial.num_bytes}-", "If-Range": partial.version.validator}
    timeout = (limits.connect_timeout_s, limits.read_timeout_s)
    with requests.Session() as session:
        for _ in range(limits.max_redirects + 1):
            require_https(url)
            try:
                response = session.get(
                    url, headers=headers, stream=True, allow_redirects=False, timeout=timeout, auth=token
                )
            except requests.exceptions.SSLError as error:
                raise DownloadError(f"the certificate of {urlsplit(url).netloc} is not valid: {error}") from error
            except (requests.ConnectionError, requests.Timeout) as error:
                raise _TransientError(f"{urlsplit(url).netloc} does not answer ({type(error).__name__})") from error
            except (requests.RequestException, ValueError) as error:
                raise DownloadError(f"cannot download {shown_url(url)}: {error}; check the address") from error
            if response.status_code not in _REDIRECT_STATUSES or "Location" not in response.headers:
                with response:
                    yield response
                return
            response.close()
            url = _join(url, response.headers["Location"])
    raise DownloadError(f"{shown_url(url)} exceeds the limit of {limits.max_redirects} redirects; check the address")


def _join(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise DownloadError(f"{shown_url(url)} redirects to {location!r}, which is not an address: {error}") from error


def _plan(response: "requests.Response", partial: _Partial, part: Path, url: str) -> tuple[int, int | None]:
    """Return the position of the response's first byte in the file, and the file's size if it is known."""
    status = response.status_code
    if status == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if _LENGTH.fullmatch(length) else None
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if status == 206 and match and int(match[1]) == partial.num_bytes and partial.version is not None:
        total = int(match[3])
        expected = partial.version if partial.version.total is not None else replace(partial.version, total=total)
        if _version(response, total) == expected:
            return partial.num_bytes, total
    if status in (206, 416):  # not the requested range, or the bytes of the earlier attempt cannot be used
        part.unlink(missing_ok=True)
        raise _TransientError("the server cannot resume the download")
    if status in _RETRY_STATUSES:
        raise _TransientError(f"the server answered {status} {response.reason}")
    raise DownloadError(f"{shown_url(url)}: the server answered {status} {response.reason}; check the address")


def _check_response(response: "requests.Response", total: int | None, limits: TransferLimits, url: str) -> None:
    if total is not None and total > limits.max_bytes:
        raise DownloadError(f"{shown_url(url)} has {total} bytes, allowed are {limits.max_bytes}")
    if total == 0:
        raise DownloadError(f"{shown_url(url)} is empty; check the address")
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise DownloadError(f"{shown_url(url)}: the server sent it compressed, against the request")
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html":
        raise DownloadError(f"{shown_url(url)} is a web page, not a file; open it in a browser and give the file")


def _write_blocks(
    blocks: Iterator[bytes], file: BinaryIO, num_bytes: int, limits: TransferLimits, url: str
) -> Iterator[int]:
    """Write `blocks` within the limits of size and rate; yield the file's size after each."""
    window_start_s, window_bytes = time.monotonic(), 0
    for block in blocks:
        num_bytes += len(block)
        window_bytes += len(block)
        if num_bytes > limits.max_bytes:
            file.truncate(0)
            raise DownloadError(f"{shown_url(url)} exceeds the limit of {limits.max_bytes} bytes")
        file.write(block)
        window_s = time.monotonic() - window_start_s
        if window_s >= limits.rate_window_s:
            if window_bytes < limits.min_bytes_per_s * window_s:
                raise _TransientError(f"only {window_bytes} bytes were received in {window_s:.0f} s")
            window_start_s, window_bytes = time.monotonic(), 0
        yield num_bytes
    file.flush()
    os.fsync(file.fileno())


def _blocks(response: "requests.Response") -> Iterator[bytes]:
    """Yield the body as it arrives: read1 returns the available bytes, so that a low rate is detected."""
    from urllib3.exceptions import HTTPError

    read: Callable[[int], bytes] = getattr(response.raw, "read1", response.raw.read)
    try:
        while block := read(1 << 16):
            yield block
    except (HTTPError, OSError) as error:
        raise _TransientError(f"the connection broke ({type(error).__name__})") from error


def _version(response: "requests.Response", total: int | None) -> _Version:
    return _Version(validator=_validator(response), total=total, source=shown_url(response.url))


def _validator(response: "requests.Response") -> str:
    """Return a validator for If-Range: a strong ETag, else a date that is a strong validator, else "".

    A date is a strong validator if the file had not changed for a second when it was sent (RFC 9110, 8.8.2.2).
    """
    tag, changed = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
    if tag:
        return tag if tag.startswith('"') and _VALIDATOR.fullmatch(tag) else ""
    try:
        age = parsedate_to_datetime(response.headers.get("Date", "")) - parsedate_to_datetime(changed)
        return changed if age.total_seconds() >= 1 else ""
    except (ValueError, TypeError):  # no date, or a date without a time zone
        return ""


def _read_partial(part: Path) -> _Partial:
    try:
        version = _Version(**read_json(_record(part)))
        partial = _Partial(num_bytes=part.stat().st_size, version=version)
    except (OSError, ValueError, TypeError):
        return _Partial()
    usable = version.is_valid() and (partial.complete or (version.validator and partial.num_bytes))
    return partial if usable else _Partial()


def _record(part: Path) -> Path:
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
