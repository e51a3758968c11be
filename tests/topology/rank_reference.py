"""The R-Cross-Barcode of a few points from the definition of persistent relative homology, by ranks over GF(2).

It shares nothing with the engine or with the doubled matrix: no generators, lunes, order of edges, or pairing. With
E_s the edges of V born by s, and R_t the boundaries of triangles of V and the edges of U that are there by t,

    rank(s, t) = dim(span(E_s) + R_t) - dim R_t,

the rank of H1(V_s, U_s) -> H1(V_t, U_t), since every relative 1-chain is a cycle. The number of bars [b, d) is
rank(b, d-) - rank(b-, d-) - rank(b, d) + rank(b-, d), with b-, d- the values before b and d (Edelsbrunner and Harer
2010, section VII.1).
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bars_by_ranks"]


def bars_by_ranks(outer: NDArray, inner: NDArray) -> NDArray[np.float64]:
    """(K, 2) births and deaths, births < deaths, sorted; for up to about ten points."""
    n = len(outer)
    edges = list(combinations(range(n), 2))
    number = {edge: k for k, edge in enumerate(edges)}
    relations = [(float(outer[edge]), 1 << number[edge]) for edge in edges]
    for i, j, k in combinations(range(n), 3):
        sides = ((i, j), (i, k), (j, k))
        relations.append((max(float(inner[side]) for side in sides), sum(1 << number[side] for side in sides)))
    births = np.array([float(inner[edge]) for edge in edges])
    times = np.unique([*births, *(time for time, _ in relations)])
    rank = _ranks(births, relations, times)
    bars = [
        (times[b], times[d])
        for b in range(len(times))
        for d in range(b + 1, len(times))
        for _ in range(rank[b, d - 1] - rank[b - 1, d - 1] - rank[b, d] + rank[b - 1, d])
    ]
    return np.array(bars, np.float64).reshape(-1, 2)


def _ranks(births: NDArray, relations: list[tuple[float, int]], times: NDArray) -> NDArray[np.int64]:
    """rank[s, t] for s <= t by index into `times`; row -1 is that of before all times, which is zero."""
    rank = np.zeros((len(times) + 1, len(times)), np.int64)
    pivots: dict[int, int] = {}
    relations, order = sorted(relations), np.argsort(births, kind="stable")
    done = 0
    for t, time in enumerate(times):
        while done < len(relations) and relations[done][0] <= time:
            _insert(pivots, relations[done][1])
            done += 1
        extended, added = dict(pivots), 0
        born = iter(order[births[order] <= time])
        edge = next(born, None)
        for s in range(t + 1):
            while edge is not None and births[edge] <= times[s]:
                added += _insert(extended, 1 << int(edge))
                edge = next(born, None)
            rank[s, t] = added
    return rank


def _insert(pivots: dict[int, int], vector: int) -> bool:
    """Add a vector of bits to a basis, kept by leading bit; whether it was independent of the others."""
    while vector:
        lead = vector.bit_length()
        if lead not in pivots:
            pivots[lead] = vector
            return True
        vector ^= pivots[lead]
    return False
