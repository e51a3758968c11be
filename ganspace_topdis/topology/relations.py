"""The relations among a matrix's edges: one for each further component of an edge's lune (docs/rtd.md, Lemma 2).

Edges are walked in increasing order. Each point keeps the set of its neighbors so far, so a lune is the AND of two.
Points take places in the order of their distance from the most central one, the hub: what it is joined to is then
always the first so many places, and a lune without a place beyond these is connected.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology.bitset import ALL, ONE, no_refcounts, no_wrapper, trailing_zeros
from ganspace_topdis.topology.edges import radix_sort

__all__ = ["Walk", "central_point", "next_relations", "start_of_walk"]


class Walk(NamedTuple):
    """How far the edges have been walked.

    points: point of each place, in order of distance from the hub. places: place of each point.
    adjacency: (N, words) bit set, for each place, of the places joined to it by shorter edges, and itself.
    left, reached: (words,) bit sets of the lune at work.
    """

    points: NDArray
    places: NDArray
    adjacency: NDArray
    left: NDArray
    reached: NDArray


@no_refcounts
def central_point(V: NDArray) -> tuple[int, int]:
    """The point whose farthest distance is least, and that distance, the enclosing radius."""
    n = V.shape[0]
    hub, radius = 0, ~V.dtype.type(0)
    for i in range(n):
        farthest = V[i, 0]
        for j in range(n):
            farthest = max(farthest, V[i, j])
        if farthest < radius:
            hub, radius = i, farthest
    return hub, V.dtype.type(radius)


@no_wrapper
def start_of_walk(V: NDArray, hub: int) -> Walk:
    """The walk before its first edge."""
    n, words = V.shape[0], (V.shape[0] + 63) // 64
    keys, points = np.empty(n, V.dtype), np.empty(n, np.uint32)
    keys[0], points[0] = 0, hub
    for a in range(1, n):
        points[a] = a - 1 if a <= hub else a
        keys[a] = V[hub, points[a]]
    points = radix_sort(keys, points)[1]
    places = np.empty(n, np.uint32)
    adjacency = np.zeros((n, words), np.uint64)
    for a in range(n):
        places[points[a]] = a
        adjacency[a, a >> 6] = ONE << np.uint64(a & 63)
    return Walk(points, places, adjacency, np.empty(words, np.uint64), np.empty(words, np.uint64))


@no_wrapper
def next_relations(edges: NDArray, done: int, walk: Walk, relations: NDArray) -> tuple[int, int]:
    """Writes to `relations` those at about an eighth of the edges, from edges[done] on, or as many as have room.

    Returns how many edges are done then, and the number of relations. A relation is packed as edge << 32 | k << 16 | m.
    """
    part = edges[: min(edges.size, done + max(1024, edges.size // 8))]
    if walk.adjacency.shape[1] == 1:
        return walk_one_word(part, done, walk, relations)
    return walk_edges(part, done, walk, relations)


@no_refcounts
def walk_edges(edges: NDArray, done: int, walk: Walk, relations: NDArray) -> tuple[int, int]:
    """Writes the relations at edges[done:], in their order; see `next_relations`.

    The places joined to place 0, the hub, are always the first so many.
    """
    points, places, adjacency, left, reached = walk
    n, words = adjacency.shape
    count, num_joined = np.int64(0), 0
    while num_joined < n and adjacency[0, num_joined >> 6] >> np.uint64(num_joined & 63) & ONE != 0:
        num_joined += 1
    for a in range(done, edges.size):
        if count + n > relations.size:
            return a, count
        e = edges[a]
        i, j = np.int64(places[e >> 16]), np.int64(places[e & 0xFFFF])
        some = ONE
        k = -1
        if min(i, j) == 0:
            num_joined += 1
        elif max(i, j) < num_joined:
            k, some = 0, beyond_hub(adjacency, i, j, num_joined)
        if k < 0:
            k = first_common(adjacency, i, j)
            if k >= 0:
                some = np.uint64(0)
                for w in range(words):
                    some |= adjacency[i, w] & adjacency[j, w] & ~adjacency[k, w]
        if k >= 0 and some != 0:
            for w in range(words):
                common = adjacency[i, w] & adjacency[j, w]
                left[w] = common & ~adjacency[k, w]
                reached[w] = common & adjacency[k, w]
            if sweep(adjacency, left, reached):
                for w in range(words):
                    reached[w] = adjacency[i, w] & adjacency[j, w] & ~left[w]
                reach(adjacency, left, reached)
                m = first_of(left)
                while m >= 0:
                    relations[count] = np.int64(e) << 32 | np.int64(points[k]) << 16 | np.int64(points[m])
                    count += 1
                    for w in range(words):
                        reached[w] = left[w] & adjacency[m, w]
                        left[w] ^= reached[w]
                    reach(adjacency, left, reached)
                    m = first_of(left)
        adjacency[i, j >> 6] |= ONE << np.uint64(j & 63)
        adjacency[j, i >> 6] |= ONE << np.uint64(i & 63)
    return edges.size, count


@no_refcounts
def beyond_hub(adjacency: NDArray, i: int, j: int, num_joined: int) -> int:
    """A word that is zero if all common neighbors of places i and j are joined to the hub."""
    w = num_joined >> 6
    if w == adjacency.shape[1]:
        return np.uint64(0)
    some = adjacency[i, w] & adjacency[j, w] & (ALL << np.uint64(num_joined & 63))
    for u in range(w + 1, adjacency.shape[1]):
        some |= adjacency[i, u] & adjacency[j, u]
    return some


@no_refcounts
def first_common(adjacency: NDArray, i: int, j: int) -> int:
    """The first common neighbor of places i and j, or -1."""
    for w in range(adjacency.shape[1]):
        common = adjacency[i, w] & adjacency[j, w]
        if common != 0:
            return w * 64 + trailing_zeros(common)
    return -1


@no_refcounts
def first_of(places: NDArray) -> int:
    """The first place in a set, or -1."""
    for w in range(places.size):
        if places[w] != 0:
            return w * 64 + trailing_zeros(places[w])
    return -1


@no_refcounts
def sweep(adjacency: NDArray, left: NDArray, reached: NDArray) -> bool:
    """Remove from `left` the points of the lune seen at once to be connected to `reached`; whether any remain.

    A point joined to `reached` goes, with its neighbors. `reached` itself does not grow, so that a point which is
    connected only by a longer path may remain: `reach` decides about these few.
    """
    words = left.size
    stuck = False
    for w in range(words):
        todo = left[w]
        while todo != 0:
            r = w * 64 + trailing_zeros(todo)
            todo &= todo - ONE
            hit = False
            for u in range(words):
                if adjacency[r, u] & reached[u] != 0:
                    hit = True
                    break
            if hit:
                for u in range(words):
                    left[u] &= ~adjacency[r, u]
                todo &= left[w]
            else:
                stuck = True
    return stuck


@no_refcounts
def reach(adjacency: NDArray, left: NDArray, reached: NDArray) -> None:
    """Move from `left` to `reached` every point of the lune that is connected to `reached` within the lune.

    `reached` must be a union of closed neighborhoods (within the lune), which it stays.
    """
    words = left.size
    progress = True
    while progress:
        progress = False
        for w in range(words):
            todo = left[w]
            while todo != 0:
                r = w * 64 + trailing_zeros(todo)
                todo &= todo - ONE
                hit = False
                for u in range(words):
                    if adjacency[r, u] & reached[u] != 0:
                        hit = True
                        break
                if hit:
                    progress = True
                    for u in range(words):
                        met = left[u] & adjacency[r, u]
                        left[u] ^= met
                        reached[u] |= met
                    todo &= left[w]


@no_refcounts
def walk_one_word(edges: NDArray, done: int, walk: Walk, relations: NDArray) -> tuple[int, int]:
    """`walk_edges` for at most 64 points, where a set of points is one word."""
    points, places, adjacency = walk.points, walk.places, walk.adjacency
    count = np.int64(0)
    for a in range(done, edges.size):
        if count + 64 > relations.size:
            return a, count
        e = edges[a]
        i, j = np.int64(places[e >> 16]), np.int64(places[e & 0xFFFF])
        left = adjacency[i, 0] & adjacency[j, 0]
        first = -1
        while left != 0:
            k = trailing_zeros(left)
            if first < 0:
                first = k
            else:
                relations[count] = np.int64(e) << 32 | np.int64(points[first]) << 16 | np.int64(points[k])
                count += 1
            reached = left & adjacency[k, 0]
            left ^= reached
            todo = left
            while todo != 0:
                r = trailing_zeros(todo)
                todo &= todo - ONE
                if adjacency[r, 0] & reached != 0:
                    met = left & adjacency[r, 0]
                    left ^= met
                    reached |= met
                    todo = left
        adjacency[i, 0] |= ONE << np.uint64(j)
        adjacency[j, 0] |= ONE << np.uint64(i)
    return edges.size, count
