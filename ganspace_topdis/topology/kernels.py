# mypy: ignore-errors
"""The exact cross-barcode on N points: relative homology H1(VR(V), VR(U)) for distances V <= U."""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["barcode_pairs"]


@intrinsic
def _trailing_zeros(typing_context, word):  # type: ignore[no-untyped-def]
    """Index of the lowest set bit of a nonzero 64-bit word."""

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), build


@intrinsic
def _leading_zeros(typing_context, word):  # type: ignore[no-untyped-def]
    """Number of zero bits above the highest set bit of a nonzero 64-bit word."""

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), build


@njit(cache=True, nogil=True)
def _sorted_edges(bits, limit):
    n = bits.shape[0]
    count = 0
    for i in range(n):
        for j in range(i + 1, n):
            count += bits[i, j] <= limit
    keys = np.empty(count, bits.dtype)
    edges = np.empty(count, np.uint32)
    at = 0
    for i in range(n):
        for j in range(i + 1, n):
            if bits[i, j] <= limit:
                keys[at] = bits[i, j]
                edges[at] = (i << 16) | j
                at += 1
    width = 8 if count < 20000 else 11
    keys2 = np.empty_like(keys)
    edges2 = np.empty_like(edges)
    starts = np.empty((1 << width) + 1, np.int64)
    mask = (1 << width) - 1
    for shift in range(0, 8 * bits.itemsize, width):
        starts[:] = 0
        for a in range(count):
            starts[np.int64((keys[a] >> shift) & mask) + 1] += 1
        if count == 0 or starts[np.int64((keys[0] >> shift) & mask) + 1] == count:
            continue
        for b in range(mask + 1):
            starts[b + 1] += starts[b]
        for a in range(count):
            digit = np.int64((keys[a] >> shift) & mask)
            to = starts[digit]
            starts[digit] = to + 1
            keys2[to] = keys[a]
            edges2[to] = edges[a]
        keys, keys2 = keys2, keys
        edges, edges2 = edges2, edges
    return edges


@njit(cache=True, nogil=True)
def _walk(order, V, U):
    n = V.shape[0]
    words = (n + 63) // 64
    adjacency = np.zeros((n, words), np.uint64)
    lune = np.empty(words, np.uint64)
    stack = np.empty(n, np.int64)
    generators = np.empty(n, np.uint32)
    num_generators = 0
    relations = np.empty((n, 3), np.uint32)
    num_relations = 0
    for e in order:
        i = np.int64(e >> 16)
        j = np.int64(e & 0xFFFF)
        some = np.uint64(0)
        for w in range(words):
            common = adjacency[i, w] & adjacency[j, w]
            lune[w] = common
            some |= common
        if some == 0:
            if V[i, j] < U[i, j]:
                if num_generators == generators.size:
                    bigger = np.empty(2 * num_generators, np.uint32)
                    bigger[:num_generators] = generators
                    generators = bigger
                generators[num_generators] = e
                num_generators += 1
        else:
            first = -1
            for w in range(words):
                while lune[w] != 0:
                    k = w * 64 + np.int64(_trailing_zeros(lune[w]))
                    lune[w] &= lune[w] - np.uint64(1)
                    if first < 0:
                        first = k
                    else:
                        if num_relations == relations.shape[0]:
                            more = np.empty((2 * num_relations, 3), np.uint32)
                            more[:num_relations] = relations
                            relations = more
                        relations[num_relations, 0] = e
                        relations[num_relations, 1] = first
                        relations[num_relations, 2] = k
                        num_relations += 1
                    stack[0] = k
                    height = 1
                    while height > 0:
                        height -= 1
                        v = stack[height]
                        left = np.uint64(0)
                        for u in range(words):
                            met = lune[u] & adjacency[v, u]
                            rest = lune[u] ^ met
                            lune[u] = rest
                            left |= rest
                            while met != 0:
                                stack[height] = u * 64 + np.int64(_trailing_zeros(met))
                                met &= met - np.uint64(1)
                                height += 1
                        if left == 0:
                            break
        adjacency[i, j >> 6] |= np.uint64(1) << np.uint64(j & 63)
        adjacency[j, i >> 6] |= np.uint64(1) << np.uint64(i & 63)
    return generators[:num_generators], relations[:num_relations]


