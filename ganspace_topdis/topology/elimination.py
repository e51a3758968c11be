# mypy: disable-error-code="import-untyped, call-arg, arg-type, assignment, var-annotated, return-value"
"""Elimination over GF(2): relations in order of length, each of which kills the youngest generator left in it.

A code says which sum of generators an edge is: 0 unknown, 1 zero, 2 + g generator g, -c chain c, whose generators,
decreasing, are entries[starts[c] : starts[c + 1]]. The number of the next chain, from 1 on, is starts[0]. The codes
known are in a table. The column at work is a bitset; relations reduced before are chains, as they are sparse.
"""

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology.edge_table import code_of, is_half_full, set_code
from ganspace_topdis.topology.edges import lune_point
from ganspace_topdis.topology.words import ONE, leading_zeros, lean

__all__ = ["eliminate"]


@lean
def eliminate(
    V: NDArray,
    U: NDArray,
    generators: NDArray,
    relations: NDArray,
    outer: NDArray,
    outer_lengths: NDArray,
    bound: int,
    table: NDArray,
    entries: NDArray,
    starts: NDArray,
    stack: NDArray,
    column: NDArray,
    killer: NDArray,
    bars: NDArray,
    at: NDArray,
    wanted: NDArray,
) -> bool:
    """Goes on until no generator or no relation is left, all but edges of U from `bound` on; False if room is lacking.

    Relations of V and edges of U come in order of their lengths; V's go first where these are equal. Where things
    stand is in `at`: the number of the next relation, of the next edge of U, of bars, and of dead generators.
    """
    while at[3] < generators.size:
        if not has_room(generators.size, entries, starts):
            return False
        a, b = at[0], at[1]
        in_outer = a == relations.size
        if in_outer and (b == outer.size or outer_lengths[b] >= bound):
            return True
        if not in_outer:
            e = relations[a] >> 32 & 0xFFFFFFFF
            value = V[e >> 16, e & 0xFFFF]
            in_outer = b < outer.size and outer_lengths[b] < value
        if in_outer:
            e, value = np.int64(outer[b]), outer_lengths[b]
            num_wanted = edges_of_outer(e, V, U, wanted)
        else:
            num_wanted = edges_of_relation(relations[a], wanted)
        for s in range(num_wanted):
            code = code_of(table, wanted[s])
            if code == 0:
                if not resolve(wanted[s], V, U, table, stack, entries, starts):
                    return False
                code = code_of(table, wanted[s])
            wanted[s] = code
        youngest = np.int64(-1)
        for s in range(num_wanted):
            youngest = max(youngest, add_code(column, wanted[s], entries, starts))
        youngest = reduce(column, youngest, killer, entries, starts)
        at[1 if in_outer else 0] += 1
        if youngest < 0:
            continue
        killer[youngest] = move_to_chain(column, youngest, entries, starts)
        at[3] += 1
        i, j = np.int64(generators[youngest] >> 16), np.int64(generators[youngest] & 0xFFFF)
        if V[i, j] < value:
            c = at[2]
            bars[c, 0], bars[c, 1], bars[c, 2], bars[c, 3], bars[c, 4] = i, j, e >> 16, e & 0xFFFF, in_outer
            at[2] += 1
    return True


@lean
def edges_of_relation(relation: int, wanted: NDArray) -> int:
    """Writes to `wanted` the edges whose sum a relation of the walk sets to zero; returns their number."""
    i, j = relation >> 48 & 0xFFFF, relation >> 32 & 0xFFFF
    k, m = relation >> 16 & 0xFFFF, relation & 0xFFFF
    wanted[0], wanted[1], wanted[2], wanted[3] = packed(i, k), packed(j, k), packed(i, m), packed(j, m)
    return 4


@lean
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


@lean
def packed(i: int, j: int) -> int:
    """The edge between i and j."""
    return (min(i, j) << 16) | max(i, j)


