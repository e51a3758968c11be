"""Pairs of distance matrices for the tests, from tame to nasty, and the reference's bars."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ganspace_topdis.topology.barcode import CrossBarcode

KINDS = ("gaussian", "near", "integers", "grid", "line", "duplicates", "matrix", "small integers", "equal")


def distances_of_kind(kind: str, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Two symmetric (n, n) matrices with zero diagonals; "matrix" kinds are no metrics and hold zeros."""
    if kind in ("matrix", "small integers", "equal"):
        high = {"matrix": 0, "small integers": 4, "equal": 1}[kind]
        pair = []
        for _ in range(2):
            M = rng.random((n, n)) if high == 0 else rng.integers(0, high + 1, (n, n)).astype(float)
            M = np.triu(M if kind != "equal" else np.ones((n, n)), 1)
            pair.append(M + M.T)
        return pair[0], pair[1]
    x = rng.normal(size=(n, int(rng.integers(1, 6))))
    y = x + rng.normal(size=x.shape) * (0.1 if kind == "near" else 1.0)
    if kind == "integers":
        x, y = np.round(2 * x), np.round(2 * y)
    elif kind == "grid":
        side = int(np.ceil(n**0.5))
        x = np.stack(np.divmod(np.arange(n), side), axis=1).astype(float)
        y = x[rng.permutation(n)]
    elif kind == "line":
        x, y = np.outer(np.arange(n), [1.0, 2.0]), np.outer(rng.permutation(n), [1.0])
    elif kind == "duplicates":
        x[: n // 2] = x[0]
        y[n // 3 :] = y[-1]
    return cdist(x, x), cdist(y, y)


@st.composite
def outer_and_inner(draw: st.DrawFn, max_points: int = 60) -> tuple[NDArray, NDArray]:
    """(outer, inner) of the min or the max variant, any kind, any scale, float32 or float64."""
    kind = draw(st.sampled_from(KINDS))
    n = draw(st.integers(1, max_points))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    A, B = distances_of_kind(kind, n, rng)
    scale = draw(st.sampled_from([1.0, 1e-12, 1e12]))
    A, B = (scale * A).astype(np.float32), (scale * B).astype(np.float32)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    A, B = A.astype(dtype), B.astype(dtype)
    return (A, np.minimum(A, B)) if draw(st.booleans()) else (np.maximum(A, B), B)


def sorted_bars(bars: CrossBarcode) -> NDArray[np.float64]:
    """(K, 2) births and deaths in lexicographic order."""
    values = np.stack([bars.births, bars.deaths], axis=1).astype(np.float64)
    return values[np.lexsort((values[:, 1], values[:, 0]))]
