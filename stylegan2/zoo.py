"""The packaged and published networks, and the local file of a path, an https or hf address or a name of theirs.

The published files stay on the servers of others, under their authors' licenses (NVIDIA's weights of 2020: the Nvidia
Source Code License, non-commercial; see the pages below); this package contains no part of them. Sources of the
addresses:

    "ada"             NVIDIA: file names and folder in the table "Data repository" of the README of
                      NVlabs/stylegan2-ada-pytorch
    "transfer"        NVIDIA: full addresses, as listed for transfer learning in that repository's train.py
    "config-f"        NVIDIA: file names in NVlabs/stylegan2's pretrained_networks.py, in the https folder from which
                      the README of NVlabs/stylegan2-ada-pytorch takes stylegan2-cat-config-f.pkl
    "human"           Fu et al. 2022, arXiv:2204.11823, stylegan-human/StyleGAN-Human; the authors' files in the
                      hub's repository ZeqiangLai/StyleGAN2-pkl, from which Zeqiang-Lai/DragGAN downloads them
    "self-distilled"  Mokady et al. 2022, arXiv:2202.12211, self-distilled-stylegan/self-distilled-internet-photos; in
                      the same repository of the hub
    "lhq"             Pinkney, in his repository of the hub (MIT license); the address is in PDillis/stylegan3-fun

NVIDIA publishes no SHA-256: the checksum of the first download is recorded, and later ones must match it
(`ganspace_topdis.runs.downloads`, which also explains TOPDIS_CACHE and TOPDIS_OFFLINE). The hub publishes those of its
files; where the entry pins a commit, `sha256` is the one on that commit's page. No torch is imported here.

Example:
    >>> ZOO["ffhq256"].resolution_px
    256
    >>> locate("locate_me.pkl")
    Traceback (most recent call last):
    ...
    ganspace_topdis.errors.CheckpointError: no file at locate_me.pkl; check the path
"""

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.downloads import cached_file, fetch
from ganspace_topdis.runs.hub import fetch_from_hub, is_cached, is_hub_address
from ganspace_topdis.runs.progress import Progress

__all__ = ["ASSETS", "PACKAGED", "ZOO", "ZooEntry", "is_on_this_machine", "is_published", "locate"]

ASSETS = Path(__file__).parent / "assets"
PACKAGED = ("scenes", "scenes-64", "scenes-fitted", "pebbles")

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_NVIDIA, _HUB = "https://nvlabs-fi-cdn.nvidia.com/", "hf://ZeqiangLai/StyleGAN2-pkl/"
_HUB_COMMIT = "422f40439ddaa6d041cf698347f08e9bdf9f6036"

Source = Literal["ada", "transfer", "config-f", "human", "self-distilled", "lhq"]
_ADDRESSES: dict[Source, str] = {
    "ada": _NVIDIA + "stylegan2-ada-pytorch/pretrained/{}.pkl",
    "transfer": _NVIDIA + "stylegan2-ada-pytorch/pretrained/transfer-learning-source-nets/{}.pkl",
    "config-f": _NVIDIA + "stylegan2/networks/stylegan2-{}.pkl",
    "human": f"{_HUB}human/{{}}.pkl@{_HUB_COMMIT}",
    "self-distilled": f"{_HUB}self_distill/{{}}.pkl@{_HUB_COMMIT}",
    "lhq": "hf://justinpinkney/lhq-sg2-1024/{}.pkl",
}


@dataclass(frozen=True, kw_only=True)
class ZooEntry:
    """A published network.

    Attributes:
        name: its name on the command line.
        url: its address.
        shows: the content of its images.
        resolution_px: height of its images.
        source: the page that lists the address (see the module).
        sha256: checksum, if published.
    """

    name: str
    url: str
    shows: str
    resolution_px: int
    source: Source
    sha256: str | None = None


