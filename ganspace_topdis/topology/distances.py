"""The Euclidean distances of corresponding clouds, in units of their 0.9 quantile.

A cloud of very small or very large coordinates is first multiplied by a power of two, which is exact. On a CPU, squared
distances are computed from the Gram matrix of the centered cloud in double precision, |a|^2 + |b|^2 - 2 a.b: one matrix
product for rows of any length. Pairs so close that this loses digits are recomputed from their difference, so
coincident points have a distance of exactly zero. If there are many such pairs, and on other devices, every pair is
computed from its difference, which needs no synchronization. The gradient of a distance is the unit vector between its
points, and zero if they coincide. It is computed by products with one matrix, except for close points.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError, NonFinitePointsError
from ganspace_topdis.topology.backend import MAX_POINTS

__all__ = ["as_point_pairs", "interpolated_quantile", "normalized_distances", "pairwise_distances", "require_finite"]

_CLOSE = 1e-6
_NEAR = 1e-3
_MANY = 4  # close pairs per point; above it, as in a collapsed cloud, computing all pairs from differences is faster
_CHUNK = 1 << 24
_IN_CACHE = 1 << 18
_EXACTLY = "donot_use_mm_for_euclid_dist"


def as_point_pairs(x: Tensor, y: Tensor, *, batched: bool = False) -> tuple[Tensor, Tensor]:
    """Clouds (N, ...) as points (N, D) in one floating dtype, or with `batched` (B, N, ...) as (B, N, D).

    float64 is kept; every other dtype becomes float32.

    Raises:
        InvalidArgumentError: x or y is no dense real tensor, or has no coordinates; or they differ in the number of
            points or clouds or in the device; or there are fewer than two points.
    """
    for name, cloud in (("x", x), ("y", y)):
        if not isinstance(cloud, Tensor):
            raise InvalidArgumentError(
                f"{name} is a {type(cloud).__name__}, but must be a torch tensor: use torch.from_numpy for arrays"
            )
        if cloud.layout != torch.strided or cloud.is_quantized:
            kind = "quantized" if cloud.is_quantized else "sparse"
            raise InvalidArgumentError(f"{name} is a {kind} tensor, but must be dense: pass {name}.to_dense()")
        if cloud.is_complex() or cloud.ndim < 1 + batched:
            raise InvalidArgumentError(
                f"{name} has shape {tuple(cloud.shape)} and dtype {cloud.dtype}, but must be real points "
                f"{'(B, N, ...)' if batched else '(N, ...)'}"
            )
    if x.shape[: 1 + batched] != y.shape[: 1 + batched]:
        raise InvalidArgumentError(
            f"x has shape {tuple(x.shape)} and y has {tuple(y.shape)}: point i of x corresponds to point i of y, "
            "so both need the same number of points"
        )
    num_points = x.shape[int(batched)]
    if not 2 <= num_points <= MAX_POINTS:
        raise InvalidArgumentError(f"x and y have {num_points} points each: pass between 2 and {MAX_POINTS}")
    for name, cloud in (("x", x), ("y", y)):
        if 0 in cloud.shape:
            raise InvalidArgumentError(
                f"{name} has shape {tuple(cloud.shape)}, which holds no numbers: points need at least one coordinate"
            )
    if x.device != y.device:
        raise InvalidArgumentError(f"x is on {x.device} but y is on {y.device}: move them to one device")
    dtype = torch.float64 if torch.float64 in (x.dtype, y.dtype) else torch.float32
    leading = x.shape[: 1 + batched]
    return x.reshape(*leading, -1).to(dtype), y.reshape(*leading, -1).to(dtype)


def normalized_distances(cloud: Tensor, *, quantile: float = 0.9) -> Tensor:
    """(..., N, N) distances of points (..., N, D), divided by their quantile over all N * N entries.

    No gradient flows through the quantile; a quantile of zero is replaced by 1e-5. Distances are NaN if the gradient
    of the cloud would overflow its dtype (clouds below 1e-30 in float32, 1e-270 in float64).

    >>> normalized_distances(torch.tensor([[0.0], [2.0]]))
    tensor([[0., 1.],
            [1., 0.]])
    """
    factor = factor_to_safe_range(cloud)
    distances = pairwise_distances(cloud if factor is None else cloud * factor)
    return distances / scale_of(distances.detach(), quantile, factor)


def require_finite(**distances: Tensor) -> None:
    """Check the normalized distances of clouds, by the clouds' names.

    Raises:
        NonFinitePointsError: they are not finite.
    """
    for name, own in distances.items():
        if not torch.isfinite(own).all():
            dtype = str(own.dtype).removeprefix("torch.")
            raise NonFinitePointsError(
                f"{name} holds values that are NaN, infinite, too far apart, or too close for a gradient in "
                f"{dtype}: RTD needs finite points{'; float64 has more room' * (dtype == 'float32')}"
            )


def scale_of(distances: Tensor, quantile: float = 0.9, factor: Tensor | None = None) -> Tensor:
    """(..., 1, 1) quantile of distances (..., N, N); 1e-5, in units before `factor` was applied, where it is zero."""
    scale = interpolated_quantile(distances.flatten(-2), quantile)[..., None, None]
    floor = scale.new_tensor(1e-5) if factor is None else 1e-5 * factor
    return torch.where(scale == 0, floor, scale)


def factor_to_safe_range(cloud: Tensor, *, for_gradient: bool | None = None) -> Tensor | None:
    """(..., 1, 1) powers of two that bring the largest coordinate near 1 if squares would overflow the dtype.

    1 for a cloud that needs none; None, on a CPU, if no cloud needs one. NaN if the gradient would overflow;
    `for_gradient` states whether the cloud needs one, by default its `requires_grad`.
    """
    exponent = torch.frexp(magnitude(cloud.detach())).exponent
    most = 100 if cloud.dtype == torch.float32 else 900
    far = _out_of_range(exponent, cloud.dtype)
    if cloud.device.type == "cpu" and not far.any():
        return None
    safe = exponent.clamp(-1000 if cloud.dtype == torch.float64 else -124, most + 124)
    factor = torch.ldexp(torch.ones_like(exponent, dtype=cloud.dtype), torch.where(far, -safe, 0))
    needed = cloud.requires_grad if for_gradient is None else for_gradient
    return factor.masked_fill(exponent < -most, torch.nan) if needed else factor


def magnitude(cloud: Tensor) -> Tensor:
    """(..., 1, 1) largest absolute coordinate of points (..., N, D)."""
    if cloud.device.type == "cpu":  # faster there than the norm, which is a single launch elsewhere
        return cloud.abs().amax(dim=(-2, -1), keepdim=True)
    return torch.linalg.vector_norm(cloud, torch.inf, dim=(-2, -1), keepdim=True)


def in_safe_range(magnitudes: Tensor) -> bool:
    """Whether clouds of these largest coordinates, on the CPU, need no factor (see `factor_to_safe_range`)."""
    return not _out_of_range(torch.frexp(magnitudes).exponent, magnitudes.dtype).any()


def _out_of_range(exponent: Tensor, dtype: torch.dtype) -> Tensor:
    """Whether squares of coordinates of these binary exponents could overflow or vanish."""
    return exponent.abs() > (60 if dtype == torch.float32 else 400)


def pairwise_distances(cloud: Tensor) -> Tensor:
    """(..., N, N) Euclidean distances of points (..., N, D), float32 or float64: symmetric, differentiable once."""
    distances: Tensor = _PairwiseDistances.apply(cloud)
    return distances


class _PairwiseDistances(torch.autograd.Function):
    """d(i, j) = |x_i - x_j|; dx_i = sum_j (g_ij + g_ji) (x_i - x_j) / d(i, j), as a product with one matrix."""

    @staticmethod
    def forward(ctx: Any, cloud: Tensor) -> Tensor:
        distances = plain_distances(cloud)
        ctx.save_for_backward(cloud, distances)
        return distances

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        cloud, distances = ctx.saved_tensors
        far, near = laplacian(grad, distances)
        return add_near_pairs(far @ (cloud - cloud.mean(dim=-2, keepdim=True)), cloud, near)


def laplacian(grad: Tensor, distances: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of a cloud from that of its distances, both (..., N, N), as two matrices (..., N, N).

    The first is L, with L @ points the part of all pairs but the close ones; the rows of L sum to zero, so points may
    be centered. The second holds the derivatives of close pairs, symmetric, for `add_near_pairs`.
    """
    grad = grad + grad.mT
    near = distances <= _NEAR * distances.amax(dim=(-2, -1), keepdim=True)
    weights = torch.where(near, 0, grad) / distances.masked_fill(distances == 0, 1)
    return torch.diag_embed(weights.sum(dim=-1)) - weights, torch.where(near & (distances > 0), grad, 0)


