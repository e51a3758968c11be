"""From what a user gives for a checkpoint to a local file: a path, an https address, or a name of the zoo.

`resolve` downloads at most once (see `ganspace_topdis.runs.downloads` for the cache, TOPDIS_CACHE and
TOPDIS_OFFLINE) and checks every SHA-256 before anybody parses the file.

Example:
    >>> resolve("resolve_me.pkl")
    Traceback (most recent call last):
    ...
    ganspace_topdis.errors.CheckpointError: no file at resolve_me.pkl; check the path
"""

import difflib
import os
import re
from pathlib import Path

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.downloads import fetch
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.runs.transfer import TransferLimits
from stylegan2.zoo import ZOO

__all__ = ["resolve"]

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


def resolve(
    path_or_url_or_name: str | os.PathLike[str],
    *,
    limits: TransferLimits | None = None,
    progress: Progress | None = None,
) -> Path:
    """The local file that a path, an https address or a name of the zoo means.

    A file that exists comes before a name of the zoo.

    Args:
        path_or_url_or_name: "runs/my.pkl", "https://.../ffhq.pkl" or "ffhq".
        limits: how far a server is trusted; the size cap is `TransferLimits.max_bytes`.
        progress: called as `progress(megabytes, megabytes_in_all)` while something is downloaded.

    Raises:
        CheckpointError: there is no such file, and no such name; the nearest names are told.
        DownloadError: it could not be downloaded, or is not what was expected.
    """
    given = os.fspath(path_or_url_or_name)
    if _ADDRESS.match(given):
        return fetch(given, limits=limits, progress=progress)
    path = Path(given)
    if path.exists() or not isinstance(path_or_url_or_name, str):
        return _existing(path)
    if entry := ZOO.get(given):
        return fetch(entry.url, sha256=entry.sha256, limits=limits, progress=progress)
    if path.suffix or len(path.parts) != 1:
        return _existing(path)
    nearest = difflib.get_close_matches(given, ZOO, n=3, cutoff=0)
    raise CheckpointError(
        f"{given!r} is neither a file nor a known network; the nearest of those are {', '.join(nearest)}"
    )


def _existing(path: Path) -> Path:
    if not path.exists():
        raise CheckpointError(f"no file at {path}; check the path")
    if not path.is_file():
        raise CheckpointError(f"{path} is no file; give the checkpoint itself")
    return path
