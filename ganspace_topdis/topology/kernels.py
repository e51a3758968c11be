# mypy: disable-error-code="import-untyped, call-arg, arg-type, assignment, var-annotated"
"""The compiled barcode engine: two distance matrices in, bars with their critical edges out.

For distances V <= U on the same n points it computes H1(VR(V), VR(U)), the relative homology that equals the
R-Cross-Barcode, over GF(2); docs/rtd.md has the proofs. In the order of the pipeline:

1. points are renumbered from the most central one; distances are compared as the unsigned integers with the
   same bits, whose order is the same and whose minima vectorize; an edge (i, j), i < j, is packed as i << 16 | j;
2. V's edges are sorted by (length, packed edge) and walked: `walk` finds the generators and V's relations;
3. `outer_edges` finds U's relations, the edges of its relative neighbourhood graph;
4. `eliminate` merges the relations by length: each kills the youngest generator left in it, which is a bar.

All kernels share this file because numba's cache notices changes to a function's own file only. Integers are
numba's here, where int64 and int are one type, which mypy cannot know.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = ["bars_of_pair"]

ONE = np.uint64(1)


@intrinsic
def trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Number of the lowest set bit of a nonzero uint64, as int64."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), build


@intrinsic
def leading_zeros(typing_context: Any, word: Any) -> Any:
    """Number of zero bits above the highest set bit of a nonzero uint64, as int64."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), build


@njit(cache=True, nogil=True)
def radix_sort(keys: NDArray, names: NDArray) -> NDArray:
    """`names` in increasing order of their unsigned `keys`, stable; both inputs are overwritten."""
    count = keys.size
    if count < 2:
        return names
    low, high = keys[0], keys[0]
    for a in range(count):
        low, high = min(low, keys[a]), max(high, keys[a])
    span = np.uint64(high - low)
    if span == 0:
        return names
    num_bits = 64 - leading_zeros(span)
    num_passes = (num_bits + 10) // 11
    width = (num_bits + num_passes - 1) // num_passes
    mask = (1 << width) - 1
    spare_keys, spare_names = np.empty_like(keys), np.empty_like(names)
    starts = np.empty(mask + 1, np.int32)
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
    return names


@njit(cache=True, nogil=True)
def central_order(V: NDArray) -> tuple[NDArray, int]:
    """Points in increasing order of their farthest distance, and the least of these (the enclosing radius)."""
    n = V.shape[0]
    farthest = np.empty(n, V.dtype)
    names = np.empty(n, np.uint32)
    for i in range(n):
        most = V[i, 0]
        for j in range(n):
            most = max(most, V[i, j])
        farthest[i] = most
        names[i] = i
    radius = farthest[0]
    for i in range(n):
        radius = min(radius, farthest[i])
    return radix_sort(farthest, names), radius


@njit(cache=True, nogil=True)
def permuted(M: NDArray, order: NDArray) -> NDArray:
    """M with rows and columns in the given order, its rows padded to a multiple of 16 with the largest value."""
    n = M.shape[0]
    width = (n + 15) // 16 * 16
    result = np.empty((n, width), M.dtype)
    for a in range(n):
        i = order[a]
        for b in range(n):
            result[a, b] = M[i, order[b]]
        for b in range(n, width):
            result[a, b] = ~M.dtype.type(0)
    return result


@njit(cache=True, nogil=True)
def sorted_edges(V: NDArray, radius: int) -> NDArray:
    """The packed edges no longer than `radius`, by (length, packed edge)."""
    n = V.shape[0]
    count = 0
    for i in range(n):
        for j in range(i + 1, n):
            count += V[i, j] <= radius
    keys = np.empty(count, V.dtype)
    edges = np.empty(count, np.uint32)
    at = 0
    for i in range(n):
        for j in range(i + 1, n):
            if V[i, j] <= radius:
                keys[at] = V[i, j]
                edges[at] = (i << 16) | j
                at += 1
    return radix_sort(keys, edges)