def add_near_pairs(result: Tensor, cloud: Tensor, grad: Tensor) -> Tensor:
    """Adds to the gradient of a cloud the part of pairs whose unit vectors are measured from their differences.

    `grad` may be on the CPU: then a device waits for the host only if there are such pairs.
    """
    dtype = torch.double if cloud.device.type == "cpu" else cloud.dtype  # not every device has float64
    pairs = grad.nonzero(as_tuple=True)
    if not len(pairs[0]):
        return result
    grad = grad.to(cloud.device)
    *batch, first, second = (indices.to(cloud.device) for indices in pairs)
    step = max(1, _CHUNK // max(1, cloud.shape[-1]))
    for s in range(0, len(first), step):
        chunk = [indices[s : s + step] for indices in batch]
        i, j = first[s : s + step], second[s : s + step]
        difference = cloud[(*chunk, i)].to(dtype) - cloud[(*chunk, j)]
        unit = difference / difference.norm(dim=-1, keepdim=True)
        pull = grad[(*chunk, i, j)].unsqueeze(-1) * unit
        result.index_put_((*chunk, i), pull.to(result.dtype), accumulate=True)
    return result


def plain_distances(cloud: Tensor) -> Tensor:
    """(..., N, N) Euclidean distances of points (..., N, D), without a gradient."""
    if cloud.device.type == "cpu":
        return _distances_by_gram(cloud)
    return torch.cdist(cloud, cloud, compute_mode=_EXACTLY)


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
    """Products of the centered points in double precision, summed over pieces of their rows that stay in cache."""
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


def interpolated_quantile(values: Tensor, quantile: float) -> Tensor:
    """The linearly interpolated quantile of `values` (..., n) over the last axis, shape (...), by selection.

    torch.quantile stops at 16 million values, and needs float64 on the device; numpy selects ten times as fast.
    """
    position = quantile * (values.shape[-1] - 1)
    low = int(position)
    if values.device.type == "cpu":
        ordered = np.partition(values.numpy(), low, axis=-1)
        below = torch.from_numpy(np.array(ordered[..., low]))
        above = torch.from_numpy(np.asarray(ordered[..., low + 1 :].min(axis=-1))) if low < position else below
    else:
        below = values.kthvalue(low + 1).values
        above = values.kthvalue(low + 2).values if low < position else below
    return torch.lerp(below, above, position - low)
