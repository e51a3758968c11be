"""Files of the Hugging Face Hub: `fetch_from_hub("hf://owner/repo/path@revision")` returns a verified local copy.

A revision (a branch, a tag or a commit; "main" by default) is resolved once, by a HEAD request, to a commit, and the
cache remembers it: the same address means the same bytes from then on, without a network. The hub publishes the
SHA-256 of files in Git LFS (the header X-Linked-ETag), which the copy must have; a small file outside LFS gets the
checksum of its first download. Source: "Download files" and "Environment variables" in the documentation of
huggingface_hub (https://huggingface.co/docs/huggingface_hub).

    HF_ENDPOINT    another server than https://huggingface.co
    HF_TOKEN       the token for private and gated repositories; else the file that `hf auth login` writes, in HF_HOME
                   or ~/.cache/huggingface. Only the endpoint gets it, never the server that it redirects to
"""

import hashlib
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from ganspace_topdis.runs.downloads import cache_folder, cached_file, fetch, is_offline
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.runs.reading import read_json
from ganspace_topdis.runs.transfer import BearerToken, DownloadError, TransferLimits, require_https

if TYPE_CHECKING:
    import requests

__all__ = ["HubAddress", "fetch_from_hub", "is_cached", "is_hub_address", "pinned"]

_ADDRESS = re.compile(
    r"hf:/{1,2}(?P<owner>[\w.-]+)/(?P<repo>[\w.-]+)(?:@(?P<early>[^/@\s]+))?/(?P<path>[^@\s]+)(?:@(?P<late>[^@\s]+))?"
)
"""Two slashes as they are typed, one as `Path` keeps them. The revision may also follow the repository."""

_FORM = "give hf://owner/repo/path/to/file, with @revision at its end for a branch, tag or commit"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REDIRECTS, _MAX_REDIRECTS = (301, 302, 303, 307, 308), 5


@dataclass(frozen=True, kw_only=True)
class HubAddress:
    """A file in a model repository of the hub, at a revision."""

    owner: str
    repo: str
    path: str
    revision: str = "main"

    @classmethod
    def parse(cls, text: str) -> "HubAddress":
        """The address that `text` spells.

        Raises:
            DownloadError: it is not an address of this form.

        Example:
            >>> HubAddress.parse("hf://me/nets/ffhq.pkl@v1").revision
            'v1'
        """
        match = _ADDRESS.fullmatch(text)
        if match is None or (match["early"] and match["late"]) or not _is_inside(match["path"]):
            raise DownloadError(f"{text!r} is not a file of the Hugging Face Hub; {_FORM}")
        revision = match["early"] or match["late"] or "main"
        return cls(owner=match["owner"], repo=match["repo"], path=match["path"], revision=revision)

    def __str__(self) -> str:
        return f"hf://{self.owner}/{self.repo}/{self.path}@{self.revision}"

    @property
    def repository(self) -> str:
        """owner/repo."""
        return f"{self.owner}/{self.repo}"

    def url(self, revision: str) -> str:
        """The file's address on the server at a revision."""
        return f"{_endpoint()}/{self.repository}/resolve/{quote(revision, safe='')}/{quote(self.path)}"


def is_hub_address(text: str | os.PathLike[str]) -> bool:
    """Whether `text` starts with hf://, also as a `Path`, which keeps one of the two slashes."""
    return _posix(text).startswith("hf:/")


def fetch_from_hub(
    text: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    limits: TransferLimits | None = None,
    progress: Progress | None = None,
) -> Path:
    """Return the verified file at an hf:// address, from the cache or downloaded into it.

    Args:
        text: hf://owner/repo/path, with @revision at its end or after the repository.
        sha256: the expected SHA-256; None: the one that the hub publishes.
        limits: bounds on what the server may send.
        progress: called with megabytes during a download.

    Raises:
        DownloadError: there is no such repository, revision or file; it is private; there is no network; or the
            SHA-256 differs.
    """
    address = HubAddress.parse(_posix(text))
    pin, token = _Pin.read(address), _token()
    url = None if pin is None else address.url(pin.commit)
    if pin is None or url is None or (cached_file(url) is None and not is_offline()):
        if is_offline():
            raise DownloadError(
                f"{address} is not in the cache {cache_folder()}, and TOPDIS_OFFLINE forbids downloading it; "
                "give a local file"
            )
        pin = _look_up(address, address.revision if pin is None else pin.commit, token)
        pin.write(address)
        url = address.url(pin.commit)
    bearer = None if token is None else BearerToken(token=token, host=urlsplit(url).netloc)
    return fetch(url, sha256=sha256 or pin.sha256, limits=limits, progress=progress, token=bearer)


def is_cached(text: str) -> bool:
    """Whether the file at an hf:// address is in the cache, so that no network is needed."""
    address = HubAddress.parse(text)
    pin = _Pin.read(address)
    return pin is not None and cached_file(address.url(pin.commit)) is not None


