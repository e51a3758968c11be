"""Latent directions that change one thing each, found and measured by topology (TopDis, Balabin et al. 2024).

Everything public is imported from here, on first use: the command line answers `--help` without loading torch.
"""

from typing import TYPE_CHECKING

from ganspace_topdis.lazy import import_on_first_use

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

__getattr__, __dir__ = import_on_first_use(
    __name__,
    {
        "CrossBarcode": "topology",
        "Directions": "latent",
        "Discovery": "discovery",
        "DiscoverySettings": "discovery",
        "RTDLoss": "topology",
        "cross_barcode": "topology",
        "discover_directions": "discovery",
        "gaussian_shift": "latent",
        "orthogonalize_gradient": "latent",
        "rtd": "topology",
        "rtd_lite": "topology",
        "rtd_score": "topology",
        "walk": "traversal.walks",
    },
)
