"""The R-Cross-Barcode of two distance matrices, computed exactly.

For distances V (inner) <= U (outer) on the same N points it is the barcode of the relative homology
H1(VR(V), VR(U)), equal to that of H1 of the Vietoris-Rips filtration of [[0, U^T], [U, V]] on 2N points
(Barannikov et al. 2022). docs/rtd.md proves it and describes the algorithm.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology.backend import MAX_POINTS, Pair, bars_if_valid, bars_of_pairs, is_valid_pair

__all__ = ["CrossBarcode", "checked_pair", "cross_barcode"]

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True, kw_only=True)
class CrossBarcode:
    """The K bars of a pair of distance matrices, in order of death, each with its two edges.

    A birth is inner[birth_edge]; a death is outer[death_edge] if death_in_outer, else inner[death_edge].

    Attributes:
        births: (K,).
        deaths: (K,), births < deaths.
        birth_edges: (K, 2), indices i < j of two points.
        death_edges: (K, 2), likewise.
        death_in_outer: (K,).
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


def cross_barcode(outer: ArrayLike | Tensor, inner: ArrayLike | Tensor) -> CrossBarcode:
    """The R-Cross-Barcode of two (N, N) distance matrices with inner <= outer and zero diagonals.

    float32 and float64 values are compared exactly, without rounding. Among equal distances the edges follow the order
    of the points, so the result is deterministic; the values of the bars do not depend on this order. Fewer than two
    points have no bars.

    Args:
        outer: U (N, N), an array, or a tensor on any device.
        inner: V (N, N), V <= U.

    Raises:
        InvalidArgumentError: a matrix is not a distance matrix of float32 or float64, or inner exceeds outer.

    >>> import numpy as np
    >>> outer = np.array([[0, 3, 4], [3, 0, 5], [4, 5, 0]], float)
    >>> inner = np.array([[0, 1, 4], [1, 0, 4], [4, 4, 0]], float)
    >>> bars = cross_barcode(outer, inner)
    >>> bars.births, bars.deaths, bars.birth_edges
    (array([1.]), array([3.]), array([[0, 1]]))
    """
    U, V = _squares(outer, inner)
    edges, values = bars_if_valid(U, V) or bars_of_pairs([_explained(U, V)])[0]
    return CrossBarcode(
        births=values[0],
        deaths=values[1],
        birth_edges=edges[:, 0:2],
        death_edges=edges[:, 2:4],
        death_in_outer=edges[:, 4] == 1,
    )


def checked_pair(outer: ArrayLike | Tensor, inner: ArrayLike | Tensor) -> Pair:
    """Both matrices, contiguous and of one dtype.

    Raises:
        InvalidArgumentError: they are no valid pair; the message names the matrix, the entry and the fault.
    """
    U, V = _squares(outer, inner)
    return (U, V) if is_valid_pair(U, V) else _explained(U, V)


def _square(name: str, value: ArrayLike | Tensor) -> NDArray[np.floating]:
    """A contiguous square matrix of float32 or float64."""
    if type(value) is not np.ndarray and isinstance(value, Tensor):
        if value.layout != torch.strided or value.dtype == torch.bfloat16:  # NumPy supports neither
            raise InvalidArgumentError(
                f"{name} is a tensor of {value.dtype} and {value.layout}, but distances must be float32 or float64 and "
                "dense: convert it with .to_dense() and .float()"
            )
        value = value.detach().cpu().numpy()
    try:
        matrix = np.ascontiguousarray(value)
    except ValueError as error:
        raise InvalidArgumentError(f"{name} is not a matrix ({error}): pass a square array of distances") from error
    if matrix.dtype not in _DTYPES:
        raise InvalidArgumentError(
            f"{name} has dtype {matrix.dtype}, but distances must be float32 or float64: convert it with .astype"
        )
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) > MAX_POINTS:
        raise InvalidArgumentError(
            f"{name} has shape {matrix.shape}, but must be a square (N, N) matrix with N up to {MAX_POINTS}"
        )
    return matrix


def _squares(outer: ArrayLike | Tensor, inner: ArrayLike | Tensor) -> Pair:
    """Both matrices, contiguous, square, and of one shape and dtype."""
    U, V = _square("outer", outer), _square("inner", inner)
    if U.shape != V.shape:
        raise InvalidArgumentError(
            f"outer is {len(U)} x {len(U)} but inner is {len(V)} x {len(V)}: "
            "both must hold the distances of the same points"
        )
    if U.dtype != V.dtype:
        U, V = U.astype(np.float64), V.astype(np.float64)
    return U, V


def _explained(U: NDArray[np.floating], V: NDArray[np.floating]) -> Pair:
    """Raise the error of an invalid pair, or return the matrices, with -0 replaced by 0."""
    _explain_matrix("outer", U)
    _explain_matrix("inner", V)
    _explain_order(U, V)
    return U + 0.0, V + 0.0


def _explain_matrix(name: str, M: NDArray[np.floating]) -> None:
    """Raise the error of a matrix that is not a distance matrix."""
    wrong = ~(np.isfinite(M) & (M >= 0))
    if wrong.any():
        i, j = np.argwhere(wrong)[0].tolist()
        raise InvalidArgumentError(f"{name} holds {M[i, j]} at ({i}, {j}), but distances are finite and >= 0")
    if M.diagonal().any():
        i = int(M.diagonal().nonzero()[0][0])
        raise InvalidArgumentError(
            f"{name} holds {M[i, i]} at ({i}, {i}), but a point's distance to itself is 0: clear the diagonal"
        )
    if (M != M.T).any():
        i, j = np.argwhere(M != M.T)[0].tolist()
        raise InvalidArgumentError(
            f"{name} holds {M[i, j]} at ({i}, {j}) but {M[j, i]} at ({j}, {i}): "
            "distances must be symmetric; pass (M + M.T) / 2"
        )


def _explain_order(U: NDArray[np.floating], V: NDArray[np.floating]) -> None:
    """Raise the error of an inner matrix that exceeds the outer one."""
    if (V > U).any():
        i, j = np.argwhere(V > U)[0].tolist()
        raise InvalidArgumentError(
            f"inner exceeds outer at ({i}, {j}): {V[i, j]} > {U[i, j]}; every inner distance must be at most the "
            "outer one, so pass minimum(outer, inner) as inner or maximum(outer, inner) as outer"
        )