def pinned(text: str) -> str:
    """`text` with the commit that its revision was resolved to, if it is an address in the cache; else unchanged."""
    if not is_hub_address(text):
        return text
    address = HubAddress.parse(text)
    pin = _Pin.read(address)
    return text if pin is None else str(HubAddress(**{**asdict(address), "revision": pin.commit}))


@dataclass(frozen=True, kw_only=True)
class _Pin:
    """What a revision was resolved to: the commit, and the file's SHA-256 if the hub publishes one."""

    commit: str
    sha256: str | None

    @staticmethod
    def file(address: HubAddress) -> Path:
        key = hashlib.sha256(f"{_endpoint()} {address}".encode()).hexdigest()[:16]
        return cache_folder() / "hub" / f"{key}.json"

    @classmethod
    def read(cls, address: HubAddress) -> "_Pin | None":
        try:
            known = read_json(cls.file(address))
            pin = cls(commit=known["commit"], sha256=known["sha256"])
            valid = _COMMIT.fullmatch(pin.commit) and (pin.sha256 is None or _SHA256.fullmatch(pin.sha256))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return pin if valid else None

    def write(self, address: HubAddress) -> None:
        file = self.file(address)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DownloadError(
                f"cannot make {file.parent}: {error.strerror}; set TOPDIS_CACHE to a writable folder"
            ) from error
        write_json(file, {"address": str(address), **asdict(self)})


def _look_up(address: HubAddress, revision: str, token: str | None) -> _Pin:
    """Ask the hub for the commit of a revision and the SHA-256 of the file there."""
    headers = _head(address, address.url(revision), token)
    commit, tag = headers.get("X-Repo-Commit", ""), headers.get("X-Linked-ETag", "").strip('"')
    if not _COMMIT.fullmatch(commit):
        raise DownloadError(
            f"{_endpoint()} did not name the commit of {address}; check HF_ENDPOINT, or download the file yourself"
        )
    return _Pin(commit=commit, sha256=tag if _SHA256.fullmatch(tag) else None)


def _head(address: HubAddress, url: str, token: str | None) -> "requests.structures.CaseInsensitiveDict[str]":
    """The headers for a file; redirects are followed on the endpoint only, as those of renamed repositories."""
    import requests

    for _ in range(_MAX_REDIRECTS + 1):
        require_https(url)
        auth = None if token is None else BearerToken(token=token, host=urlsplit(url).netloc)
        try:
            response = requests.head(url, auth=auth, allow_redirects=False, timeout=(10, 30), headers=_AGENT)
        except requests.RequestException as error:
            raise DownloadError(
                f"{urlsplit(url).netloc} does not answer ({type(error).__name__}), which is needed once for {address}; "
                "check the network, or give a local file"
            ) from error
        location = response.headers.get("Location")
        if response.status_code not in _REDIRECTS or location is None or "X-Repo-Commit" in response.headers:
            _check(response, address, has_token=token is not None)
            return response.headers
        following = urljoin(url, location)
        if urlsplit(following).netloc != urlsplit(url).netloc:
            raise DownloadError(f"{address} redirects to {urlsplit(following).netloc}; check HF_ENDPOINT")
        url = following
    raise DownloadError(f"{address} exceeds the limit of {_MAX_REDIRECTS} redirects; check the address")


_AGENT = {"Accept-Encoding": "identity", "User-Agent": "topdis-gan"}
_LOG_IN = "set HF_TOKEN to a token that may read it, or log in with `hf auth login`"


def _check(response: "requests.Response", address: HubAddress, *, has_token: bool) -> None:
    """Raise for a status that is an error. The hub answers 401 for repositories that it does not show or have."""
    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    if status < 400:
        return
    where = f"{address.repository} on {urlsplit(_endpoint()).netloc}"
    if code == "GatedRepo":
        raise DownloadError(f"{where} is gated: accept its terms on its page, then {_LOG_IN}")
    if status in (401, 403):
        why = "your token may not read it" if has_token else "it is private, or does not exist"
        raise DownloadError(f"{where} cannot be read: {why}; check the name, or {_LOG_IN}")
    if code == "RepoNotFound":
        raise DownloadError(f"there is no repository {where}; check the name, or {_LOG_IN}")
    if code == "RevisionNotFound":
        raise DownloadError(
            f"{where} has no revision {address.revision!r}; give a branch, tag or commit of its page, or leave @ out"
        )
    if status == 404:
        raise DownloadError(
            f"{where} has no file {address.path} at {address.revision}; its files are listed at "
            f"{_endpoint()}/{address.repository}/tree/{address.revision}"
        )
    raise DownloadError(f"{where}: the server answered {status} {response.reason}; try again later")


def _posix(text: str | os.PathLike[str]) -> str:
    return text.as_posix() if isinstance(text, Path) else os.fspath(text)


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def _token() -> str | None:
    """The user's token, or None."""
    if given := os.environ.get("HF_TOKEN", "").strip():
        return given
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    try:
        return (Path(home).expanduser() / "token").read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None


def _is_inside(path: str) -> bool:
    return not any(part in ("", ".", "..") for part in path.split("/"))
