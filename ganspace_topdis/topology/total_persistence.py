"""Total persistence, the sum of powers of bar lengths (Cohen-Steiner et al. 2010), with its gradient.

A bar read from the birth edge e and the death edge f contributes (M(f) - V(e))^p, where V = min(A, B) or B is the
inner matrix and M is the inner or the outer one. Its derivative is p (M(f) - V(e))^(p - 1) times +1 at M(f) and
-1 at V(e). Through a minimum or maximum it goes to the matrix of the value, half to each if they are equal (as in
autograd).

From clouds there is one transfer each way:

    clouds -> distances  (device)  ->  quantile, barcodes, gradient at the distances  (host)
    points -> gradient of the clouds  (device)  <-  L, one matrix (N, N) per cloud

A bar depends on two distances, so the gradient at the distances is known as soon as the barcodes are. The gradient of
a cloud is L @ points (see `topology.distances`), and L is computed on the host. A device gets it with the sums, and is
waited for once, for the distances. Rows can be excluded by a mask, so that shapes do not depend on values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganspace_topdis.runs.devices import move_together
from ganspace_topdis.topology.backend import Bars, Pair, bars_of_pairs
from ganspace_topdis.topology.distances import (
    add_near_pairs,
    factor_to_safe_range,
    in_safe_range,
    laplacian,
    magnitude,
    plain_distances,
    require_finite,
    scale_of,
)

__all__ = ["MIN_ROWS", "PersistenceOptions", "cloud_persistence", "total_persistence"]


@dataclass(frozen=True, kw_only=True)
class PersistenceOptions:
    """The barcodes that are summed ("min", "max" or both; also with A and B exchanged) and how; see `rtd`."""

    kinds: tuple[str, ...]
    symmetric: bool
    p: float
    max_bars: int | None
    immovable: bool


@dataclass(frozen=True)
class _Barcode:
    """One barcode of the sum: pair (A, B) = (matrices[first], matrices[1 - first]) of one item of the batch."""

    item: int
    first: int
    kind: str


def total_persistence(
    clouds: Sequence[NDArray[np.floating]], options: PersistenceOptions
) -> list[tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """The sums over the bars of A = matrices[0] and B = matrices[1], and their gradients, on the host.

    Args:
        clouds: arrays (2, B, N, N) of finite distances, of any B and N each; all barcodes are computed in parallel.
        options: see `PersistenceOptions`.

    Returns:
        For each array the sums (B,), and the gradient (2, B, N, N) of their total, in which every edge has one entry.
    """
    barcodes = [_barcodes(matrices.shape[1], options) for matrices in clouds]
    pairs = [_pairs(matrices, listed) for matrices, listed in zip(clouds, barcodes, strict=True)]
    bars = iter(bars_of_pairs([pair for listed in pairs for pair in listed]))
    return [
        _sum_and_gradient(matrices, listed, [next(bars) for _ in listed], options)
        for matrices, listed in zip(clouds, barcodes, strict=True)
    ]


def _barcodes(num_items: int, options: PersistenceOptions) -> list[_Barcode]:
    firsts = (0, 1) if options.symmetric else (0,)
    return [_Barcode(item, first, kind) for item in range(num_items) for kind in options.kinds for first in firsts]


def _pairs(matrices: NDArray[np.floating], barcodes: list[_Barcode]) -> list[Pair]:
    """The (outer, inner) matrices of each barcode; minima and maxima are computed once per item."""
    made: dict[tuple[int, str], NDArray[np.floating]] = {}
    pairs: list[Pair] = []
    for barcode in barcodes:
        item, kind = barcode.item, barcode.kind
        if (item, kind) not in made:
            combine = np.minimum if kind == "min" else np.maximum
            made[item, kind] = combine(matrices[0, item], matrices[1, item])
        if kind == "min":
            pairs.append((matrices[barcode.first, item], made[item, kind]))
        else:
            pairs.append((made[item, kind], matrices[1 - barcode.first, item]))
    return pairs


def _sum_and_gradient(
    matrices: NDArray[np.floating],
    barcodes: list[_Barcode],
    bars: list[Bars],
    options: PersistenceOptions,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """(B,) sums, and the gradient (2, B, N, N) of their total."""
    _, num_items, n, _ = matrices.shape
    flat = matrices.reshape(-1)
    counts = [len(edges) for edges, _ in bars]
    bar = np.concatenate([edges for edges, _ in bars])
    births, deaths = np.concatenate([values for _, values in bars], axis=1).astype(np.float64)
    item = np.repeat([b.item for b in barcodes], counts)
    first = np.repeat([b.first for b in barcodes], counts)
    is_min = np.repeat([b.kind == "min" for b in barcodes], counts)

    in_outer = bar[:, 4] == 1
    edge = np.stack([bar[:, 0] * n + bar[:, 1], bar[:, 2] * n + bar[:, 3]])
    own = (first * num_items + item) * n * n + edge
    other = ((1 - first) * num_items + item) * n * n + edge
    reads_own = np.where(is_min, np.stack([np.zeros_like(in_outer), in_outer]), False)
    reads_other = np.where(is_min, False, np.stack([np.ones_like(in_outer), ~in_outer]))
    share = _share_of_first(flat[own], flat[other], is_min)
    if options.immovable:
        share = np.broadcast_to(first == 1, share.shape)
    share = np.where(reads_own, 1.0, np.where(reads_other, 0.0, share))

    lengths = deaths - births
    kept = _longest(lengths, counts, options.max_bars)
    weight = 0.5 if options.symmetric else 1.0
    sums = np.bincount(item[kept], weight * lengths[kept] ** options.p, minlength=num_items).astype(np.float64)

    slope = weight * options.p * lengths[kept] ** (options.p - 1) * np.array([[-1.0], [1.0]])
    places = np.concatenate([own[:, kept], other[:, kept]], axis=None)
    charges = np.concatenate([slope * share[:, kept], slope * (1 - share[:, kept])], axis=None)
    gradient: NDArray[np.floating] = np.bincount(places, charges, minlength=flat.size).astype(matrices.dtype)
    return sums, np.reshape(gradient, matrices.shape)


def _share_of_first(
    own: NDArray[np.floating], other: NDArray[np.floating], is_min: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The part of the derivative of min (or max) that goes to the first: 1, 0, or half if they are equal."""
    return np.where(own == other, 0.5, np.where((own < other) == is_min, 1.0, 0.0))


