"""Computes barcodes with the compiled kernels, or with ripser if numba cannot run; on one core or several.

The kernels are compiled at their first call and cached on disk. They release the GIL, so threads of a pool compute one
pair of matrices each. Results are in the order of the pairs for any number of threads.

ripser (Bauer 2021) on the 2N-point matrix [[0, U^T], [U, V]] (Barannikov et al. 2022) is the fallback and the
independent check. It computes in float32 and returns no death edges, so edges are looked up by their values; among
equal values any edge is taken.
"""

import contextlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray

with contextlib.suppress(ImportError):  # imported with the package, so that the first barcode does not wait for them
    import numba  # noqa: F401
    import scipy.linalg  # noqa: F401  which numba loads at its first function

__all__ = [
    "MAX_POINTS",
    "Bars",
    "Pair",
    "bars_if_valid",
    "bars_of_pairs",
    "doubled_matrix",
    "is_valid_pair",
    "reference_barcode",
    "spanning_tree",
]

MAX_POINTS = 65536

Pair = tuple[NDArray[np.floating], NDArray[np.floating]]
Bars = tuple[NDArray[np.int64], NDArray[np.floating]]


def bars_of_pairs(pairs: Sequence[Pair]) -> list[Bars]:
    """Bars of each (outer, inner), valid contiguous matrices of one dtype: edges and values, in order of death.

    Edges are (K, 5) int64: birth i, birth j, death i, death j, 1 if the death is read from outer. Values are (2, K):
    births, deaths. Pairs run in parallel on as many threads as torch uses (`torch.set_num_threads`, OMP_NUM_THREADS).
    """
    num_threads = min(torch.get_num_threads(), len(pairs))
    if num_threads < 2:
        return [_bars_of_pair(*pair) for pair in pairs]

    def share(first: int) -> list[Bars]:
        return [_bars_of_pair(*pair) for pair in pairs[first::num_threads]]

    others = [_pool(num_threads - 1).submit(share, first) for first in range(1, num_threads)]
    shares = [share(0), *(other.result() for other in others)]
    return [shares[k % num_threads][k // num_threads] for k in range(len(pairs))]


def bars_if_valid(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> Bars | None:
    """The bars of two matrices of one shape and dtype if they are known to be a valid pair, else None."""
    kernels = _kernels()
    if kernels is None:
        return None
    found = kernels.bars_of_pair(_as_bits(outer), _as_bits(inner), True)
    return found and (found[0], found[1].view(outer.dtype))


def _as_bits(matrix: NDArray[np.floating]) -> NDArray[np.unsignedinteger]:
    """The same memory as unsigned integers, which order numbers >= 0 alike."""
    return matrix.view(np.uint32 if matrix.itemsize == 4 else np.uint64)


def is_valid_pair(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> bool:
    """Whether two matrices of one shape and dtype are known to be a valid pair; False without the kernels."""
    kernels = _kernels()
    return kernels is not None and bool(kernels.is_valid_pair(_as_bits(outer), _as_bits(inner)))


def spanning_tree(weights: NDArray[np.floating]) -> NDArray[np.int64]:
    """(N - 1, 2) edges of a minimum spanning tree of the complete graph with finite weights (N, N) >= 0."""
    kernels = _kernels()
    return _tree_by_scipy(weights) if kernels is None else kernels.spanning_tree(weights)


def _bars_of_pair(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> Bars:
    kernels = _kernels()
    if kernels is None:
        return _bars_by_ripser(outer, inner)
    edges, values = kernels.bars_of_pair(_as_bits(outer), _as_bits(inner), False)
    return edges, values.view(outer.dtype)


@cache
def _kernels() -> ModuleType | None:
    """The compiled kernels, or None, after one warning, where numba cannot be imported or used."""
    try:
        from ganspace_topdis.topology import kernels
    except Exception as error:  # a broken installation of numba or LLVM raises nearly anything
        warnings.warn(f"numba cannot be used ({error}): barcodes fall back to the far slower ripser", stacklevel=2)
        return None
    return kernels


@cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    """Threads for the lifetime of the process; a forked child creates its own."""
    return ThreadPoolExecutor(num_threads, thread_name_prefix="topdis-barcode")


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_pool.cache_clear)


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


def _bars_by_ripser(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> Bars:
    """The bars of a pair in the form of the compiled engine, see `bars_of_pairs`."""
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


def _tree_by_scipy(weights: NDArray[np.floating]) -> NDArray[np.int64]:
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
