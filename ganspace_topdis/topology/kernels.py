# mypy: disable-error-code="import-untyped, call-arg, arg-type, assignment, var-annotated"
"""The compiled barcode engine: two distance matrices in, bars with their critical edges out.

For distances V <= U on the same n points it computes H1(VR(V), VR(U)), the relative homology that equals the
R-Cross-Barcode, over GF(2); docs/rtd.md has the proofs. In order:

1. `edges` finds the generators, in V's relative neighbourhood graph, and the relations of U, the edges of U's;
2. `relations` finds those of V, a share of the edges at a time, in increasing order;
3. `elimination` merges both by length. When no generator is left, no longer edge is looked at.

`bars_of_pair` alone is cached on disk, with all it calls inside. numba's cache looks at this file and at what a
function closes over, so that is a digest of the other files. Integers are numba's here, where int64 and int are one
type, which mypy cannot know.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology import edge_table, edges, elimination, matrix_kernels, relations, words
from ganspace_topdis.topology.edge_table import is_half_full, new_table, set_code, wider
from ganspace_topdis.topology.edges import grown, in_blocks, lune_free_edges, sampled_lengths, sorted_edges
from ganspace_topdis.topology.elimination import eliminate
from ganspace_topdis.topology.matrix_kernels import is_valid_pair
from ganspace_topdis.topology.relations import central_point, next_relations, start_of_walk
from ganspace_topdis.topology.words import allocating, compiled, lean

__all__ = ["bars_of_pair"]


def digest_of(paths: Iterable[str]) -> int:
    """A number that changes with the contents of any of the files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(Path(path).read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


def cached_with(digest: int) -> Any:
    """`bars_of_pair`, compiled again where the one on disk was made with another digest of the sources."""

    @compiled
    def bars_of_pair(outer: NDArray, inner: NDArray, checking: bool) -> tuple[NDArray, NDArray] | None:
        """The bars in order of death: (K, 5) birth i, j, death i, j, 1 if death is read from outer (i < j); values.

        Values are (2, K) bits of births and deaths. With `checking`, None unless the matrices are a valid pair;
        without, they must be one.
        outer, inner: (N, N) bit patterns (uint32 or uint64) of distances, inner <= outer, N <= 65536.
        """
        _ = digest
        if checking and not is_valid_pair(outer, inner):
            return None
        V, U = in_blocks(inner), in_blocks(outer)
        hub, radius = central_point(V)
        births, last = active_edges(V, U, lune_free_edges(V, radius)[1])
        outer_lengths, outer_edges = lune_free_edges(U, last)
        bars = bars_of_generators(V, U, births, outer_edges, outer_lengths, last if last < radius else radius, hub)
        return bars, values_of(V, U, bars)

    return bars_of_pair


SOURCES = tuple(str(module.__file__) for module in (edge_table, edges, elimination, matrix_kernels, relations, words))
bars_of_pair = cached_with(digest_of(SOURCES))


@allocating
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


@allocating
def values_of(V: NDArray, U: NDArray, bars: NDArray) -> NDArray:
    """(2, K) births and deaths."""
    values = np.empty((2, bars.shape[0]), V.dtype)
    for a in range(bars.shape[0]):
        values[0, a] = V[bars[a, 0], bars[a, 1]]
        values[1, a] = U[bars[a, 2], bars[a, 3]] if bars[a, 4] == 1 else V[bars[a, 2], bars[a, 3]]
    return values


@allocating
def bars_of_generators(
    V: NDArray, U: NDArray, generators: NDArray, outer: NDArray, outer_lengths: NDArray, last: int, hub: int
) -> NDArray:
    """(K, 5) bars of positive length: birth i, j, death i, j, 1 if the death is read from U; in order of death.

    No relation of V matters beyond `last`; hub is V's central point.
    """
    n, num_generators = V.shape[0], generators.size
    bars = np.empty((num_generators, 5), np.int64)
    if num_generators == 0:
        return bars
    table = new_table(4 * num_generators)
    for g in range(num_generators):
        set_code(table, np.int64(generators[g]), 2 + g)
    entries, starts = np.empty(16 * num_generators, np.int32), np.empty(4 * num_generators + 4, np.int64)
    starts[0], starts[1] = 1, 0
    stack = np.empty(64, np.int64)
    column, killer = np.zeros((num_generators + 63) // 64, np.uint64), np.zeros(num_generators, np.int64)
    at, wanted = np.zeros(4, np.int64), np.empty(4, np.int64)
    points, places, adjacency = start_of_walk(V, hub)
    relations = np.empty(128 + 4 * n, np.int64)
    low, high = V.dtype.type(0), V[generators[-1] >> 16, generators[-1] & 0xFFFF]
    edges, done = sorted_edges(V, low, high), np.int64(0)
    while True:
        done, count = next_relations(edges, done, points, places, adjacency, relations)
        at[0] = 0
        while not eliminate(
            V,
            U,
            generators,
            relations[:count],
            outer,
            outer_lengths,
            settled_bound(V, edges, done, high, last),
            table,
            entries,
            starts,
            stack,
            column,
            killer,
            bars,
            at,
            wanted,
        ):
            if is_half_full(table):
                table = wider(table)
            else:
                entries, starts, stack = grown(entries), grown(starts), grown(stack)
        if at[3] == num_generators:
            return bars[: at[2]]
        if done == edges.size:
            low, high = V.dtype.type(high + V.dtype.type(1)), longer_limit(V, high, last)
            edges, done = sorted_edges(V, low, high), np.int64(0)


@lean
def settled_bound(V: NDArray, edges: NDArray, done: int, high: int, last: int) -> int:
    """The length below which all relations of V are known once the first `done` of the edges up to `high` are.

    An exclusive bound: the next edge may have length 0, below which there is nothing.
    """
    if done < edges.size:
        return V[edges[done] >> 16, edges[done] & 0xFFFF]
    return V.dtype.type(high + V.dtype.type(1) if high < last else ~V.dtype.type(0))


@allocating
def longer_limit(V: NDArray, high: int, last: int) -> int:
    """A length beyond `high`, up to which there are about half as many edges again, or `last`."""
    sample = sampled_lengths(V)
    place = 0
    while place < sample.size and sample[place] <= high:
        place += 1
    place += place // 2 + sample.size // 64
    return V.dtype.type(min(sample[place], last) if place < sample.size else last)