@lean
def resolve(e: int, V: NDArray, U: NDArray, table: NDArray, stack: NDArray, entries: NDArray, starts: NDArray) -> bool:
    """Find the code of edge e, and of those it depends on; False if an array is too small to go on.

    The stack holds edges, with the lune point once it is found: (k + 1) << 32 | edge.
    """
    stack[0] = e
    height = 1
    while height > 0:
        if is_half_full(table):
            return False
        top = stack[height - 1]
        edge, i, j = top & 0xFFFFFFFF, top >> 16 & 0xFFFF, top & 0xFFFF
        k = (top >> 32) - 1
        if k < 0:
            if code_of(table, edge) != 0:
                height -= 1
                continue
            if not V[i, j] < U[i, j]:
                set_code(table, edge, 1)
                height -= 1
                continue
            k = lune_point(V, i, j)
            stack[height - 1] |= (k + 1) << 32
        one, two = packed(i, k), packed(j, k)
        code, other = code_of(table, one), code_of(table, two)
        if code != 0 and other != 0:
            if not has_room(length_of(code, starts) + length_of(other, starts), entries, starts):
                return False
            set_code(table, edge, sum_of_codes(code, other, entries, starts))
            height -= 1
            continue
        if height + 2 > stack.size:
            return False
        if code == 0:
            stack[height] = one
            height += 1
        if other == 0:
            stack[height] = two
            height += 1
    return True


@lean
def has_room(length: int, entries: NDArray, starts: NDArray) -> bool:
    """Whether one more chain, of up to `length` generators, can be written."""
    return starts[0] + 2 < starts.size and starts[starts[0]] + length <= entries.size


@lean
def length_of(code: int, starts: NDArray) -> int:
    """How many generators a code sums, at most."""
    return starts[1 - code] - starts[-code] if code < 0 else 1


@lean
def sum_of_codes(code: int, other: int, entries: NDArray, starts: NDArray) -> int:
    """The code of a sum of two codes; a new chain is written behind the others."""
    if code == other:
        return 1
    if code == 1 or other == 1:
        return code + other - 1
    here, there = starts[max(-code, 0)], starts[max(-other, 0)]
    here_end, there_end = here + length_of(code, starts), there + length_of(other, starts)
    at = starts[starts[0]]
    while here < here_end or there < there_end:
        g = -1 if here == here_end else (entries[here] if code < 0 else code - 2)
        h = -1 if there == there_end else (entries[there] if other < 0 else other - 2)
        here += g >= h
        there += h >= g
        if g != h:
            entries[at] = max(g, h)
            at += 1
    length = at - starts[starts[0]]
    if length < 2:
        return 1 if length == 0 else 2 + entries[at - 1]
    return end_chain(at, starts)


@lean
def end_chain(end: int, starts: NDArray) -> int:
    """The code of the chain written last, whose entries go up to `end`."""
    c = starts[0]
    starts[0] = c + 1
    starts[c + 1] = end
    return -c


@lean
def add_code(column: NDArray, code: int, entries: NDArray, starts: NDArray) -> int:
    """Add to a bitset of generators the sum that a code stands for; returns the youngest in that sum, or -1."""
    if code > 0:
        g = np.int64(code) - 2
        if g >= 0:
            column[g >> 6] ^= ONE << np.uint64(g & 63)
        return g
    for s in range(starts[-code], starts[1 - code]):
        g = np.int64(entries[s])
        column[g >> 6] ^= ONE << np.uint64(g & 63)
    return np.int64(entries[starts[-code]])


@lean
def reduce(column: NDArray, youngest: int, killer: NDArray, entries: NDArray, starts: NDArray) -> int:
    """Reduce a column, in which none is younger than `youngest`, by those before it; its youngest generator or -1."""
    w = np.int64(youngest) >> 6
    while w >= 0:
        if column[w] == 0:
            w -= 1
            continue
        g = w * 64 + 63 - leading_zeros(column[w])
        if killer[g] == 0:
            return g
        add_code(column, killer[g], entries, starts)
    return -1


@lean
def move_to_chain(column: NDArray, youngest: int, entries: NDArray, starts: NDArray) -> int:
    """Write a column as a new chain and clear it; returns its code."""
    at = starts[starts[0]]
    for w in range(youngest >> 6, -1, -1):
        while column[w] != 0:
            g = w * 64 + 63 - leading_zeros(column[w])
            column[w] ^= ONE << np.uint64(g & 63)
            entries[at] = g
            at += 1
    return end_chain(at, starts)
