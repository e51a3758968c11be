"""Reduction over GF(2): relations in order of length, each of which kills the youngest generator left in it.

A code says which sum of generators an edge is: 0 not known yet, 1 zero, 2 + g generator g, -c chain c, whose
generators, decreasing, are entries[starts[c] : starts[c + 1]]. The number of the next chain, from 1 on, is starts[0].
Few of the N^2 edges ever get a code, so codes live in a hash table that stays in the processor's cache: a slot holds
edge << 32 | code, or 0 while it is free; slot 0 counts the edges, the others, a power of two, are probed linearly.
The column being reduced is a bit set; reduced columns are chains, as they are sparse.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology.bitset import ONE, leading_zeros, no_refcounts, no_wrapper
from ganspace_topdis.topology.edges import doubled, lune_point

__all__ = ["Filtration", "Reduction", "grown", "new_reduction", "reduce_relations"]


class Filtration(NamedTuple):
    """The pair of matrices as bits of distances, V <= U, with V's generators and the relations of U.

    generators, outer_edges: packed edges in order of length; outer_lengths: lengths of `outer_edges` in U.
    """

    V: NDArray
    U: NDArray
    generators: NDArray
    outer_edges: NDArray
    outer_lengths: NDArray


class Chains(NamedTuple):
    """Sums of generators, one behind the other."""

    entries: NDArray
    starts: NDArray


class Reduction(NamedTuple):
    """What is known so far. Arrays change in place; `grown` gives a copy with more room.

    table: codes of edges. stack: edges whose code is being worked out. column: bit set of generators.
    pivots: for each generator the chain that killed it, or 0.
    bars: (num_generators, 5) birth i, j, death i, j, 1 if the death is read from U.
    boundary: the edges of the relation at work, then their codes. counters: see `COUNTERS`.
    """

    table: NDArray
    chains: Chains
    stack: NDArray
    column: NDArray
    pivots: NDArray
    bars: NDArray
    boundary: NDArray
    counters: NDArray


COUNTERS = np.dtype([(name, np.int64) for name in ("next_relation", "next_outer", "num_bars", "num_dead")])
"""The next relation of V and the next edge of U to reduce, and how many bars and dead generators there are."""


@no_wrapper
def new_reduction(generators: NDArray) -> Reduction:
    """The state before the first relation, in which generators alone have codes."""
    count = generators.size
    table = new_table(4 * count)
    for g in range(count):
        set_code(table, np.int64(generators[g]), 2 + g)
    starts = np.empty(4 * count + 4, np.int64)
    starts[0], starts[1] = 1, 0
    return Reduction(
        table,
        Chains(np.empty(16 * count, np.int32), starts),
        np.empty(64, np.int64),
        np.zeros((count + 63) // 64, np.uint64),
        np.zeros(count, np.int64),
        np.empty((count, 5), np.int64),
        np.empty(4, np.int64),
        np.zeros(1, COUNTERS),
    )


@no_wrapper
def grown(state: Reduction) -> Reduction:
    """The same state with more room: in the table if that is half full, else in chains and stack."""
    table, chains, stack = state.table, state.chains, state.stack
    if is_half_full(table):
        table = rehashed(table)
    else:
        chains, stack = Chains(doubled(chains.entries), doubled(chains.starts)), doubled(stack)
    return Reduction(table, chains, stack, state.column, state.pivots, state.bars, state.boundary, state.counters)


@no_refcounts
def reduce_relations(filtration: Filtration, relations: NDArray, bound: int, state: Reduction) -> bool:
    """Reduces until no generator is left, or no relation of V and no edge of U below `bound`; False without room.

    Relations of V and edges of U come in order of their lengths; V's go first where these are equal.
    """
    V, U, generators = filtration.V, filtration.U, filtration.generators
    table, chains, stack, column, pivots, bars, boundary, _ = state
    counters = state.counters[0]
    while counters.num_dead < generators.size:
        if not has_room(chains, generators.size):
            return False
        a, b = counters.next_relation, counters.next_outer
        in_outer = a == relations.size
        if in_outer and (b == filtration.outer_edges.size or filtration.outer_lengths[b] >= bound):
            return True
        if not in_outer:
            e = relations[a] >> 32 & 0xFFFFFFFF
            value = V[e >> 16, e & 0xFFFF]
            in_outer = b < filtration.outer_edges.size and filtration.outer_lengths[b] < value
        if in_outer:
            e, value = np.int64(filtration.outer_edges[b]), filtration.outer_lengths[b]
            size = boundary_in_outer(e, V, U, boundary)
        else:
            size = boundary_of_relation(relations[a], boundary)
        for s in range(size):
            code = code_of(table, boundary[s])
            if code == 0:
                if not resolve(boundary[s], filtration.V, filtration.U, table, chains, stack):
                    return False
                code = code_of(table, boundary[s])
            boundary[s] = code
        youngest = np.int64(-1)
        for s in range(size):
            youngest = max(youngest, add_code(column, boundary[s], chains))
        youngest = reduce_column(column, youngest, pivots, chains)
        if in_outer:
            counters.next_outer += 1
        else:
            counters.next_relation += 1
        if youngest < 0:
            continue
        pivots[youngest] = move_to_chain(column, youngest, chains)
        counters.num_dead += 1
        i, j = np.int64(generators[youngest] >> 16), np.int64(generators[youngest] & 0xFFFF)
        if V[i, j] < value:
            c = counters.num_bars
            bars[c, 0], bars[c, 1], bars[c, 2], bars[c, 3], bars[c, 4] = i, j, e >> 16, e & 0xFFFF, in_outer
            counters.num_bars += 1
    return True


@no_refcounts
def boundary_of_relation(relation: int, boundary: NDArray) -> int:
    """Writes to `boundary` the edges whose sum a relation of the walk sets to zero; returns their number."""
    i, j = relation >> 48 & 0xFFFF, relation >> 32 & 0xFFFF
    k, m = relation >> 16 & 0xFFFF, relation & 0xFFFF
    boundary[0], boundary[1], boundary[2], boundary[3] = packed(i, k), packed(j, k), packed(i, m), packed(j, m)
    return 4


@no_refcounts
def boundary_in_outer(e: int, V: NDArray, U: NDArray, boundary: NDArray) -> int:
    """As `boundary_of_relation` for the edge e of U: e itself, or where it is never active a path around it."""
    i, j = e >> 16, e & 0xFFFF
    if V[i, j] < U[i, j]:
        boundary[0] = e
        return 1
    k = lune_point(V, i, j)
    if k < 0:
        return 0
    boundary[0], boundary[1] = packed(i, k), packed(j, k)
    return 2


@no_refcounts
def packed(i: int, j: int) -> int:
    """The edge between i and j."""
    return (min(i, j) << 16) | max(i, j)


@no_refcounts
def resolve(e: int, V: NDArray, U: NDArray, table: NDArray, chains: Chains, stack: NDArray) -> bool:
    """Finds the code of edge e, and of those it depends on; False if an array is too small to go on.

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
            if not has_room(chains, length_of(code, chains.starts) + length_of(other, chains.starts)):
                return False
            set_code(table, edge, sum_of_codes(code, other, chains))
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


