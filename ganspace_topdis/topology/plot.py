"""The plot of a cross-barcode: one horizontal line per bar, in order of birth, for both directions of a pair."""

import io
from pathlib import Path

import torch
from torch import Tensor

from ganspace_topdis.errors import MissingDependencyError
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.topology.barcode import CrossBarcode, cross_barcode
from ganspace_topdis.topology.distances import as_point_pairs, normalized_distances

__all__ = ["cloud_barcodes", "plot_bars"]


def cloud_barcodes(x: Tensor, y: Tensor) -> tuple[CrossBarcode, CrossBarcode]:
    """The min-variant cross-barcodes (A, min(A, B)) and (B, min(A, B)) of two clouds (N, ...).

    Raises:
        InvalidArgumentError: the clouds do not fit each other or are not finite.
    """
    A, B = (normalized_distances(points).cpu() for points in as_point_pairs(x.detach(), y.detach()))
    inner = torch.minimum(A, B).numpy()
    return cross_barcode(A.numpy(), inner), cross_barcode(B.numpy(), inner)


def plot_bars(x: Tensor, y: Tensor, path: Path | str, *, names: tuple[str, str] = ("X", "Y")) -> Path:
    """Plot the two cross-barcodes of clouds x, y (N, ...) to a PNG at `path`, and return it.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        InvalidArgumentError: clouds that `cloud_barcodes` refuses.
        RunFolderError: the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "drawing bars needs matplotlib: install it with pip install 'topdis-gan[plot]'"
        ) from error
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    for axis, bars, (one, two) in zip(axes, cloud_barcodes(x, y), (names, names[::-1]), strict=True):
        order = bars.births.argsort()
        axis.hlines(range(len(bars)), bars.births[order], bars.deaths[order], linewidth=1.2, color="#2b6cb0")
        axis.set_title(f"{one} against {two}: {len(bars)} bars, sum {bars.lengths.sum():.4g}", fontsize=10)
        axis.set_xlabel("distance, in units of its 0.9 quantile")
        axis.set_yticks([])
        axis.set_xlim(left=0)
    axes[0].set_ylabel("bars by birth")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return write_bytes(path, buffer.getvalue())
