"""The R-Cross-Barcode of two distance matrices, computed exactly.

For distances V (inner) <= U (outer) on the same N points it is the barcode of the relative homology
H1(VR(V), VR(U)), equal to that of H1 of the Vietoris-Rips filtration of [[0, U], [U, V]] on 2N points
(Barannikov et al. 2022). docs/rtd.md proves it and describes the algorithm.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["CrossBarcode", "cross_barcode"]


@dataclass(frozen=True, kw_only=True)
class CrossBarcode:
    """The bars of one pair of distance matrices, in order of death, each with the two edges it is read from.

    births, deaths: (K,) values, births < deaths.  birth_edges, death_edges: (K, 2) point numbers, i < j.
    A birth is inner[birth_edge]; a death is outer[death_edge] where death_in_outer, else inner[death_edge].
    """

    births: NDArray[np.floating]
    deaths: NDArray[np.floating]
    birth_edges: NDArray[np.int64]
    death_edges: NDArray[np.int64]
    death_in_outer: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.births)

    @property
    def lengths(self) -> NDArray[np.floating]:
        """(K,) deaths - births."""
        return self.deaths - self.births


def cross_barcode(outer: ArrayLike, inner: ArrayLike) -> CrossBarcode:
    """The R-Cross-Barcode of two (N, N) distance matrices with inner <= outer and zero diagonals.

    Ties are settled by index, so the edges are deterministic; the bars' values do not depend on it.

    Raises:
        InvalidArgumentError: a matrix is not a distance matrix, or inner exceeds outer somewhere.

    >>> import numpy as np
    >>> outer = np.array([[0, 3, 4], [3, 0, 5], [4, 5, 0]], float)
    >>> inner = np.array([[0, 1, 4], [1, 0, 4], [4, 4, 0]], float)
    >>> bars = cross_barcode(outer, inner)
    >>> bars.births, bars.deaths
    (array([1.]), array([3.]))
    """
    U, V = _matrix("outer", outer), _matrix("inner", inner)
    if U.shape != V.shape:
        raise InvalidArgumentError(
            f"inner is {V.shape[0]} x {V.shape[0]} but outer is {U.shape[0]} x {U.shape[0]}: "
            "both must be distances of the same points"
        )
    if (V > U).any():
        raise InvalidArgumentError(
            "inner exceeds outer somewhere: every inner distance must be at most the outer one; "
            "pass minimum(outer, inner) as inner, or maximum(outer, inner) as outer"
        )
    dtype = np.result_type(U, V)
    return barcode_of(U.astype(dtype, copy=False), V.astype(dtype, copy=False))


def barcode_of(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> CrossBarcode:
    """`cross_barcode` of matrices known to be valid, contiguous and of one dtype."""
    from ganspace_topdis.topology.kernels import barcode_pairs

    bits = inner.view(np.uint32 if inner.dtype == np.float32 else np.uint64)
    pairs = barcode_pairs(inner, outer, bits).astype(np.int64)
    birth_edges = np.stack([pairs[:, 0] >> 16, pairs[:, 0] & 0xFFFF], axis=1)
    death_edges = np.stack([pairs[:, 1] >> 16, pairs[:, 1] & 0xFFFF], axis=1)
    in_outer = pairs[:, 2] == 1
    i, j = death_edges.T
    return CrossBarcode(
        births=inner[birth_edges[:, 0], birth_edges[:, 1]],
        deaths=np.where(in_outer, outer[i, j], inner[i, j]),
        birth_edges=birth_edges,
        death_edges=death_edges,
        death_in_outer=in_outer,
    )


def _matrix(name: str, value: ArrayLike) -> NDArray[np.floating]:
    matrix = np.ascontiguousarray(value)
    if matrix.dtype not in (np.float32, np.float64):
        raise InvalidArgumentError(f"{name} has dtype {matrix.dtype}: convert it to float32 or float64")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidArgumentError(f"{name} has shape {matrix.shape}: it must be a square (N, N) matrix")
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise InvalidArgumentError(f"{name} holds NaN, infinite or negative values: distances are finite and >= 0")
    if (matrix != matrix.T).any() or matrix.diagonal().any():
        raise InvalidArgumentError(f"{name} must be symmetric with a zero diagonal")
    return matrix + 0.0
