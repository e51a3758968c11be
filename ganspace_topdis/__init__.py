"""Latent directions that change one thing each, found and measured by topology (TopDis, Balabin et al. 2024).

Everything public is imported from here, on first use: the command line answers `--help` without loading torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganspace_topdis.discovery import Discovery, DiscoverySettings, discover_directions
    from ganspace_topdis.latent import Directions, gaussian_shift, orthogonalize_gradient
    from ganspace_topdis.topology import CrossBarcode, RTDLoss, cross_barcode, rtd, rtd_lite, rtd_score
    from ganspace_topdis.traversal.walks import walk

__all__ = [
    "CrossBarcode",
    "Directions",
    "Discovery",
    "DiscoverySettings",
    "RTDLoss",
    "cross_barcode",
    "discover_directions",
    "gaussian_shift",
    "orthogonalize_gradient",
    "rtd",
    "rtd_lite",
    "rtd_score",
    "walk",
]

__version__ = "0.1.0"

_PACKAGES = ("topology", "latent", "discovery", "traversal.walks")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for package in _PACKAGES:
            module = importlib.import_module(f"{__name__}.{package}")
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
