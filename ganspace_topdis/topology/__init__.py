"""Topology of pairs of point clouds: the exact R-Cross-Barcode and the divergences read off it."""

from ganspace_topdis.topology.barcode import CrossBarcode, cross_barcode
from ganspace_topdis.topology.plot import cloud_barcodes, plot_bars
from ganspace_topdis.topology.rtd import RTDLoss, RTDScore, rtd, rtd_score
from ganspace_topdis.topology.rtd_lite import LiteBarcode, lite_barcode, rtd_lite

__all__ = [
    "CrossBarcode",
    "LiteBarcode",
    "RTDLoss",
    "RTDScore",
    "cloud_barcodes",
    "cross_barcode",
    "lite_barcode",
    "plot_bars",
    "rtd",
    "rtd_lite",
    "rtd_score",
]
