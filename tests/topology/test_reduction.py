import numpy as np
import pytest
from numba import njit

from ganspace_topdis.topology.reduction import code_of, is_half_full, new_table, rehashed, set_code


@njit
def codes_read(edges, codes, asked):
    """The codes of `asked` once `edges` have theirs, from a table that began with room for two; its count and size."""
    table = new_table(2)
    for a in range(edges.size):
        if is_half_full(table):
            table = rehashed(table)
        set_code(table, edges[a], codes[a])
    return [code_of(table, edge) for edge in asked], table[0], table.size


def random_edges(rng: np.random.Generator, num_points: int, count: int) -> np.ndarray:
    i, j = np.sort(rng.choice(num_points, (2, count)), axis=0)
    return np.unique((i << 16 | j)[i < j])


@pytest.mark.parametrize("num_points", [3, 60, 65536])
def test_every_edge_keeps_its_code_however_often_the_table_grows(num_points):
    rng = np.random.default_rng(num_points)
    edges = rng.permutation(random_edges(rng, num_points, 5000))
    codes = rng.choice([-(2**31), -7, -1, 1, 2, 2**31 - 1], edges.size)
    assert codes_read(edges, codes, edges)[0] == list(codes)


def test_an_edge_without_a_code_has_code_0():
    edges = random_edges(np.random.default_rng(0), 60, 900)
    assert not any(codes_read(edges[::2], np.ones(edges.size, np.int64), edges[1::2])[0])


def test_another_code_replaces_the_first_and_takes_no_room():
    edges = np.array([1, 1, 2, 1], np.int64)
    assert codes_read(edges, np.array([5, 6, 7, -8]), edges[:3])[:2] == ([-8, -8, 7], 2)


def test_a_table_is_at_most_half_full():
    edges = random_edges(np.random.default_rng(1), 500, 3000)
    _, count, size = codes_read(edges, np.ones(edges.size, np.int64), edges[:1])
    assert count == edges.size
    assert 2 * count <= size - 1
