"""Initialization of a search: a random rotation of the span, or the rotation nearest to given directions.

Directions w_k have the coordinates P w_k in the whitened coordinates of a span with the projection P. The orthonormal
rows nearest to these, after normalization, are U V^T of the singular value decomposition U S V^T (Schoenemann 1966). If
there are fewer directions than axes, a random basis of the orthogonal complement follows.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery.active_subspace import Span
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions

__all__ = ["nearest_rotation", "random_rotation"]


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
    if directions.code_dim != span.mean.shape[0]:
        raise InvalidArgumentError(
            f"the initial directions are for codes of {directions.code_dim} numbers, but this space has "
            f"{span.mean.shape[0]}; give directions of the same space and layers"
        )
    rows = directions.vectors[: span.size].to(span.axes) @ span.projection.T
    left, sizes, right = torch.linalg.svd(F.normalize(rows, dim=1).cpu().double(), full_matrices=False)
    if sizes[0] <= 1e-6:
        raise InvalidArgumentError(
            "the initial directions are orthogonal to the span; search another `span`", field="span"
        )
    nearest = left @ right
    basis, _ = torch.linalg.qr(torch.cat([nearest, fill.double()]).T)
    return torch.cat([nearest, basis.T[len(nearest) :]]).to(fill)