def _longest(lengths: NDArray[np.float64], counts: list[int], max_bars: int | None) -> NDArray[np.int64]:
    """Indices of the bars kept: all, or the `max_bars` longest of each barcode."""
    if max_bars is None or max(counts, default=0) <= max_bars:
        return np.arange(len(lengths))
    ends = np.cumsum(counts)
    kept = [
        end - count + np.argsort(-lengths[end - count : end], kind="stable")[:max_bars]
        for count, end in zip(counts, ends, strict=True)
    ]
    return np.concatenate(kept)


_FAR = 16.0
"""Times the largest distance of rows that count; see `_has_far_rows`."""
MIN_ROWS = 4
"""Two clouds of fewer points carry no information on topology; where a mask leaves fewer, their sum is NaN."""


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
        ctx.kept = kept if any(wanted) and _has_far_rows(distances, mask) else None
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
            result = (next(matrices) * grad) @ (points - _center(points, ctx.kept))
            if near is not None:
                result = add_near_pairs(result, points, near.to(grad.device) * grad)
            results[k] = result if factor is None else result * factor
        return tuple(results)


def _center(points: Tensor, kept: Tensor | None) -> Tensor:
    """The mean (B, 1, D) of points (B, N, D), or of those `kept`: gradients of distances do not change with it."""
    if kept is None:
        return points.mean(dim=-2, keepdim=True)
    rows = kept[:, :, None].to(points)
    return (points * rows).sum(dim=-2, keepdim=True) / rows.sum(dim=-2, keepdim=True).clamp(min=1)


def _has_far_rows(distances: Tensor, mask: Tensor | None) -> bool:
    """Whether rows that do not count are so far away that a mean of all rows would spoil the gradients' precision."""
    if mask is None or bool(mask.all()):
        return False
    among = distances.masked_fill(~(mask[:, :, None] & mask[:, None, :]), 0).amax(dim=(-2, -1))
    return not bool((distances.amax(dim=(-2, -1)) <= _FAR * among).all())


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
    if mask is None or (bool(mask.all()) and mask.shape[1] >= MIN_ROWS):
        return [(slice(None), slice(None))]
    rows = [own.nonzero()[:, 0] for own in mask]
    return [(slice(None), slice(b, b + 1), own[:, None], own) for b, own in enumerate(rows) if len(own) >= MIN_ROWS]


def _finite(distances: Tensor) -> np.ndarray:
    x, y = distances
    require_finite(x=x, y=y)
    return np.ascontiguousarray(distances.numpy())
