"""Euclidean distances of a cloud's points, in units of their own 0.9 quantile.

Squared distances come from the Gram matrix of the centred cloud in double precision, |a|^2 + |b|^2 - 2 a.b,
which costs one matrix product however long the rows are. Pairs so close that this formula would lose digits
are measured again from their difference, so that coincident points are exactly at distance zero.
The gradient of a distance is the unit vector between its points, and zero where they coincide.
"""

from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["normalized_distances", "pairwise_distances"]

_CLOSE = 1e-6
_CHUNK = 1 << 24


def normalized_distances(cloud: Tensor, *, quantile: float = 0.9) -> Tensor:
    """(..., N, N) distances of `cloud`'s points (..., N, D), divided by their quantile over all N * N entries.

    No gradient flows through the quantile; a quantile of zero counts as 1e-5.
    """
    distances = pairwise_distances(cloud)
    scale = _quantile(distances.detach().flatten(-2), quantile)[..., None, None]
    return distances / torch.where(scale > 0, scale, torch.full_like(scale, 1e-5))


def pairwise_distances(cloud: Tensor) -> Tensor:
    """(..., N, N) Euclidean distances of points (..., N, D), float32 or float64: symmetric, differentiable once.

    Raises:
        InvalidArgumentError: a coordinate is NaN or infinite.
    """
    if not torch.isfinite(cloud).all():
        raise InvalidArgumentError("a cloud holds NaN or infinite values: RTD needs finite coordinates")
    distances: Tensor = _PairwiseDistances.apply(cloud)
    return distances


class _PairwiseDistances(torch.autograd.Function):
    """d(i, j) = |x_i - x_j|; dx_i = sum_j (g_ij + g_ji) (x_i - x_j) / d(i, j), as a product with one matrix."""

    @staticmethod
    def forward(ctx: Any, cloud: Tensor) -> Tensor:
        points = cloud.double()
        points = points - points.mean(dim=-2, keepdim=True)
        gram = points @ points.mT
        squares = gram.diagonal(dim1=-2, dim2=-1)
        sums = squares[..., :, None] + squares[..., None, :]
        squared = sums - (gram + gram.mT)
        close = (squared <= _CLOSE * sums).nonzero(as_tuple=True)
        squared[close] = _squared_differences(points, close)
        distances = squared.sqrt_().to(cloud.dtype)
        ctx.save_for_backward(cloud, distances)
        return distances

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        cloud, distances = ctx.saved_tensors
        weights = torch.where(distances > 0, (grad + grad.mT) / distances, 0)
        points = cloud - cloud.mean(dim=-2, keepdim=True)
        return weights.sum(dim=-1, keepdim=True) * points - weights @ points


def _squared_differences(points: Tensor, pairs: tuple[Tensor, ...]) -> Tensor:
    """(K,) squared distances of the K pairs (batch indices..., i, j), a bounded number of them at a time."""
    *batch, first, second = pairs
    step = max(1, _CHUNK // max(1, points.shape[-1]))
    parts = [
        (
            points[(*(b[s : s + step] for b in batch), first[s : s + step])]
            - points[(*(b[s : s + step] for b in batch), second[s : s + step])]
        )
        .square()
        .sum(dim=-1)
        for s in range(0, len(first), step)
    ]
    return torch.cat(parts)


def _quantile(values: Tensor, quantile: float) -> Tensor:
    """Linearly interpolated quantile over the last axis, by selection: torch.quantile stops at 16 million."""
    position = quantile * (values.shape[-1] - 1)
    low = int(position)
    below = values.kthvalue(low + 1).values
    if low == position:
        return below
    above = values.kthvalue(low + 2).values
    return torch.lerp(below, above, position - low)
