"""The same barcodes by ripser on the 2N-point matrix: the independent check, and the fallback without numba.

Bauer 2021 (Ripser); Barannikov et al. 2022 for the matrix [[0, U^T], [U, V]]. ripser computes in float32 and
names no death edges, so edges are found again by their values; among equal values any one of them is taken.
"""

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology.engine import Bars

__all__ = ["bars_by_ripser", "doubled_matrix", "reference_barcode", "tree_by_scipy"]


def reference_barcode(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> NDArray[np.float64]:
    """(K, 2) births and deaths of the R-Cross-Barcode, births < deaths, sorted: H1 of the 2N-point filtration."""
    from ripser import ripser

    diagram = ripser(doubled_matrix(outer, inner), distance_matrix=True, maxdim=1)["dgms"][1]
    bars = diagram[diagram[:, 1] > diagram[:, 0]].astype(np.float64)
    return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def doubled_matrix(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> NDArray[np.float64]:
    """The (2N, 2N) matrix [[0, U^T], [U, V]]: the first N points coincide, and stand for U's filtration."""
    n = len(outer)
    matrix = np.zeros((2 * n, 2 * n))
    matrix[n:, :n] = outer
    matrix[:n, n:] = outer.T
    matrix[n:, n:] = inner
    return matrix


def bars_by_ripser(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> Bars:
    """The bars of a pair in the form of the compiled engine, see `ganspace_topdis.topology.engine`."""
    if len(outer) < 2:
        return np.empty((0, 5), np.int64), np.empty((2, 0), outer.dtype)
    diagram = reference_barcode(outer, inner)
    diagram = diagram[np.argsort(diagram[:, 1], kind="stable")]
    i, j = np.triu_indices(len(outer), 1)
    inner_values, outer_values = (M[i, j].astype(np.float32) for M in (inner, outer))
    births = _nearest(inner_values, diagram[:, 0])
    deaths = _nearest(np.concatenate([outer_values, inner_values]), diagram[:, 1])
    in_outer = deaths < len(i)
    values = np.stack([inner[i, j][births], np.concatenate([outer[i, j], inner[i, j]])[deaths]])
    deaths = deaths % len(i)
    return np.stack([i[births], j[births], i[deaths], j[deaths], in_outer], axis=1).astype(np.int64), values


def tree_by_scipy(weights: NDArray[np.floating]) -> NDArray[np.int64]:
    """(N - 1, 2) edges of a minimum spanning tree of the complete graph with weights (N, N) >= 0."""
    from scipy.sparse.csgraph import minimum_spanning_tree

    # scipy reads a zero as "no edge", so the tree is that of the weights' ranks, which start at one.
    ranks = np.unique(weights, return_inverse=True)[1].reshape(weights.shape) + 1.0
    tree = minimum_spanning_tree(np.triu(ranks, 1)).tocoo()
    return np.stack([tree.row, tree.col], axis=1).astype(np.int64)


def _nearest(values: NDArray[np.floating], wanted: NDArray[np.floating]) -> NDArray[np.int64]:
    """For each wanted value the index of an entry of `values` nearest to it."""
    order = np.argsort(values, kind="stable")
    after = np.searchsorted(values[order], wanted).clip(1, max(len(values) - 1, 1))
    before = after - 1
    after = after.clip(max=len(values) - 1)
    nearer = np.abs(values[order[after]] - wanted) < np.abs(values[order[before]] - wanted)
    return order[np.where(nearer, after, before)]
