"""Total persistence of pairs of clouds, with its gradient at their points: one transfer each way.

    clouds -> distances  (device)  ->  quantile, barcodes, gradient at the distances  (host)
    points -> gradient of the clouds  (device)  <-  L, one matrix (N, N) per cloud

A bar depends on two distances, so the gradient at the distances is known as soon as the barcodes are. The gradient of
a cloud is L @ points (see `topology.distances`), and L is computed on the host. A device gets it with the sums, and is
waited for once, for the distances. Rows can be excluded by a mask, so that shapes do not depend on values.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.devices import move_together
from ganspace_topdis.topology.distances import (
    add_near_pairs,
    factor_to_safe_range,
    in_safe_range,
    laplacian,
    magnitude,
    plain_distances,
    scale_of,
)
from ganspace_topdis.topology.total_persistence import PersistenceOptions, total_persistence

__all__ = ["MIN_ROWS", "cloud_persistence"]

MIN_ROWS = 4
"""Two clouds of which a mask leaves fewer points carry no information on topology: their sum is NaN."""


def cloud_persistence(x: Tensor, y: Tensor, options: PersistenceOptions, kept: Tensor | None = None) -> Tensor:
    """(B,) sums over the bars of clouds x (B, N, D) and y (B, N, E), in units of the clouds' 0.9 quantiles.

    Args:
        x: clouds, float32 or float64. Their distances are computed once if they are one cloud, expanded.
        y: clouds of the same dtype; point i of y[b] corresponds to point i of x[b].
        options: see `PersistenceOptions`.
        kept: (B, N), the rows that count; all by default. The sum of an item of fewer than `MIN_ROWS` is NaN, and
            has no gradient.

    Raises:
        InvalidArgumentError: a distance is not finite, or its gradient would overflow.
    """
    sums: Tensor = _CloudPersistence.apply(x, y, options, kept)
    return sums


class _CloudPersistence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, options: PersistenceOptions, kept: Tensor | None) -> Tensor:
        wanted = ctx.needs_input_grad[:2]
        factors, distances, mask = _distances_on_host((x, y), wanted, kept)
        sums, far, near = _on_host(distances, factors, mask, options)
        value, *matrices = move_together([sums, *(far[k] for k in (0, 1) if wanted[k])], x.device)
        ctx.save_for_backward(x, y, *matrices)
        ctx.near = [matrix if wanted[k] and matrix.any() else None for k, matrix in enumerate(near)]
        ctx.factors = factors
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        clouds, matrices = ctx.saved_tensors[:2], iter(ctx.saved_tensors[2:])
        grad = grad[:, None, None]
        results: list[Tensor | None] = [None] * 4
        for k, (cloud, factor, near) in enumerate(zip(clouds, ctx.factors, ctx.near, strict=True)):
            if not ctx.needs_input_grad[k]:
                continue
            points = cloud if factor is None else cloud * factor
            result = (next(matrices) * grad) @ (points - points.mean(dim=-2, keepdim=True))
            if near is not None:
                result = add_near_pairs(result, points, near.to(grad.device) * grad)
            results[k] = result if factor is None else result * factor
        return tuple(results)


_Factors = list[Tensor | None]


def _distances_on_host(
    clouds: Sequence[Tensor], wanted: Sequence[bool], kept: Tensor | None
) -> tuple[_Factors, Tensor, Tensor | None]:
    """The clouds' factors to the safe range, their distances (2, B, N, N), and the mask, read from the device once."""
    factors: _Factors = [None, None]
    num_items = len(clouds[0])
    clouds = [cloud[:1] if cloud.stride(0) == 0 else cloud for cloud in clouds]
    if clouds[0].device.type == "cpu":
        factors = [factor_to_safe_range(cloud, for_gradient=own) for cloud, own in zip(clouds, wanted, strict=True)]
        return factors, _distances(clouds, factors, num_items), kept
    distances = _distances(clouds, factors, num_items)
    parts = [distances, *(magnitude(cloud) for cloud in clouds), *([] if kept is None else [kept.to(distances.dtype)])]
    read = move_together(parts, "cpu")
    if not all(in_safe_range(own) for own in read[1:3]):
        factors = [factor_to_safe_range(cloud, for_gradient=own) for cloud, own in zip(clouds, wanted, strict=True)]
        read[0] = _distances(clouds, factors, num_items).cpu()
    return factors, read[0], None if kept is None else read[3] > 0


def _distances(clouds: Sequence[Tensor], factors: _Factors, num_items: int) -> Tensor:
    scaled = [cloud if factor is None else cloud * factor for cloud, factor in zip(clouds, factors, strict=True)]
    return torch.stack([plain_distances(cloud).expand(num_items, -1, -1) for cloud in scaled])


def _on_host(
    distances: Tensor, factors: _Factors, mask: Tensor | None, options: PersistenceOptions
) -> tuple[Tensor, Tensor, Tensor]:
    """The sums (B,), and for each cloud the two matrices of `laplacian`, (2, B, N, N) each, on the host."""
    places = _places(mask)
    scaled = None
    if any(factor is not None for factor in factors):
        units = distances.new_ones(distances.shape[1], 1, 1)
        scaled = torch.stack([units if factor is None else factor.cpu().expand_as(units) for factor in factors])
    parts = [distances[place] for place in places]
    scales = [
        scale_of(part, factor=None if scaled is None else scaled[place[:2]])
        for part, place in zip(parts, places, strict=True)
    ]
    clouds = [_finite(part / scale) for part, scale in zip(parts, scales, strict=True)]
    found = total_persistence(clouds, options)
    sums = distances.new_full((distances.shape[1],), torch.nan)
    far, near = torch.zeros_like(distances), torch.zeros_like(distances)
    for place, part, scale, (values, gradient) in zip(places, parts, scales, found, strict=True):
        sums[place[1]] = torch.from_numpy(values).to(distances.dtype)
        far[place], near[place] = laplacian(torch.from_numpy(gradient) / scale, part)
    return sums, far, near


def _places(mask: Tensor | None) -> list[tuple[Any, ...]]:
    """Indices into (2, B, N, N) of what has one size: all items, or one by one where rows are excluded."""
    if mask is None or bool(mask.all()):
        return [(slice(None), slice(None))]
    rows = [own.nonzero()[:, 0] for own in mask]
    return [(slice(None), slice(b, b + 1), own[:, None], own) for b, own in enumerate(rows) if len(own) >= MIN_ROWS]


def _finite(distances: Tensor) -> np.ndarray:
    for name, cloud in zip("xy", distances, strict=True):
        if not torch.isfinite(cloud).all():
            dtype = str(distances.dtype).removeprefix("torch.")
            raise InvalidArgumentError(
                f"{name} holds values that are NaN, infinite, too far apart, or too close for a gradient in "
                f"{dtype}: RTD needs finite points{'; float64 has more room' * (dtype == 'float32')}"
            )
    return np.ascontiguousarray(distances.numpy())
