"""Edges of a distance matrix: sorted by length, and those of its relative neighborhood graph.

Distances are compared as the unsigned integers with the same bits. An edge (i, j), i < j, is packed as i << 16 | j;
edges are ordered by (length, packed edge). The lune of an edge is the set of points with both edges to it before.
Matrices have rows of a multiple of 64 columns (`pad_columns`).
"""

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology.bitset import (
    ALL,
    ONE,
    crossed_by,
    leading_zeros,
    nearer,
    no_refcounts,
    no_wrapper,
    num_bits,
    trailing_zeros,
)

__all__ = ["doubled", "lune_free_edges", "lune_point", "pad_columns", "radix_sort", "sampled_lengths", "sorted_edges"]


@no_wrapper
def pad_columns(M: NDArray) -> NDArray:
    """M with rows of a multiple of 64 columns, the new ones filled with the largest value; M itself where they are."""
    n = M.shape[0]
    if n % 64 == 0:
        return M
    result = np.empty((n, (n + 63) // 64 * 64), M.dtype)
    for i in range(n):
        for j in range(n):
            result[i, j] = M[i, j]
        for j in range(n, result.shape[1]):
            result[i, j] = ~M.dtype.type(0)
    return result


@no_wrapper
def doubled(array: NDArray) -> NDArray:
    """A copy of a vector with room for twice as many entries."""
    bigger = np.empty(2 * array.size, array.dtype)
    for a in range(array.size):
        bigger[a] = array[a]
    return bigger


@no_wrapper
def radix_sort(keys: NDArray, names: NDArray) -> tuple[NDArray, NDArray]:
    """Unsigned `keys` in increasing order, and their `names` likewise; stable. Both inputs are overwritten."""
    count = keys.size
    if count < 2:
        return keys, names
    low, high = keys[0], keys[0]
    for a in range(count):
        low, high = min(low, keys[a]), max(high, keys[a])
    span = np.uint64(high - low)
    if span == 0:
        return keys, names
    num_bits = 64 - leading_zeros(span)
    widest = 8 if count < 4096 else 11
    num_passes = (num_bits + widest - 1) // widest
    width = (num_bits + num_passes - 1) // num_passes
    mask = (1 << width) - 1
    spare_keys, spare_names = np.empty(count, keys.dtype), np.empty(count, np.uint32)
    starts = np.empty(mask + 1, np.int64)
    for shift in range(0, num_passes * width, width):
        for digit in range(mask + 1):
            starts[digit] = 0
        for a in range(count):
            starts[np.int64((keys[a] - low) >> shift) & mask] += 1
        total = 0
        for digit in range(mask + 1):
            here = starts[digit]
            starts[digit] = total
            total += here
        for a in range(count):
            digit = np.int64((keys[a] - low) >> shift) & mask
            to = starts[digit]
            starts[digit] = to + 1
            spare_keys[to] = keys[a]
            spare_names[to] = names[a]
        keys, spare_keys = spare_keys, keys
        names, spare_names = spare_names, names
    return keys, names


@no_wrapper
def sorted_edges(V: NDArray, low: int, high: int) -> NDArray:
    """The packed edges of lengths from `low` to `high`, by (length, packed edge)."""
    count = np.int64(0)
    for i in range(V.shape[0] - 1):
        for start in range((i + 1) >> 6 << 6, V.shape[1], 64):
            count += num_bits(columns_between(V, i, start, low, high))
    keys, edges = np.empty(count, V.dtype), np.empty(count, np.uint32)
    at = 0
    for i in range(V.shape[0] - 1):
        for start in range((i + 1) >> 6 << 6, V.shape[1], 64):
            columns = columns_between(V, i, start, low, high)
            while columns != 0:
                j = start + trailing_zeros(columns)
                columns &= columns - ONE
                keys[at] = V[i, j]
                edges[at] = (i << 16) | j
                at += 1
    return radix_sort(keys, edges)[1]


@no_refcounts
def columns_between(V: NDArray, i: int, start: int, low: int, high: int) -> int:
    """The set of columns j > i, of the 64 from `start` on, with V[i, j] from `low` to `high`."""
    columns = nearer(V, i, start, V.dtype.type(high + V.dtype.type(1))) & ~nearer(V, i, start, V.dtype.type(low))
    return columns & (ALL << np.uint64(i + 1 - start)) if start <= i else columns


@no_refcounts
def precedes(M: NDArray, i: int, k: int, a: int, b: int) -> bool:
    """Whether edge (i, k) comes before edge (a, b), a < b, in the order by (length, packed edge)."""
    if M[i, k] != M[a, b]:
        return M[i, k] < M[a, b]
    if min(i, k) != a:
        return min(i, k) < a
    return max(i, k) < b


@no_refcounts
def lune_point(M: NDArray, i: int, j: int) -> int:
    """A point k with (i, k) and (j, k) before (i, j), i < j, or -1: the first strictly nearer, or else the first."""
    value, tied = M[i, j], -1
    after = value + M.dtype.type(1)
    for start in range(0, M.shape[1], 64):
        lune = nearer(M, i, start, value) & nearer(M, j, start, value)
        if lune != 0:
            return start + trailing_zeros(lune)
        if tied < 0:
            lune = nearer(M, i, start, after) & nearer(M, j, start, after)
            while lune != 0 and tied < 0:
                k = start + trailing_zeros(lune)
                lune &= lune - ONE
                if k != i and k != j and precedes(M, i, k, i, j) and precedes(M, j, k, i, j):
                    tied = k
    return tied


@no_wrapper
def sampled_lengths(M: NDArray) -> NDArray:
    """n lengths of edges, one at each point, in increasing order."""
    n = M.shape[0]
    sample = np.empty(n, M.dtype)
    for i in range(n):
        sample[i] = M[i, (i + 1 + i * 40503 % (n - 1)) % n]
    return radix_sort(sample, np.empty(n, np.uint32))[0]


@no_wrapper
def lune_free_edges(M: NDArray, limit: int) -> tuple[NDArray, NDArray]:
    """Lengths and edges of M's relative neighborhood graph up to `limit`, by (length, edge)."""
    n = M.shape[0]
    found = np.empty(17, np.int64)
    sample = sampled_lengths(M) if n > 64 else np.empty(0, M.dtype)
    lengths, edges = np.empty(8 * n, M.dtype), np.empty(8 * n, np.uint32)
    count = np.int64(0)
    for i in range(n - 1):
        if count + n > edges.size:
            lengths, edges = doubled(lengths), doubled(edges)
        num_found = near_points(M, i, sample, found) if n > 64 else np.int64(0)
        count = lune_free_edges_of_row(M, i, limit, found, num_found, lengths, edges, count)
    return radix_sort(lengths[:count], edges[:count])


@no_refcounts
def near_points(M: NDArray, i: int, sample: NDArray, found: NDArray) -> int:
    """Writes up to 16 points near i, at least 8 where there are so many, to `found`; returns their number."""
    place = min(16, sample.size - 1)
    while True:
        count = 0
        for start in range(0, M.shape[1], 64):
            near = nearer(M, i, start, sample[place])
            while near != 0 and count < 16:
                found[count] = start + trailing_zeros(near)
                near &= near - ONE
                count += found[count] != i
        if count >= 8 or place == sample.size - 1:
            return count
        place = min(2 * place, sample.size - 1)


@no_refcounts
def lune_free_edges_of_row(
    M: NDArray, i: int, limit: int, found: NDArray, num_found: int, lengths: NDArray, edges: NDArray, count: int
) -> int:
    """Append the edges (i, j), i < j, up to `limit` with an empty lune to the first `count`; their new number.

    Most edges have one of the points found near i in their lune; these are tried on 64 edges at once, as is each
    point that turns up in a lune afterwards.
    """
    beyond = M.dtype.type(limit + M.dtype.type(1))
    for start in range((i + 1) >> 6 << 6, M.shape[1], 64):
        free = nearer(M, i, start, beyond)
        if start <= i:
            free &= ALL << np.uint64(i + 1 - start)
        for s in range(num_found):
            if free == 0:
                break
            free &= ~crossed_by(M, i, found[s], start, M[i, found[s]])
        while free != 0:
            j = start + trailing_zeros(free)
            free &= free - ONE
            k = lune_point(M, i, j)
            if k >= 0:
                free &= ~crossed_by(M, i, k, start, M[i, k])
            else:
                lengths[count] = M[i, j]
                edges[count] = (i << 16) | j
                count += 1
    return count
