"""The figure of several representations: a heat map of their divergences, ordered by a dendrogram."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganspace_topdis.errors import MissingDependencyError
from ganspace_topdis.metrics.inputs import Array
from ganspace_topdis.runs.files import write_bytes

__all__ = ["leaf_order", "plot_matrix"]


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