def locate(path_or_url_or_name: str | os.PathLike[str], progress: Progress | None = None) -> Path:
    """Return the local file of a path, an https or hf address, or the name of a packaged or published network.

    An address or name is downloaded once, and its SHA-256 is verified before the file is parsed. An existing file takes
    precedence over the name of a published network.

    Args:
        path_or_url_or_name: "runs/my.pkl", "https://.../ffhq.pkl", "hf://owner/repo/ffhq.pkl@revision" or "ffhq".
        progress: called as `progress(megabytes, total_megabytes)` during a download.

    Raises:
        CheckpointError: there is no such file or name; the message lists the closest names.
        DownloadError: the download failed or the SHA-256 differs.
    """
    given = os.fspath(path_or_url_or_name)
    if path_or_url_or_name in PACKAGED:
        return ASSETS / f"{given.replace('-', '_')}.safetensors"
    if is_hub_address(given):
        return fetch_from_hub(given, progress=progress)
    if _ADDRESS.match(given):
        return fetch(given, progress=progress)
    path = Path(given)
    if _exists(path) or not isinstance(path_or_url_or_name, str):
        return _existing(path)
    if entry := ZOO.get(given):
        download = fetch_from_hub if is_hub_address(entry.url) else fetch
        return download(entry.url, sha256=entry.sha256, progress=progress)
    if near := difflib.get_close_matches(given, PACKAGED, n=1, cutoff=0.7):
        raise CheckpointError(f"{given!r} is neither a file nor a known network; did you mean {near[0]!r}?")
    if path.suffix or len(path.parts) != 1:
        return _existing(path)
    nearest = difflib.get_close_matches(given, ZOO, n=3, cutoff=0)
    raise CheckpointError(
        f"{given!r} is neither a file nor a known network; the nearest of those are {', '.join(nearest)}"
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise CheckpointError(f"{str(path)[:80]!r} cannot be opened: {error.strerror}; check the path") from error


def _existing(path: Path) -> Path:
    if not _exists(path):
        raise CheckpointError(f"no file at {path}; check the path")
    if not path.is_file():
        raise CheckpointError(f"{path} is no file; give the checkpoint itself")
    return path


def is_published(name: str) -> bool:
    """Whether `name` is an https or hf address or a packaged or published network, thus no file of this machine."""
    return name in PACKAGED or name in ZOO or name.startswith("https://") or is_hub_address(name)


def is_on_this_machine(name: str) -> bool:
    """Whether `name` is loaded without a download."""
    if Path(name).is_file() or name in PACKAGED:
        return True
    url = ZOO[name].url if name in ZOO else name
    if is_hub_address(url):
        return is_cached(url)
    return not url.startswith("https://") or cached_file(url) is not None


def _entry(
    name: str, resolution_px: int, shows: str, *, source: Source, file: str | None = None, sha256: str | None = None
) -> ZooEntry:
    """An entry whose file is `file`, by default named as the entry, at the address of its source."""
    url = _ADDRESSES[source].format(file or name)
    return ZooEntry(name=name, url=url, shows=shows, resolution_px=resolution_px, source=source, sha256=sha256)


def _human(height_px: int, sha256: str) -> ZooEntry:
    shows, file = f"clothed people (SHHQ), {height_px} x {height_px // 2}", f"stylegan_human_v2_{height_px}"
    return _entry(f"human-{height_px}", height_px, shows, source="human", file=file, sha256=sha256)


def _self_distilled(name: str, resolution_px: int, sha256: str) -> ZooEntry:
    shows, file = f"{name}, from photographs of the internet", f"{name}_{resolution_px}_pytorch"
    return _entry(f"sd-{name}", resolution_px, shows, source="self-distilled", file=file, sha256=sha256)


_ENTRIES = (
    _entry("ffhq", 1024, "faces (FFHQ)", source="ada"),
    _entry("metfaces", 1024, "painted and sculpted faces (MetFaces)", source="ada"),
    _entry("afhqcat", 512, "cats (AFHQ)", source="ada"),
    _entry("afhqdog", 512, "dogs (AFHQ)", source="ada"),
    _entry("afhqwild", 512, "wild animals (AFHQ)", source="ada"),
    _entry("brecahad", 512, "breast tissue (BreCaHAD)", source="ada"),
    _entry("cifar10", 32, "ten classes of things, conditional (CIFAR-10)", source="ada"),
    _entry("ffhq256", 256, "faces (FFHQ)", source="transfer", file="ffhq-res256-mirror-paper256-noaug"),
    _entry("ffhq512", 512, "faces (FFHQ)", source="transfer", file="ffhq-res512-mirror-stylegan2-noaug"),
    _entry("ffhq1024", 1024, "faces (FFHQ)", source="transfer", file="ffhq-res1024-mirror-stylegan2-noaug"),
    _entry(
        "celebahq256",
        256,
        "faces (CelebA-HQ)",
        source="transfer",
        file="celebahq-res256-mirror-paper256-kimg100000-ada-target0.5",
    ),
    _entry("lsundog256", 256, "dogs (LSUN)", source="transfer", file="lsundog-res256-paper256-kimg100000-noaug"),
    _entry("ffhq-config-f", 1024, "faces (FFHQ)", source="config-f"),
    _entry("car-config-f", 512, "cars (LSUN), 512 x 384 in a square", source="config-f"),
    _entry("cat-config-f", 256, "cats (LSUN)", source="config-f"),
    _entry("church-config-f", 256, "churches (LSUN)", source="config-f"),
    _entry("horse-config-f", 256, "horses (LSUN)", source="config-f"),
    _human(512, "7af33f638e3b3aba7bf99456eec3e9d4a022d8a7dd67683a3605a7dd37665a3b"),
    _human(1024, "16946ec5dd1718daa236999e1ceed3b5a40b8faa8c3de3ad5fda396620f29e7a"),
    _self_distilled("bicycles", 256, "f4f0cd402d11843257688afd31b2481efc3853cffb5d46e9669563f2d27d8131"),
    _self_distilled("dogs", 1024, "c9e93090d02916165a602c728c0e37458fc0c58fbc58e4d75bcd096bb81c7e8c"),
    _self_distilled("elephants", 512, "56504894f6d7121959af78a74148cf1e9d858e3710312efb11c41dbf27684363"),
    _self_distilled("giraffes", 512, "2d0976d4602f054d048de9e0d9b3171bb72a269cfd14896c75547ab59b1cc7cf"),
    _self_distilled("horses", 256, "f100dc32e2731a293f3b31a9038416f72aa5cc30555b3315a82e19c065f81b0c"),
    _self_distilled("lions", 512, "0a01ff8344521171b1a2eff1e9a51c1acbc48221bdc2594919187f66a3942bcc"),
    _self_distilled("parrots", 512, "911e7fd6aad6fcaf89ed5aefccd4602b44611a467d5588d9e0e9e8fbbc2f715a"),
    _entry("lhq1024", 1024, "landscapes (LHQ)", source="lhq", file="lhq-sg2-1024"),
)

ZOO: dict[str, ZooEntry] = {entry.name: entry for entry in _ENTRIES}
"""The published networks by name."""
