# mypy: disable-error-code="import-untyped, call-arg, arg-type, assignment, var-annotated, return-value"
"""A hash table from edges to codes: few of the N^2 edges ever have one, and these few stay in the processor's cache.

A slot holds edge << 32 | code, or 0 while it is free; a code is an int32 other than 0. The number of edges is slot 0,
the others, a power of two, are probed linearly.
"""

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology.words import allocating, lean

__all__ = ["code_of", "is_half_full", "new_table", "set_code", "wider"]


@allocating
def new_table(num_edges: int) -> NDArray:
    """A table with room for so many edges."""
    num_slots = 2
    while num_slots < 2 * num_edges:
        num_slots *= 2
    return np.zeros(1 + num_slots, np.uint64)


@lean
def is_half_full(table: NDArray) -> bool:
    """Whether a table must be made wider before another edge comes in."""
    return 2 * np.int64(table[0]) >= table.size - 1


@lean
def code_of(table: NDArray, edge: int) -> int:
    """The code of an edge, or 0."""
    return np.int64(np.int32(table[slot_of(table, edge)] & np.uint64(0xFFFFFFFF)))


@lean
def set_code(table: NDArray, edge: int, code: int) -> None:
    """Give an edge its first or another code."""
    slot = slot_of(table, edge)
    table[0] += np.uint64(table[slot] == 0)
    table[slot] = np.uint64(edge) << np.uint64(32) | np.uint64(code) & np.uint64(0xFFFFFFFF)


@lean
def slot_of(table: NDArray, edge: int) -> int:
    """The slot of an edge, or the free one that it would take."""
    last = np.uint64(table.size - 2)
    place = np.uint64(edge) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32) & last
    while True:
        entry = table[np.int64(place) + 1]
        if entry == 0 or entry >> np.uint64(32) == np.uint64(edge):
            return np.int64(place) + 1
        place = (place + np.uint64(1)) & last


@allocating
def wider(table: NDArray) -> NDArray:
    """The same edges and codes in a table of twice the room."""
    result = np.zeros(2 * table.size - 1, np.uint64)
    for a in range(1, table.size):
        if table[a] != 0:
            result[slot_of(result, np.int64(table[a] >> np.uint64(32)))] = table[a]
    result[0] = table[0]
    return result
