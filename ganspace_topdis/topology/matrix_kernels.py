# mypy: disable-error-code="call-arg"
"""Compiled passes over distance matrices: whether two are a valid pair, and a minimum spanning tree."""

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology.words import are_transposes, compiled, lean

__all__ = ["is_valid_pair", "spanning_tree"]


@compiled
def is_valid_pair(outer: NDArray, inner: NDArray) -> bool:
    """Whether bits of two matrices are finite, >= 0 (and not -0), symmetric, zero on the diagonal, inner <= outer."""
    n = outer.shape[0]
    infinity = outer.dtype.type(0x7F8 << 20 if outer.itemsize == 4 else 0x7FF << 52)
    faults = 0
    for i in range(n):
        faults += (outer[i, i] != 0) | (inner[i, i] != 0)
        for j in range(n):
            faults += (outer[i, j] >= infinity) | (inner[i, j] > outer[i, j])
    return faults == 0 and is_symmetric(outer) and is_symmetric(inner)


@lean
def is_symmetric(M: NDArray) -> bool:
    """Whether M equals its transpose."""
    n = M.shape[0]
    blocks_end = n // 16 * 16
    faults = 0
    for i in range(0, blocks_end, 16):
        for j in range(0, i + 1, 16):
            faults += not are_transposes(M, i, j)
    for i in range(blocks_end, n):
        for j in range(i):
            faults += M[i, j] != M[j, i]
    return faults == 0


@compiled
def spanning_tree(M: NDArray) -> NDArray:
    """(n - 1, 2) edges of a minimum spanning tree of the complete graph with weights M >= 0: Prim, O(n^2)."""
    n = M.shape[0]
    outside = np.arange(1, n)
    nearest = np.zeros(n, np.int64)
    reach = M[0].copy()
    tree = np.empty((max(n - 1, 0), 2), np.int64)
    for step in range(n - 1):
        best = 0
        for a in range(1, n - 1 - step):
            if reach[outside[a]] < reach[outside[best]]:
                best = a
        k = outside[best]
        outside[best] = outside[n - 2 - step]
        tree[step, 0], tree[step, 1] = nearest[k], k
        for a in range(n - 2 - step):
            v = outside[a]
            if M[k, v] < reach[v]:
                reach[v] = M[k, v]
                nearest[v] = k
    return tree