@njit(cache=True, nogil=True)
def precedes(M: NDArray, i: int, k: int, a: int, b: int) -> bool:
    """Whether edge (i, k) comes before edge (a, b), a < b, in the order by (length, packed edge)."""
    if M[i, k] != M[a, b]:
        return M[i, k] < M[a, b]
    if min(i, k) != a:
        return min(i, k) < a
    return max(i, k) < b


@njit(cache=True, nogil=True)
def grown(array: NDArray) -> NDArray:
    """A copy of a vector with room for twice as many entries."""
    bigger = np.empty(2 * array.size, array.dtype)
    for a in range(array.size):
        bigger[a] = array[a]
    return bigger


@njit(cache=True, nogil=True)
def walk(edges: NDArray, n: int) -> tuple[NDArray, NDArray]:
    """Edges with an empty lune, and relations packed as edge << 32 | k << 16 | m, both in the order of `edges`."""
    words = (n + 63) // 64
    adjacency = np.zeros((n, words), np.uint64)
    for i in range(n):
        adjacency[i, i >> 6] = ONE << np.uint64(i & 63)
    left, reached = np.empty(words, np.uint64), np.empty(words, np.uint64)
    births = np.empty(64, np.int64)
    num_births = 0
    relations = np.empty(64, np.int64)
    num_relations = 0
    for a in range(edges.size):
        e = edges[a]
        i, j = np.int64(e >> 16), np.int64(e & 0xFFFF)
        k = -1
        for w in range(words):
            common = adjacency[i, w] & adjacency[j, w]
            if common != 0:
                k = w * 64 + trailing_zeros(common)
                break
        if k < 0:
            if num_births == births.size:
                births = grown(births)
            births[num_births] = e
            num_births += 1
        else:
            some = np.uint64(0)
            for w in range(words):
                common = adjacency[i, w] & adjacency[j, w]
                rest = common & ~adjacency[k, w]
                left[w] = rest
                reached[w] = common ^ rest
                some |= rest
            if some != 0 and sweep(adjacency, left, reached):
                for w in range(words):
                    reached[w] = adjacency[i, w] & adjacency[j, w] & ~left[w]
                reach(adjacency, left, reached)
                while True:
                    m = -1
                    for w in range(words):
                        if left[w] != 0:
                            m = w * 64 + trailing_zeros(left[w])
                            break
                    if m < 0:
                        break
                    if num_relations == relations.size:
                        relations = grown(relations)
                    relations[num_relations] = (np.int64(e) << 32) | (k << 16) | m
                    num_relations += 1
                    for w in range(words):
                        reached[w] = left[w] & adjacency[m, w]
                        left[w] ^= reached[w]
                    reach(adjacency, left, reached)
        adjacency[i, j >> 6] |= ONE << np.uint64(j & 63)
        adjacency[j, i >> 6] |= ONE << np.uint64(i & 63)
    return births[:num_births], relations[:num_relations]


@njit(cache=True, nogil=True)
def sweep(adjacency: NDArray, left: NDArray, reached: NDArray) -> bool:
    """Remove from `left` the points of the lune seen at once to be connected to `reached`; whether any remain.

    A point joined to `reached` goes, with its neighbours. `reached` itself does not grow, so that a point which is
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


@njit(cache=True, nogil=True)
def walk_one_word(edges: NDArray, n: int) -> tuple[NDArray, NDArray]:
    """`walk` for n <= 64, where a set of points is one word."""
    adjacency = np.empty(n, np.uint64)
    for i in range(n):
        adjacency[i] = ONE << np.uint64(i)
    births = np.empty(64, np.int64)
    num_births = 0
    relations = np.empty(64, np.int64)
    num_relations = 0
    for a in range(edges.size):
        e = edges[a]
        i, j = np.int64(e >> 16), np.int64(e & 0xFFFF)
        left = adjacency[i] & adjacency[j]
        first = -1
        if left == 0:
            if num_births == births.size:
                births = grown(births)
            births[num_births] = e
            num_births += 1
        while left != 0:
            k = trailing_zeros(left)
            if first < 0:
                first = k
            else:
                if num_relations == relations.size:
                    relations = grown(relations)
                relations[num_relations] = (np.int64(e) << 32) | (first << 16) | k
                num_relations += 1
            reached = left & adjacency[k]
            left ^= reached
            todo = left
            while todo != 0:
                r = trailing_zeros(todo)
                todo &= todo - ONE
                if adjacency[r] & reached != 0:
                    met = left & adjacency[r]
                    left ^= met
                    reached |= met
                    todo = left
        adjacency[i] |= ONE << np.uint64(j)
        adjacency[j] |= ONE << np.uint64(i)
    return births[:num_births], relations[:num_relations]


@njit(cache=True, nogil=True)
def reach(adjacency: NDArray, left: NDArray, reached: NDArray) -> None:
    """Move from `left` to `reached` every point of the lune that is connected to `reached` within the lune.

    `reached` must be a union of closed neighbourhoods (within the lune), which it stays.
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


