"""Where a search starts: a random rotation of the span, or the one nearest to directions found before.

Directions w_k have the coordinates P w_k in the span's whitened coordinates, P its projection. The orthonormal
rows nearest to these, each taken with length one, are U V^T of their singular value decomposition U S V^T
(Schoenemann 1966); where they are fewer than the span's axes, the rest is filled with a random basis of what is
orthogonal to them.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery.span import Span
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
        directions: the first M are used.
        fill: (M, M), a random matrix, for axes that no direction takes.

    Raises:
        InvalidArgumentError: the directions are of codes of another width, or none has a part in the span.
    """
    if directions.code_dim != span.mean.shape[0]:
        raise InvalidArgumentError(
            f"the directions to start from move codes of {directions.code_dim} numbers, this space has "
            f"{span.mean.shape[0]}; give directions of the same space and layers"
        )
    rows = directions.vectors[: span.size].to(span.axes) @ span.projection.T
    left, sizes, right = torch.linalg.svd(F.normalize(rows, dim=1).double().cpu(), full_matrices=False)
    if sizes[0] <= 1e-6:
        raise InvalidArgumentError("the directions to start from have no part in the span; search in another --span")
    nearest = left @ right
    basis, _ = torch.linalg.qr(torch.cat([nearest, fill.double()]).T)
    return torch.cat([nearest, basis.T[len(nearest) :]]).to(fill)
