"""The published networks, and the local file of a path, an https or hf address or a name of theirs.

The files are NVIDIA's and stay on NVIDIA's servers, under NVIDIA's licenses (the weights of 2020 under the Nvidia
Source Code License, non-commercial; see the pages below); this package contains no part of them. Sources of the
addresses:

    "ada"       file names and folder in the table "Data repository" of the README of NVlabs/stylegan2-ada-pytorch
    "transfer"  full addresses, as listed for transfer learning in that repository's train.py
    "config-f"  file names in NVlabs/stylegan2's pretrained_networks.py, in the https folder from which the README of
                NVlabs/stylegan2-ada-pytorch takes stylegan2-cat-config-f.pkl

NVIDIA publishes no SHA-256, so `sha256` is None throughout: the checksum of the first download is recorded, and later
ones must match it (`ganspace_topdis.runs.downloads`, which also explains TOPDIS_CACHE and TOPDIS_OFFLINE).

Example:
    >>> ZOO["ffhq256"].resolution_px
    256
    >>> resolve("resolve_me.pkl")
    Traceback (most recent call last):
    ...
    ganspace_topdis.errors.CheckpointError: no file at resolve_me.pkl; check the path
"""

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.downloads import fetch
from ganspace_topdis.runs.hub import fetch_from_hub, is_hub_address
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.runs.transfer import TransferLimits

__all__ = ["ZOO", "ZooEntry", "resolve"]

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_ADA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/"
_TRANSFER = f"{_ADA}transfer-learning-source-nets/"
_CONFIG_F = "https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/"


@dataclass(frozen=True, kw_only=True)
class ZooEntry:
    """A published network.

    Attributes:
        name: its name on the command line.
        url: its address.
        shows: the content of its images.
        resolution_px: side of its square images.
        source: the page that lists the address (see the module).
        sha256: checksum, if published.
    """

    name: str
    url: str
    shows: str
    resolution_px: int
    source: Literal["ada", "transfer", "config-f"]
    sha256: str | None = None


def resolve(
    path_or_url_or_name: str | os.PathLike[str],
    *,
    limits: TransferLimits | None = None,
    progress: Progress | None = None,
) -> Path:
    """Return the local file of a path, an https or hf address, or the name of a published network.

    An address or name is downloaded once, and its SHA-256 is verified before the file is parsed. An existing file takes
    precedence over a name.

    Args:
        path_or_url_or_name: "runs/my.pkl", "https://.../ffhq.pkl", "hf://owner/repo/ffhq.pkl@revision" or "ffhq".
        limits: bounds on what a server may send, such as `max_bytes`.
        progress: called as `progress(megabytes, total_megabytes)` during a download.

    Raises:
        CheckpointError: there is no such file or name; the message lists the closest names.
        DownloadError: the download failed or the SHA-256 differs.
    """
    given = os.fspath(path_or_url_or_name)
    if is_hub_address(given):
        return fetch_from_hub(given, limits=limits, progress=progress)
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


def _ada(name: str, resolution_px: int, shows: str) -> ZooEntry:
    return ZooEntry(name=name, url=f"{_ADA}{name}.pkl", shows=shows, resolution_px=resolution_px, source="ada")


def _transfer(name: str, resolution_px: int, file: str, shows: str) -> ZooEntry:
    url = f"{_TRANSFER}{file}.pkl"
    return ZooEntry(name=name, url=url, shows=shows, resolution_px=resolution_px, source="transfer")


def _config_f(name: str, resolution_px: int, shows: str) -> ZooEntry:
    url = f"{_CONFIG_F}stylegan2-{name}.pkl"
    return ZooEntry(name=name, url=url, shows=shows, resolution_px=resolution_px, source="config-f")


_ENTRIES = (
    _ada("ffhq", 1024, "faces (FFHQ)"),
    _ada("metfaces", 1024, "painted and sculpted faces (MetFaces)"),
    _ada("afhqcat", 512, "cats (AFHQ)"),
    _ada("afhqdog", 512, "dogs (AFHQ)"),
    _ada("afhqwild", 512, "wild animals (AFHQ)"),
    _ada("brecahad", 512, "breast tissue (BreCaHAD)"),
    _ada("cifar10", 32, "ten classes of things, conditional (CIFAR-10)"),
    _transfer("ffhq256", 256, "ffhq-res256-mirror-paper256-noaug", "faces (FFHQ)"),
    _transfer("ffhq512", 512, "ffhq-res512-mirror-stylegan2-noaug", "faces (FFHQ)"),
    _transfer("ffhq1024", 1024, "ffhq-res1024-mirror-stylegan2-noaug", "faces (FFHQ)"),
    _transfer("celebahq256", 256, "celebahq-res256-mirror-paper256-kimg100000-ada-target0.5", "faces (CelebA-HQ)"),
    _transfer("lsundog256", 256, "lsundog-res256-paper256-kimg100000-noaug", "dogs (LSUN)"),
    _config_f("ffhq-config-f", 1024, "faces (FFHQ)"),
    _config_f("car-config-f", 512, "cars (LSUN), 512 x 384 in a square"),
    _config_f("cat-config-f", 256, "cats (LSUN)"),
    _config_f("church-config-f", 256, "churches (LSUN)"),
    _config_f("horse-config-f", 256, "horses (LSUN)"),
)

ZOO: dict[str, ZooEntry] = {entry.name: entry for entry in _ENTRIES}
"""The published networks by name."""
