"""Compiled passes over distance matrices: whether two are a valid pair, and a minimum spanning tree."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["is_valid_pair", "spanning_tree"]


@njit(cache=True, nogil=True)
def is_valid_pair(outer: NDArray, inner: NDArray, infinity: int) -> bool:
    """Whether bits of two matrices are finite, >= 0 (and not -0), symmetric, zero on the diagonal, inner <= outer."""
    n = outer.shape[0]
    faults = 0
    for i in range(n):
        faults += (outer[i, i] != 0) | (inner[i, i] != 0)
        for j in range(n):
            faults += (outer[i, j] >= infinity) | (inner[i, j] > outer[i, j])
        for j in range(i):
            faults += (outer[i, j] != outer[j, i]) | (inner[i, j] != inner[j, i])
    return faults == 0


@njit(cache=True, nogil=True)
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
