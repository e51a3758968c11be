"""How a search holds its directions, and where it starts.

Directions are the rows of a module's `weight`, which stay orthonormal, or unit vectors, whatever steps its parameters
take. A search starts at the axes of the span, at a random rotation of them, or at what is nearest to given directions.

Directions w_k have the coordinates P w_k in the whitened coordinates of a span with the projection P. The orthonormal
rows nearest to these, after normalization, are U V^T of the singular value decomposition U S V^T (Schoenemann 1966). If
there are fewer directions than axes, a random basis of the orthogonal complement follows. In the whole code directions
need not be orthogonal, and the search starts at the directions themselves.

In W+ a unit vector v = m + d has a part m that moves all layers alike and a part d, orthogonal to it, in which they
differ. Where the squared length of d exceeds the largest spread s, v becomes (1 - s)^1/2 m / |m| + s^1/2 d / |d|.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from ganspace_topdis.discovery.active_subspace import Span
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions

__all__ = ["nearest_rotation", "nearest_units", "orthonormal", "random_rotation", "unit_rows"]

_ROUNDING = 1e-5
"""A smaller part of a direction's length in the span is what rounding leaves there."""


class Rows(nn.Module):
    """The matrix V, as `weight`; nn.Linear would draw one from the caller's random stream first."""

    weight: Tensor

    def __init__(self, rotation: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(rotation.detach().clone())


def orthonormal(rotation: Tensor) -> Rows:
    """A module with an orthonormal `weight`, initialized with `rotation` (M, M)."""
    module = Rows(rotation)
    parametrizations.orthogonal(module, orthogonal_map="matrix_exp")
    module.weight = rotation
    return module


class _UnitRows(nn.Module):
    """Normalizes the rows of a matrix, and bounds how far layers differ in them."""

    shared: Tensor | None

    def __init__(self, shared: Tensor | None, spread: float) -> None:
        super().__init__()
        self.spread = spread
        self.register_buffer("shared", shared, persistent=False)  # follows the type of the weight

    def forward(self, weight: Tensor) -> Tensor:
        units = F.normalize(weight, dim=1)
        if self.shared is None or self.spread >= 1:
            return units
        alike = units @ self.shared @ self.shared.T
        apart = units - alike
        bounded = (1 - self.spread) ** 0.5 * F.normalize(alike, dim=1) + self.spread**0.5 * F.normalize(apart, dim=1)
        return torch.where(apart.square().sum(1, keepdim=True) > self.spread, bounded, units)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The rows themselves, which are unit vectors; a copy, because the steps change it in place."""
        return weight.clone()


def unit_rows(rotation: Tensor, shared: Tensor | None = None, spread: float = 1.0) -> Rows:
    """A module with a `weight` of unit rows, initialized with `rotation` (K, M).

    Args:
        rotation: unit rows.
        shared: (M, R), an orthonormal basis of what moves all layers alike.
        spread: the largest part of a row's squared length that may lie outside `shared`; at 0 none.
    """
    module = Rows(rotation)
    shared = None if shared is None else shared.detach().to(rotation)
    parametrize.register_parametrization(module, "weight", _UnitRows(shared, spread))
    module.weight = rotation
    return module


def random_rotation(size: int, rng: torch.Generator) -> Tensor:
    """A random orthonormal matrix (size, size)."""
    rotation, _ = torch.linalg.qr(torch.randn(size, size, generator=rng))
    return rotation


def nearest_rotation(span: Span, directions: Directions, fill: Tensor) -> Tensor:
    """The orthonormal matrix (M, M) nearest to `directions` in the coordinates of `span`, in their order.

    Args:
        span: M axes.
        directions: only the first M are used.
        fill: (M, M), a random matrix that spans the orthogonal complement.

    Raises:
        InvalidArgumentError: the directions belong to codes of another width, or are all orthogonal to the span.
    """
    left, _, right = torch.linalg.svd(_unit_coordinates(span, directions).double(), full_matrices=False)
    nearest = left @ right
    basis, _ = torch.linalg.qr(torch.cat([nearest, fill.double()]).T)
    return torch.cat([nearest, basis.T[len(nearest) :]]).to(fill)


def nearest_units(span: Span, directions: Directions, fill: Tensor) -> Tensor:
    """Unit vectors (K, M) along the first K of `directions` in the coordinates of `span`, in their order.

    Args:
        span: M axes, with a start of K rows.
        directions: K directions or more; where there are fewer, a basis of what `fill` spans besides them follows, and
            vectors of it replace directions that are orthogonal to the span.
        fill: (K, M), orthonormal rows.

    Raises:
        InvalidArgumentError: as `nearest_rotation`.
    """
    units = _unit_coordinates(span, directions).to(fill)
    reached = units.any(dim=1)
    basis, _ = torch.linalg.qr(torch.cat([units[reached], fill]).T)
    others = basis.T[int(reached.sum()) : len(fill)]
    missed = len(units) - int(reached.sum())
    units[~reached] = others[:missed]
    return torch.cat([units, others[missed:]])


def _unit_coordinates(span: Span, directions: Directions) -> Tensor:
    """The directions, at most as many as are searched, as unit rows (., M) in the coordinates of `span`; on the CPU."""
    if directions.code_dim != span.mean.shape[0]:
        raise InvalidArgumentError(
            f"the initial directions are for codes of {directions.code_dim} numbers, but this space has "
            f"{span.mean.shape[0]}; give directions of the same space and layers"
        )
    vectors = directions.vectors[: span.num_directions].to(span.axes)
    rows = vectors @ span.projection.T
    reached = (rows @ span.axes).norm(dim=1) > _ROUNDING * vectors.norm(dim=1)
    if not reached.any():
        raise InvalidArgumentError(
            "the initial directions are orthogonal to the span; search another `span`", field="span"
        )
    return (F.normalize(rows, dim=1) * reached[:, None]).cpu()
