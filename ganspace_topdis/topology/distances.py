"""Euclidean distances of a cloud's points, in units of their own 0.9 quantile.

On a CPU, squared distances come from the Gram matrix of the centred cloud in double precision,
|a|^2 + |b|^2 - 2 a.b: one matrix product however long the rows are. Pairs so close that this would lose digits
are measured again from their difference, so coincident points are exactly at distance zero. Where many are, and on
other devices, every pair is measured from its difference, which needs no synchronisation.
The gradient of a distance is the unit vector between its points, and zero where they coincide.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["normalized_distances", "pairwise_distances"]

_CLOSE = 1e-6
_MANY = 4  # close pairs a point; with more, as in a cloud that has collapsed, measuring all pairs is faster
_CHUNK = 1 << 24
_IN_CACHE = 1 << 18
_EXACTLY = "donot_use_mm_for_euclid_dist"


def normalized_distances(cloud: Tensor, *, quantile: float = 0.9) -> Tensor:
    """(..., N, N) distances of points (..., N, D), divided by their quantile over all N * N entries.

    No gradient flows through the quantile; a quantile of zero counts as 1e-5.

    >>> normalized_distances(torch.tensor([[0.0], [2.0]]))
    tensor([[0., 1.],
            [1., 0.]])
    """
    distances = pairwise_distances(cloud)
    scale = _quantile(distances.detach().flatten(-2), quantile)[..., None, None]
    return distances / scale.masked_fill(scale == 0, 1e-5)


def pairwise_distances(cloud: Tensor) -> Tensor:
    """(..., N, N) Euclidean distances of points (..., N, D), float32 or float64: symmetric, differentiable once."""
    distances: Tensor = _PairwiseDistances.apply(cloud)
    return distances


class _PairwiseDistances(torch.autograd.Function):
    """d(i, j) = |x_i - x_j|; dx_i = sum_j (g_ij + g_ji) (x_i - x_j) / d(i, j), as a product with one matrix."""

    @staticmethod
    def forward(ctx: Any, cloud: Tensor) -> Tensor:
        if cloud.device.type == "cpu":
            distances = _distances_by_gram(cloud)
        else:
            distances = torch.cdist(cloud, cloud, compute_mode=_EXACTLY)
        ctx.save_for_backward(cloud, distances)
        return distances

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        cloud, distances = ctx.saved_tensors
        weights = torch.where(distances > 0, (grad + grad.mT) / distances, 0)
        points = cloud - cloud.mean(dim=-2, keepdim=True)
        return weights.sum(dim=-1, keepdim=True) * points - weights @ points


def _distances_by_gram(cloud: Tensor) -> Tensor:
    gram = _gram(cloud)
    squares = gram.diagonal(dim1=-2, dim2=-1)
    sums = squares[..., :, None] + squares[..., None, :]
    squared = sums - (gram + gram.mT)
    close = (squared <= _CLOSE * sums).triu_(1)
    pairs = close.nonzero(as_tuple=True)
    if len(pairs[0]) * close.shape[-1] > _MANY * close.numel():
        points = cloud.double()
        return torch.cdist(points, points, compute_mode=_EXACTLY).to(cloud.dtype)
    *batch, first, second = pairs
    squared[pairs] = squared[(*batch, second, first)] = _squared_differences(cloud, pairs)
    return squared.sqrt_().to(cloud.dtype)


def _gram(cloud: Tensor) -> Tensor:
    """Products of the centred points in double precision, summed over pieces of their rows that stay in cache."""
    num_points = max(1, cloud[..., 0].numel())
    gram = cloud.new_zeros((*cloud.shape[:-1], cloud.shape[-2]), dtype=torch.double)
    for piece in cloud.split(max(1, _IN_CACHE // num_points), dim=-1):
        points = piece.double()
        points = points - points.mean(dim=-2, keepdim=True)
        gram += points @ points.mT
    return gram


def _squared_differences(cloud: Tensor, pairs: tuple[Tensor, ...]) -> Tensor:
    """(K,) squared distances of the K pairs (batch indices..., i, j), a bounded number of them at a time."""
    *batch, first, second = pairs
    step = max(1, _CHUNK // max(1, cloud.shape[-1]))
    parts = []
    for s in range(0, len(first), step):
        chunk = [indices[s : s + step] for indices in batch]
        difference = cloud[(*chunk, first[s : s + step])].double() - cloud[(*chunk, second[s : s + step])]
        parts.append(difference.square().sum(dim=-1))
    return torch.cat(parts) if parts else cloud.new_empty(0, dtype=torch.double)


def _quantile(values: Tensor, quantile: float) -> Tensor:
    """Linearly interpolated quantile over the last axis, by selection: torch.quantile stops at 16 million."""
    position = quantile * (values.shape[-1] - 1)
    low = int(position)
    below = values.kthvalue(low + 1).values
    if low == position:
        return below
    above = values.kthvalue(low + 2).values
    return torch.lerp(below, above, position - low)
