"""Figures of divergences, as PNG (extra: plot).

    plot_bars     the cross-barcodes of two clouds: one horizontal line per bar, in order of birth, for both directions
    plot_matrix   the divergences of several clouds: a heat map in the order of a dendrogram

Both need matplotlib and return the path of the file.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganspace_topdis.errors import MissingDependencyError
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.topology.barcode import CrossBarcode, cross_barcode
from ganspace_topdis.topology.distances import as_point_pairs, normalized_distances

__all__ = ["cloud_barcodes", "leaf_order", "plot_bars", "plot_matrix"]

Array = npt.NDArray[np.float64]


def cloud_barcodes(x: Tensor, y: Tensor) -> tuple[CrossBarcode, CrossBarcode]:
    """The min-variant cross-barcodes (A, min(A, B)) and (B, min(A, B)) of two clouds (N, ...).

    Raises:
        InvalidArgumentError: the clouds do not fit each other or are not finite.
    """
    A, B = (normalized_distances(points.detach()).cpu() for points in as_point_pairs(x, y))
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
    axes[0].set_xlim(left=0)  # after both: it ends the scaling to what is drawn
    axes[0].set_ylabel("bars by birth")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return write_bytes(path, buffer.getvalue())


def leaf_order(matrix: Array) -> list[int]:
    """The order of the dendrogram's leaves: average linkage of dissimilarities (M, M)."""
    from scipy.cluster.hierarchy import leaves_list

    return [int(leaf) for leaf in leaves_list(_linkage(matrix))]


def plot_matrix(matrix: Array, names: Sequence[str], title: str, path: Path | str) -> Path:
    """Draw dissimilarities (M, M) as a dendrogram above a heat map to a PNG, and return its path.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        RunFolderError: the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "drawing a heat map needs matplotlib: install it with pip install 'topdis-gan[plot]'"
        ) from error
    from scipy.cluster.hierarchy import dendrogram

    order, side = leaf_order(matrix), 2.5 + 0.6 * len(matrix)
    figure = Figure(figsize=(side, side + 1), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=[1, 4])
    dendrogram(_linkage(matrix), ax=top, no_labels=True, color_threshold=0, above_threshold_color="#444")
    top.set_xlim(0, 10 * len(matrix))
    top.set_title(title, fontsize=10)
    top.spines[["top", "right", "bottom"]].set_visible(False)
    shown = matrix[np.ix_(order, order)]
    bottom.imshow(shown, cmap="Blues", aspect="auto", vmin=0)
    middle = shown.max() / 2
    for (row, column), value in np.ndenumerate(shown):
        color = "white" if value > middle else "black"
        bottom.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=8, color=color)
    labels = [names[leaf] for leaf in order]
    bottom.set_xticks(range(len(order)), labels, rotation=45, ha="right")
    bottom.set_yticks(range(len(order)), labels)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return write_bytes(path, buffer.getvalue())


def _linkage(matrix: Array) -> Array:
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    return np.asarray(linkage(squareform(matrix, checks=False), method="average"))