@njit(cache=True, nogil=True)
def lune_point(M: NDArray, i: int, j: int) -> int:
    """The first point k with (i, k) and (j, k) before (i, j), or -1."""
    value = M[i, j]
    for k in range(M.shape[0]):
        longer = max(M[i, k], M[j, k])
        if longer < value:
            return k
        if longer == value and k != i and k != j and precedes(M, i, k, i, j) and precedes(M, j, k, i, j):
            return k
    return -1


@njit(cache=True, nogil=True)
def has_lune_point(M: NDArray, i: int, j: int, start: int) -> bool:
    """Whether `lune_point` finds one, given that none before `start` is strictly nearer to both."""
    value = M[i, j]
    best = value
    for block in range(start, M.shape[1], 16):
        for s in range(16):
            best = min(best, max(M[i, block + s], M[j, block + s]))
        if best < value:
            return True
    num_ties = 0
    for k in range(M.shape[1]):
        num_ties += max(M[i, k], M[j, k]) == value
    return num_ties > 2 and lune_point(M, i, j) >= 0


@njit(cache=True, nogil=True)
def outer_edges(U: NDArray, radius: int) -> NDArray:
    """U's relative neighbourhood graph up to `radius` and its minimum spanning tree beyond, by (length, edge).

    Most edges are ruled out by one of the first few, most central points; these are tried on a whole row at once.
    """
    n, width = U.shape
    num_hubs = min(16 if n < 1024 else 48, n)
    crossed = np.empty(width, U.dtype)
    edges = np.empty(64, np.uint32)
    count = 0
    for i in range(n):
        start = (i + 1) // 16 * 16
        values, marks = U[i, start:], crossed[start:]
        for j in range(marks.size):
            marks[j] = 0
        for k in range(num_hubs):
            near = U[i, k]
            theirs = U[k, start:]
            for j in range(marks.size):
                marks[j] |= (near < values[j]) & (theirs[j] < values[j])
        for j in range(i + 1, n):
            if crossed[j] == 0 and not has_lune_point(U, i, j, num_hubs // 16 * 16):
                if count == edges.size:
                    edges = grown(edges)
                edges[count] = (i << 16) | j
                count += 1
    edges = edges[:count]
    lengths = np.empty(count, U.dtype)
    for a in range(count):
        lengths[a] = U[edges[a] >> 16, edges[a] & 0xFFFF]
    return without_late_cycles(radix_sort(lengths, edges), U, radius)


@njit(cache=True, nogil=True)
def without_late_cycles(edges: NDArray, U: NDArray, radius: int) -> NDArray:
    """The sorted `edges` without those beyond `radius` that close a cycle."""
    parent = np.empty(U.shape[0], np.int64)
    for i in range(parent.size):
        parent[i] = i
    kept = 0
    for a in range(edges.size):
        i, j = np.int64(edges[a] >> 16), np.int64(edges[a] & 0xFFFF)
        value = U[i, j]
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        while parent[j] != j:
            parent[j] = parent[parent[j]]
            j = parent[j]
        if i != j or value <= radius:
            edges[kept] = edges[a]
            kept += 1
        parent[i] = j
    return edges[:kept]


@njit(cache=True, nogil=True)
def eliminate(V: NDArray, U: NDArray, generators: NDArray, relations: NDArray, outer: NDArray) -> NDArray:
    """(K, 3) bars of positive length: birth edge, death edge, 1 if the death is read from U; in order of death.

    Relations of V and edges of U come in order of their lengths; V's go first where these are equal.
    """
    num_generators = generators.size
    words = (num_generators + 63) // 64
    codes = np.zeros(V.shape, np.int32)
    killer = np.empty(num_generators, np.int64)
    for g in range(num_generators):
        codes[generators[g] >> 16, generators[g] & 0xFFFF] = 2 + g
        killer[g] = -1
    rows = np.empty((64, words), np.uint64)
    num_rows = np.int64(0)
    columns = np.empty((num_generators + 1, words), np.uint64)
    num_dead = np.int64(0)
    bars = np.empty((num_generators, 3), np.int64)
    num_bars = 0
    stack = np.empty(64, np.int64)
    wanted = np.empty(4, np.int64)
    a = 0
    b = 0
    while num_dead < num_generators:
        in_outer = a == relations.size
        if not in_outer:
            e = relations[a] >> 32 & 0xFFFFFFFF
            value = V[e >> 16, e & 0xFFFF]
            if b < outer.size:
                in_outer = U[outer[b] >> 16, outer[b] & 0xFFFF] < value
        if in_outer:
            e = np.int64(outer[b])
            value = U[e >> 16, e & 0xFFFF]
            num_wanted = edges_of_outer(e, V, U, wanted)
            b += 1
        else:
            num_wanted = edges_of_relation(relations[a], wanted)
            a += 1
        for w in range(words):
            columns[num_dead, w] = 0
        for s in range(num_wanted):
            i, j = wanted[s] >> 16, wanted[s] & 0xFFFF
            if codes[i, j] == 0:
                rows, num_rows, stack = resolve(wanted[s], V, U, codes, rows, num_rows, num_generators, stack)
            add_code(columns, num_dead, codes[i, j], rows, num_generators)
        youngest = reduce(columns, num_dead, killer)
        if youngest < 0:
            continue
        killer[youngest] = num_dead
        num_dead += 1
        birth = generators[youngest]
        if V[birth >> 16, birth & 0xFFFF] < value:
            bars[num_bars, 0] = birth
            bars[num_bars, 1] = e
            bars[num_bars, 2] = in_outer
            num_bars += 1
    return bars[:num_bars]


@njit(cache=True, nogil=True)
def packed(i: int, j: int) -> int:
    """The edge between i and j."""
    return (min(i, j) << 16) | max(i, j)


@njit(cache=True, nogil=True)
def edges_of_relation(relation: int, wanted: NDArray) -> int:
    """Writes to `wanted` the edges whose sum a relation of the walk sets to zero; returns their number."""
    i, j = relation >> 48 & 0xFFFF, relation >> 32 & 0xFFFF
    k, m = relation >> 16 & 0xFFFF, relation & 0xFFFF
    wanted[0], wanted[1], wanted[2], wanted[3] = packed(i, k), packed(j, k), packed(i, m), packed(j, m)
    return 4


@njit(cache=True, nogil=True)
def edges_of_outer(e: int, V: NDArray, U: NDArray, wanted: NDArray) -> int:
    """As `edges_of_relation` for the edge e of U: e itself, or where it is never active a path around it."""
    i, j = e >> 16, e & 0xFFFF
    if V[i, j] < U[i, j]:
        wanted[0] = e
        return 1
    k = lune_point(V, i, j)
    if k < 0:
        return 0
    wanted[0], wanted[1] = packed(i, k), packed(j, k)
    return 2


@njit(cache=True, nogil=True)
def resolve(
    e: int,
    V: NDArray,
    U: NDArray,
    codes: NDArray,
    rows: NDArray,
    num_rows: int,
    num_generators: int,
    stack: NDArray,
) -> tuple[NDArray, int, NDArray]:
    """Find the code of edge e, and of those it depends on; returns the arrays that may have grown.

    The stack holds edges, with the lune point once it is found: (k + 1) << 32 | edge.
    """
    stack[0] = e
    height = 1
    while height > 0:
        top = stack[height - 1]
        i, j = top >> 16 & 0xFFFF, top & 0xFFFF
        if codes[i, j] != 0 or not V[i, j] < U[i, j]:
            codes[i, j] = max(codes[i, j], 1)
            height -= 1
            continue
        k = (top >> 32) - 1
        if k < 0:
            k = lune_point(V, i, j)
            stack[height - 1] |= (k + 1) << 32
        first, second = packed(i, k), packed(j, k)
        code, other = codes[first >> 16, first & 0xFFFF], codes[second >> 16, second & 0xFFFF]
        if code != 0 and other != 0:
            if code == other:
                codes[i, j] = 1
            elif code == 1 or other == 1:
                codes[i, j] = max(code, other)
            else:
                if num_rows == rows.shape[0]:
                    rows = taller(rows)
                for w in range(rows.shape[1]):
                    rows[num_rows, w] = 0
                add_code(rows, num_rows, code, rows, num_generators)
                add_code(rows, num_rows, other, rows, num_generators)
                codes[i, j] = 2 + num_generators + num_rows
                num_rows += 1
            height -= 1
            continue
        if height + 2 > stack.size:
            stack = grown(stack)
        if code == 0:
            stack[height] = first
            height += 1
        if other == 0:
            stack[height] = second
            height += 1
    return rows, num_rows, stack


@njit(cache=True, nogil=True)
def taller(rows: NDArray) -> NDArray:
    """A copy of a matrix with room for twice as many rows."""
    more = np.empty((2 * rows.shape[0], rows.shape[1]), rows.dtype)
    for r in range(rows.shape[0]):
        for w in range(rows.shape[1]):
            more[r, w] = rows[r, w]
    return more


@njit(cache=True, nogil=True)
def add_code(columns: NDArray, c: int, code: int, rows: NDArray, num_generators: int) -> None:
    """Add to column c the sum of generators that a code stands for."""
    g = code - 2
    r = g - num_generators
    if r >= 0:
        for w in range(rows.shape[1]):
            columns[c, w] ^= rows[r, w]
    elif g >= 0:
        columns[c, g >> 6] ^= ONE << np.uint64(g & 63)


@njit(cache=True, nogil=True)
def reduce(columns: NDArray, c: int, killer: NDArray) -> int:
    """Reduce column c by those before it; the youngest generator left in it, or -1 if it is zero."""
    w = columns.shape[1] - 1
    while w >= 0:
        if columns[c, w] == 0:
            w -= 1
            continue
        youngest = w * 64 + 63 - leading_zeros(columns[c, w])
        if killer[youngest] < 0:
            return youngest
        for v in range(w + 1):
            columns[c, v] ^= columns[killer[youngest], v]
    return -1


@njit(cache=True, nogil=True)
def bars_of_pair(outer: NDArray, inner: NDArray) -> NDArray:
    """(K, 5) bars (birth i, birth j, death i, death j, death read from outer) in order of death, i < j.

    outer, inner: (N, N) bit patterns (uint32 or uint64) of distances, inner <= outer, N <= 65536.
    """
    order, radius = central_order(inner)
    V = permuted(inner, order)
    edges = sorted_edges(V, radius)
    n = V.shape[0]
    births, relations = walk_one_word(edges, n) if n <= 64 else walk(edges, n)
    U = permuted(outer, order)
    count = 0
    for a in range(births.size):
        e = births[a]
        if V[e >> 16, e & 0xFFFF] < U[e >> 16, e & 0xFFFF]:
            births[count] = e
            count += 1
    bars = eliminate(V, U, births[:count], relations, outer_edges(U, radius))
    result = np.empty((bars.shape[0], 5), np.int64)
    for a in range(bars.shape[0]):
        for s in range(2):
            i, j = np.int64(order[bars[a, s] >> 16]), np.int64(order[bars[a, s] & 0xFFFF])
            result[a, 2 * s], result[a, 2 * s + 1] = min(i, j), max(i, j)
        result[a, 4] = bars[a, 2]
    return result
