"""The compiled functions that Python calls: the barcode engine, the check of its input, and a spanning tree.

For distances V <= U on the same n points the engine computes H1(VR(V), VR(U)), the relative homology that equals the
R-Cross-Barcode, over GF(2); docs/rtd.md has the proofs. In order:

1. `edges` finds the generators, in V's relative neighborhood graph, and the relations of U, the edges of U's;
2. `relations` finds those of V, a share of the edges at a time, in increasing order;
3. `reduction` merges both by length. When no generator is left, no longer edge is looked at.

Matrices are passed as bit patterns (uint32 or uint64), which order numbers >= 0 alike. numba's cache on disk looks at
this file and at what a function closes over, so that is a digest of the other files. Integers are numba's here, where
int64 and int are one type, which mypy cannot know.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology import bitset, edges, reduction, relations
from ganspace_topdis.topology.bitset import are_transposes, compiled, no_refcounts, no_wrapper
from ganspace_topdis.topology.edges import lune_free_edges, pad_columns, sampled_lengths, sorted_edges
from ganspace_topdis.topology.reduction import Filtration, grown, new_reduction, reduce_relations
from ganspace_topdis.topology.relations import central_point, next_relations, start_of_walk

__all__ = ["bars_of_pair", "is_valid_pair", "spanning_tree"]


def digest_of(paths: Iterable[str]) -> int:
    """A number that changes with the contents of any of the files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(Path(path).read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


@no_refcounts
def check_pair(outer: NDArray, inner: NDArray) -> bool:
    """Whether bits of two matrices are finite, >= 0 (and not -0), symmetric, zero on the diagonal, inner <= outer."""
    n = outer.shape[0]
    infinity = outer.dtype.type(0x7F8 << 20 if outer.itemsize == 4 else 0x7FF << 52)
    faults = 0
    for i in range(n):
        faults += (outer[i, i] != 0) | (inner[i, i] != 0)
        for j in range(n):
            faults += (outer[i, j] >= infinity) | (inner[i, j] > outer[i, j])
    return faults == 0 and is_symmetric(outer) and is_symmetric(inner)


@no_refcounts
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


@no_wrapper
def active_edges(V: NDArray, U: NDArray, edges: NDArray) -> tuple[NDArray, int]:
    """Those of `edges` that are shorter in V than in U, in their place, and their greatest length in U."""
    count, longest = 0, V.dtype.type(0)
    for a in range(edges.size):
        i, j = edges[a] >> 16, edges[a] & 0xFFFF
        if V[i, j] < U[i, j]:
            edges[count] = edges[a]
            count += 1
            longest = max(longest, U[i, j])
    return edges[:count], longest


@no_wrapper
def values_of(V: NDArray, U: NDArray, bars: NDArray) -> NDArray:
    """(2, K) births and deaths."""
    values = np.empty((2, bars.shape[0]), V.dtype)
    for a in range(bars.shape[0]):
        values[0, a] = V[bars[a, 0], bars[a, 1]]
        values[1, a] = U[bars[a, 2], bars[a, 3]] if bars[a, 4] == 1 else V[bars[a, 2], bars[a, 3]]
    return values


@no_wrapper
def bars_of_filtration(filtration: Filtration, last: int, hub: int) -> NDArray:
    """(K, 5) bars of positive length: birth i, j, death i, j, 1 if the death is read from U; in order of death.

    No relation of V matters beyond `last`; hub is V's central point.
    """
    V, generators = filtration.V, filtration.generators
    if generators.size == 0:
        return np.empty((0, 5), np.int64)
    state, walk = new_reduction(generators), start_of_walk(V, hub)
    relations = np.empty(128 + 4 * V.shape[0], np.int64)
    low, high = V.dtype.type(0), V[generators[-1] >> 16, generators[-1] & 0xFFFF]
    edges, done = sorted_edges(V, low, high), np.int64(0)
    while True:
        done, count = next_relations(edges, done, walk, relations)
        bound = settled_bound(V, edges, done, high, last)
        state.counters[0].next_relation = 0
        while not reduce_relations(filtration, relations[:count], bound, state):
            state = grown(state)
        if state.counters[0].num_dead == generators.size:
            return state.bars[: state.counters[0].num_bars]
        if done == edges.size:
            low, high = V.dtype.type(high + V.dtype.type(1)), longer_limit(V, high, last)
            edges, done = sorted_edges(V, low, high), np.int64(0)


@no_refcounts
def settled_bound(V: NDArray, edges: NDArray, done: int, high: int, last: int) -> int:
    """The length below which all relations of V are known once the first `done` of the edges up to `high` are.

    An exclusive bound: the next edge may have length 0, below which there is nothing.
    """
    if done < edges.size:
        return V[edges[done] >> 16, edges[done] & 0xFFFF]
    return V.dtype.type(high + V.dtype.type(1) if high < last else ~V.dtype.type(0))


@no_wrapper
def longer_limit(V: NDArray, high: int, last: int) -> int:
    """A length beyond `high`, up to which there are about half as many edges again, or `last`."""
    sample = sampled_lengths(V)
    place = 0
    while place < sample.size and sample[place] <= high:
        place += 1
    place += place // 2 + sample.size // 64
    return V.dtype.type(min(sample[place], last) if place < sample.size else last)


def cached_with(digest: int) -> tuple[Callable[..., Any], ...]:
    """The functions that Python calls, compiled again where those on disk were made with other sources."""

    @compiled
    def bars_of_pair(outer: NDArray, inner: NDArray, checking: bool) -> tuple[NDArray, NDArray] | None:
        """The bars in order of death: (K, 5) birth i, j, death i, j, 1 if death is read from outer (i < j); values.

        Values are (2, K) bits of births and deaths. With `checking`, None unless the matrices are a valid pair;
        without, they must be one.
        outer, inner: (N, N) bits of distances, inner <= outer, N <= 65536.
        """
        _ = digest
        if checking and not check_pair(outer, inner):
            return None
        V, U = pad_columns(inner), pad_columns(outer)
        hub, radius = central_point(V)
        births, last = active_edges(V, U, lune_free_edges(V, radius)[1])
        outer_lengths, outer_edges = lune_free_edges(U, last)
        filtration = Filtration(V, U, births, outer_edges, outer_lengths)
        bars = bars_of_filtration(filtration, last if last < radius else radius, hub)
        return bars, values_of(V, U, bars)

    @compiled
    def is_valid_pair(outer: NDArray, inner: NDArray) -> bool:
        """`check_pair` on the bits of two matrices."""
        _ = digest
        return check_pair(outer, inner)

    @compiled
    def spanning_tree(M: NDArray) -> NDArray:
        """(n - 1, 2) edges of a minimum spanning tree of the complete graph with weights M >= 0: Prim, O(n^2)."""
        _ = digest
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

    return bars_of_pair, is_valid_pair, spanning_tree


SOURCES = tuple(str(module.__file__) for module in (bitset, edges, reduction, relations))
bars_of_pair, is_valid_pair, spanning_tree = cached_with(digest_of(SOURCES))