@njit(cache=True, nogil=True)
def _precedes(M, i, j, k, m):
    """Whether edge (i, j) comes before edge (k, m) in the order by (value, index)."""
    if M[i, j] != M[k, m]:
        return M[i, j] < M[k, m]
    if min(i, j) != min(k, m):
        return min(i, j) < min(k, m)
    return max(i, j) < max(k, m)


@njit(cache=True, nogil=True)
def _lune_point(M, i, j):
    """The point k of the lune of (i, j) that makes the longer of (i, k) and (j, k) shortest, or -1."""
    n = M.shape[0]
    best = M[i, j]
    found = -1
    for k in range(n):
        longer = max(M[i, k], M[j, k])
        if longer < best and k != i and k != j:
            best = longer
            found = k
    if found >= 0:
        return found
    for k in range(n):
        if (
            k != i
            and k != j
            and max(M[i, k], M[j, k]) == best
            and _precedes(M, i, k, i, j)
            and _precedes(M, j, k, i, j)
        ):
            return k
    return -1


@njit(cache=True, nogil=True)
def _crossed(M, i, j):
    """Whether some point is strictly nearer to both i and j than they are to each other."""
    n = M.shape[0]
    value = M[i, j]
    start = 0
    while start < n:
        stop = min(start + 64, n)
        count = 0
        for k in range(start, stop):
            count += (M[i, k] < value) & (M[j, k] < value)
        if count > 0:
            return True
        start = stop
    return False


@njit(cache=True, nogil=True)
def _outer_edges(U, limit):
    """Edges of U that still matter: its relative neighbourhood graph up to `limit`, its minimum tree beyond."""
    n = U.shape[0]
    edges = np.empty(n, np.uint32)
    count = 0
    for i in range(n):
        for j in range(i + 1, n):
            if not _crossed(U, i, j) and _lune_point(U, i, j) < 0:
                if count == edges.size:
                    bigger = np.empty(2 * count, np.uint32)
                    bigger[:count] = edges
                    edges = bigger
                edges[count] = (i << 16) | j
                count += 1
    edges = edges[:count]
    values = np.empty(count, U.dtype)
    for a in range(count):
        values[a] = U[edges[a] >> 16, edges[a] & 0xFFFF]
    edges = edges[np.argsort(values, kind="mergesort")]
    parent = np.arange(n)
    kept = 0
    for a in range(count):
        i = np.int64(edges[a] >> 16)
        j = np.int64(edges[a] & 0xFFFF)
        value = U[i, j]
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        while parent[j] != j:
            parent[j] = parent[parent[j]]
            j = parent[j]
        if i != j or value <= limit:
            edges[kept] = edges[a]
            kept += 1
        parent[i] = j
    return edges[:kept]


@njit(cache=True, nogil=True)
def _resolve(e, V, U, codes, rows, num_rows, num_generators):
    """Fill codes for edge e: 1 zero, 2 + g generator g, 2 + G + r row r. Returns the rows."""
    words = rows.shape[1]
    stack = np.empty((64, 2), np.int64)
    stack[0, 0] = e
    stack[0, 1] = -1
    height = 1
    while height > 0:
        e = stack[height - 1, 0]
        i = e >> 16
        j = e & 0xFFFF
        if codes[i, j] != 0:
            height -= 1
            continue
        if not V[i, j] < U[i, j]:
            codes[i, j] = 1
            height -= 1
            continue
        k = stack[height - 1, 1]
        if k < 0:
            k = _lune_point(V, i, j)
            stack[height - 1, 1] = k
        if height + 2 > stack.shape[0]:
            bigger = np.empty((2 * height + 2, 2), np.int64)
            bigger[:height] = stack[:height]
            stack = bigger
        i1, k1 = min(i, k), max(i, k)
        j2, k2 = min(j, k), max(j, k)
        ready = True
        if codes[i1, k1] == 0:
            stack[height, 0] = (i1 << 16) | k1
            stack[height, 1] = -1
            height += 1
            ready = False
        if codes[j2, k2] == 0:
            stack[height, 0] = (j2 << 16) | k2
            stack[height, 1] = -1
            height += 1
            ready = False
        if not ready:
            continue
        height -= 1
        a = codes[i1, k1]
        b = codes[j2, k2]
        if a == b:
            codes[i, j] = 1
        elif a == 1 or b == 1:
            codes[i, j] = max(a, b)
        else:
            if num_rows == rows.shape[0]:
                more = np.empty((2 * num_rows, words), np.uint64)
                more[:num_rows] = rows
                rows = more
            rows[num_rows] = 0
            _add(rows[num_rows], a, rows, num_generators)
            _add(rows[num_rows], b, rows, num_generators)
            codes[i, j] = 2 + num_generators + num_rows
            num_rows += 1
    return rows, num_rows


