"""Pairs of distance matrices for the tests, from tame to degenerate, and the reference's bars."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ganspace_topdis.topology.barcode import CrossBarcode

CLOUDS = ("gaussian", "near", "integers", "grid", "line", "duplicates", "coincident", "blank")
MATRICES = ("matrix", "small integers", "zero one two", "equal", "blocks", "powers of two", "rescaled")
KINDS = CLOUDS + MATRICES
TAME = ("gaussian", "near", "matrix")
SIZES_AROUND_WORDS = tuple(n + k for n in (64, 128, 192, 256) for k in (-1, 0, 1))


def distances_of_kind(kind: str, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Two symmetric (n, n) matrices with zero diagonals; those of `MATRICES` are no metrics and may hold zeros."""
    if kind in MATRICES:
        A = _symmetric(_matrix_of_kind(kind, n, rng))
        if kind == "rescaled":
            return A, A * _symmetric(2.0 ** rng.integers(-2, 3, (n, n)))
        return A, _symmetric(_matrix_of_kind(kind, n, rng))
    x, y = _clouds_of_kind(kind, n, rng)
    return cdist(x, x), cdist(y, y)


def _matrix_of_kind(kind: str, n: int, rng: np.random.Generator) -> NDArray:
    if kind == "small integers":
        return rng.integers(0, 5, (n, n)).astype(float)
    if kind == "zero one two":
        return rng.choice(3, (n, n), p=rng.dirichlet(np.ones(3))).astype(float)
    if kind == "equal":
        return np.ones((n, n))
    if kind == "powers of two":
        return 2.0 ** rng.integers(-20, 20, (n, n))
    if kind == "blocks":
        num_blocks = int(rng.integers(1, 6))
        block = rng.integers(0, num_blocks, n)
        return _symmetric(rng.integers(0, 4, (num_blocks, num_blocks)).astype(float), diagonal=0)[np.ix_(block, block)]
    return rng.random((n, n))


def _symmetric(M: NDArray, diagonal: int = 1) -> NDArray:
    """The upper triangle and its mirror image; the diagonal is cleared unless `diagonal` is 0."""
    upper = np.triu(M, 1)
    return upper + upper.T + (np.diag(M.diagonal()) if diagonal == 0 else 0)


def _clouds_of_kind(kind: str, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
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
    elif kind == "coincident":
        x, y = (_partly_coincident(cloud, rng) for cloud in (x, y))
    elif kind == "blank":
        x[:] = 0
    return x, y


def _partly_coincident(cloud: NDArray, rng: np.random.Generator) -> NDArray:
    """The cloud with any share of its points, anywhere in it, drawn to a few places."""
    moved = rng.random(len(cloud)) < rng.random()
    places = rng.normal(size=(int(rng.integers(1, 4)), cloud.shape[1]))
    return np.where(moved[:, None], places[rng.integers(0, len(places), len(cloud))], cloud)


def pair_of_kind(kind: str, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """(outer, inner) of the min or the max variant, any scale, float32 or float64; values are exact in float32."""
    A, B = distances_of_kind(kind, n, rng)
    scale = rng.choice([1.0, 1e-12, 1e12])
    A, B = ((scale * M).astype(np.float32).astype(rng.choice([np.float32, np.float64])) for M in (A, B))
    A, B = A.astype(B.dtype), B
    if rng.random() < 0.5:
        A, B = B, A
    return (A, np.minimum(A, B)) if rng.random() < 0.5 else (np.maximum(A, B), B)


@st.composite
def outer_and_inner(draw: st.DrawFn, max_points: int = 60) -> tuple[NDArray, NDArray]:
    """A pair of any kind with up to `max_points` points, or of a size around a multiple of a word up to there."""
    around = [n for n in SIZES_AROUND_WORDS if n <= max_points]
    sizes = st.integers(1, max_points)
    n = draw(sizes | st.sampled_from(around) if around else sizes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return pair_of_kind(draw(st.sampled_from(KINDS)), n, rng)


def sorted_bars(bars: CrossBarcode) -> NDArray[np.float64]:
    """(K, 2) births and deaths in lexicographic order."""
    values = np.stack([bars.births, bars.deaths], axis=1).astype(np.float64)
    return values[np.lexsort((values[:, 1], values[:, 0]))]