@no_refcounts
def has_room(chains: Chains, length: int) -> bool:
    """Whether one more chain, of up to `length` generators, can be written."""
    entries, starts = chains
    return starts[0] + 2 < starts.size and starts[starts[0]] + length <= entries.size


@no_refcounts
def length_of(code: int, starts: NDArray) -> int:
    """How many generators a code sums, at most."""
    return starts[1 - code] - starts[-code] if code < 0 else 1


@no_refcounts
def sum_of_codes(code: int, other: int, chains: Chains) -> int:
    """The code of a sum of two codes; a new chain is written behind the others."""
    entries, starts = chains
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


@no_refcounts
def end_chain(end: int, starts: NDArray) -> int:
    """The code of the chain written last, whose entries go up to `end`."""
    c = starts[0]
    starts[0] = c + 1
    starts[c + 1] = end
    return -c


@no_refcounts
def add_code(column: NDArray, code: int, chains: Chains) -> int:
    """Adds to the column the sum that a code stands for; returns the youngest generator in that sum, or -1."""
    entries, starts = chains
    if code > 0:
        g = np.int64(code) - 2
        if g >= 0:
            column[g >> 6] ^= ONE << np.uint64(g & 63)
        return g
    for s in range(starts[-code], starts[1 - code]):
        g = np.int64(entries[s])
        column[g >> 6] ^= ONE << np.uint64(g & 63)
    return np.int64(entries[starts[-code]])


@no_refcounts
def reduce_column(column: NDArray, youngest: int, pivots: NDArray, chains: Chains) -> int:
    """Reduces the column, in which none is younger than `youngest`, by those before; its youngest generator or -1."""
    w = np.int64(youngest) >> 6
    while w >= 0:
        if column[w] == 0:
            w -= 1
            continue
        g = w * 64 + 63 - leading_zeros(column[w])
        if pivots[g] == 0:
            return g
        add_code(column, pivots[g], chains)
    return -1


@no_refcounts
def move_to_chain(column: NDArray, youngest: int, chains: Chains) -> int:
    """Writes the column as a new chain and clears it; returns its code."""
    entries, starts = chains
    at = starts[starts[0]]
    for w in range(youngest >> 6, -1, -1):
        while column[w] != 0:
            g = w * 64 + 63 - leading_zeros(column[w])
            column[w] ^= ONE << np.uint64(g & 63)
            entries[at] = g
            at += 1
    return end_chain(at, starts)


@no_wrapper
def new_table(num_edges: int) -> NDArray:
    """A table of codes with room for so many edges."""
    num_slots = 2
    while num_slots < 2 * num_edges:
        num_slots *= 2
    return np.zeros(1 + num_slots, np.uint64)


@no_refcounts
def is_half_full(table: NDArray) -> bool:
    """Whether a table must be rehashed before another edge comes in."""
    return 2 * np.int64(table[0]) >= table.size - 1


@no_refcounts
def code_of(table: NDArray, edge: int) -> int:
    """The code of an edge, or 0."""
    return np.int64(np.int32(table[slot_of(table, edge)] & np.uint64(0xFFFFFFFF)))


@no_refcounts
def set_code(table: NDArray, edge: int, code: int) -> None:
    """Gives an edge its first or another code."""
    slot = slot_of(table, edge)
    table[0] += np.uint64(table[slot] == 0)
    table[slot] = np.uint64(edge) << np.uint64(32) | np.uint64(code) & np.uint64(0xFFFFFFFF)


@no_refcounts
def slot_of(table: NDArray, edge: int) -> int:
    """The slot of an edge, or the free one that it would take."""
    last = np.uint64(table.size - 2)
    place = np.uint64(edge) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32) & last
    while True:
        entry = table[np.int64(place) + 1]
        if entry == 0 or entry >> np.uint64(32) == np.uint64(edge):
            return np.int64(place) + 1
        place = (place + np.uint64(1)) & last


@no_wrapper
def rehashed(table: NDArray) -> NDArray:
    """The same edges and codes in a table of twice the room."""
    result = np.zeros(2 * table.size - 1, np.uint64)
    for a in range(1, table.size):
        if table[a] != 0:
            result[slot_of(result, np.int64(table[a] >> np.uint64(32)))] = table[a]
    result[0] = table[0]
    return result