@njit(cache=True, nogil=True)
def _add(column, code, rows, num_generators):
    if code < 2:
        return
    g = code - 2
    if g < num_generators:
        column[g >> 6] ^= np.uint64(1) << np.uint64(g & 63)
    else:
        r = g - num_generators
        for w in range(column.size):
            column[w] ^= rows[r, w]


@njit(cache=True, nogil=True)
def _eliminate(V, U, generators, relations, outer_edges):
    n = V.shape[0]
    G = generators.size
    words = (G + 63) // 64
    codes = np.zeros((n, n), np.int32)
    for g in range(G):
        codes[generators[g] >> 16, generators[g] & 0xFFFF] = 2 + g
    rows = np.empty((n, words), np.uint64)
    num_rows = 0
    reduced = np.empty((G, words), np.uint64)
    alive = np.ones(G, np.bool_)
    num_alive = G
    pairs = np.empty((G, 3), np.uint32)
    num_pairs = 0
    column = np.zeros(words, np.uint64)
    a = 0
    b = 0
    while num_alive > 0:
        column[:] = 0
        inner = a < len(relations)
        if inner and b < len(outer_edges):
            e = relations[a, 0]
            f = outer_edges[b]
            inner = V[e >> 16, e & 0xFFFF] <= U[f >> 16, f & 0xFFFF]
        if inner:
            e = relations[a, 0]
            for s in range(2):
                for t in range(1, 3):
                    i = np.int64(e >> 16) if s == 0 else np.int64(e & 0xFFFF)
                    k = np.int64(relations[a, t])
                    i, k = min(i, k), max(i, k)
                    rows, num_rows = _resolve((i << 16) | k, V, U, codes, rows, num_rows, G)
                    _add(column, codes[i, k], rows, G)
            a += 1
            in_outer = 0
            value = V[e >> 16, e & 0xFFFF]
        else:
            e = outer_edges[b]
            i = np.int64(e >> 16)
            j = np.int64(e & 0xFFFF)
            if V[i, j] < U[i, j]:
                rows, num_rows = _resolve(np.int64(e), V, U, codes, rows, num_rows, G)
                _add(column, codes[i, j], rows, G)
            else:
                k = _lune_point(V, i, j)
                if k >= 0:
                    for s in (i, j):
                        i1, k1 = min(s, k), max(s, k)
                        rows, num_rows = _resolve((i1 << 16) | k1, V, U, codes, rows, num_rows, G)
                        _add(column, codes[i1, k1], rows, G)
            b += 1
            in_outer = 1
            value = U[i, j]
        w = words - 1
        while w >= 0:
            if column[w] == 0:
                w -= 1
                continue
            pivot = w * 64 + 63 - np.int64(_leading_zeros(column[w]))
            if alive[pivot]:
                alive[pivot] = False
                num_alive -= 1
                reduced[pivot] = column
                g = generators[pivot]
                if V[g >> 16, g & 0xFFFF] < value:
                    pairs[num_pairs, 0] = g
                    pairs[num_pairs, 1] = e
                    pairs[num_pairs, 2] = in_outer
                    num_pairs += 1
                break
            for u in range(w + 1):
                column[u] ^= reduced[pivot, u]
    return pairs[:num_pairs]


@njit(cache=True, nogil=True)
def barcode_pairs(V, U, bits):
    """Pairs (birth edge, death edge, death read in U) of one barcode; an edge (i, j) is i << 16 | j."""
    n = V.shape[0]
    limit = V[0].max()
    limit_bits = bits[0].max()
    for i in range(1, n):
        limit = min(limit, V[i].max())
        limit_bits = min(limit_bits, bits[i].max())
    order = _sorted_edges(bits, limit_bits)
    generators, relations = _walk(order, V, U)
    if generators.size == 0:
        return np.empty((0, 3), np.uint32)
    outer_edges = _outer_edges(U, limit)
    return _eliminate(V, U, generators, relations, outer_edges)
