"""The published networks that can be named instead of given as a file.

The files are NVIDIA's and stay on NVIDIA's servers, under NVIDIA's licences (the weights of 2020 under the
Nvidia Source Code License, non-commercial; see the pages below); nothing of them is part of this package.

Where the addresses come from:
    "ada"       file names and folder in the table "Data repository" of the README of NVlabs/stylegan2-ada-pytorch
    "transfer"  full addresses, as that repository's train.py lists them for transfer learning
    "config-f"  file names of NVlabs/stylegan2's pretrained_networks.py, in the https folder from which the
                README of NVlabs/stylegan2-ada-pytorch takes stylegan2-cat-config-f.pkl

NVIDIA publishes no SHA-256 of them, so `sha256` is None throughout: the sum of the first download is recorded and
every later one compared with it.

Example:
    >>> ZOO["ffhq256"].resolution_px
    256
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["ZOO", "ZooEntry"]

_ADA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/"
_TRANSFER = f"{_ADA}transfer-learning-source-nets/"
_CONFIG_F = "https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/"


@dataclass(frozen=True, kw_only=True)
class ZooEntry:
    """A published network.

    Attributes:
        name: what to call it.
        url: where it is.
        shows: what its images show.
        resolution_px: side of its (square) canvas.
        source: which page of NVIDIA's the address is from (see the module).
        sha256: of the file, where its publisher tells it.
    """

    name: str
    url: str
    shows: str
    resolution_px: int
    source: Literal["ada", "transfer", "config-f"]
    sha256: str | None = None


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
