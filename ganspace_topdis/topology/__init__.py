"""Topology of pairs of point clouds: the exact R-Cross-Barcode and the divergences read off it."""

from ganspace_topdis.topology.barcode import CrossBarcode, cross_barcode
from ganspace_topdis.topology.rtd import RTDLoss, rtd
from ganspace_topdis.topology.rtd_lite import rtd_lite

__all__ = ["CrossBarcode", "RTDLoss", "cross_barcode", "rtd", "rtd_lite"]
