"""Representation Topology Divergence of two corresponding point clouds, differentiable.

With A, B the clouds' distances, each divided by its own 0.9 quantile, and S_p(outer, inner) the sum of
(death - birth)^p over the bars of the cross-barcode:

    min variant  S_p(A, min(A, B))      max variant  S_p(max(A, B), B)      minmax  their sum

and, when symmetric, the mean with A and B exchanged. Sources: Barannikov et al. 2022 (RTD), Trofimov et al.
2023 (the max variant), Balabin et al. 2024 (TopDis: minmax, symmetric).
"""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology.barcode import CrossBarcode, barcode_of
from ganspace_topdis.topology.distances import normalized_distances

__all__ = ["RTDLoss", "rtd"]

Variant = Literal["min", "max", "minmax"]


def rtd(
    x: Tensor,
    y: Tensor,
    *,
    variant: Variant = "min",
    symmetric: bool = True,
    p: float = 1,
    max_bars: int | None = None,
) -> Tensor:
    """RTD of clouds x, y (N, ...): row i of x corresponds to row i of y; rows are flattened. A scalar.

    `max_bars` keeps the longest bars of every barcode only (the published code keeps 50).

    Raises:
        InvalidArgumentError: unequal or fewer than two points, values that are not finite, p < 1.
    """
    if variant not in ("min", "max", "minmax"):
        raise InvalidArgumentError(f"variant is {variant!r}: choose 'min', 'max' or 'minmax'")
    if not p >= 1:
        raise InvalidArgumentError(f"p is {p}: it must be at least 1")
    if max_bars is not None and max_bars < 1:
        raise InvalidArgumentError(f"max_bars is {max_bars}: it must be at least 1, or None for all")
    if len(x) != len(y) or len(x) < 2:
        raise InvalidArgumentError(f"x has {len(x)} points and y has {len(y)}: both need the same number, at least 2")
    with torch.autocast(x.device.type, enabled=False):
        A, B = normalized_distances(_points(x)), normalized_distances(_points(y))
        value: Tensor = _BarcodeSum.apply(A, B, variant, symmetric, p, max_bars)
        return value


def _points(cloud: Tensor) -> Tensor:
    """Rows of a cloud (N, ...) as points (N, D) in float32 or float64."""
    points = cloud.reshape(len(cloud), -1)
    return points if points.dtype == torch.float64 else points.float()


class RTDLoss(nn.Module):
    """The TopDis loss: half the sum of S_p over the min and max variants of (A, B) and (B, A)."""

    def __init__(
        self,
        p: float = 1,
        variant: Variant = "minmax",
        symmetric: bool = True,
        max_bars: int | None = None,
    ) -> None:
        super().__init__()
        self.p = p
        self.variant = variant
        self.symmetric = symmetric
        self.max_bars = max_bars

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of two clouds (N, ...), a scalar; see `rtd`."""
        return rtd(x, y, variant=self.variant, symmetric=self.symmetric, p=self.p, max_bars=self.max_bars)


class _BarcodeSum(torch.autograd.Function):
    """Value and gradient of the sum over bars: a bar's length changes with the two edges it is read from."""

    @staticmethod
    def forward(
        ctx: Any, A: Tensor, B: Tensor, variant: str, symmetric: bool, p: float, max_bars: int | None
    ) -> Tensor:
        a, b = (np.ascontiguousarray(M.detach().cpu().numpy()) for M in (A, B))
        gradients = np.zeros_like(a), np.zeros_like(b)
        total = 0.0
        weight = 0.5 if symmetric else 1.0
        orders = ((a, b), (b, a))[: 1 + symmetric]
        for number, (first, second) in enumerate(orders):
            into = gradients[::-1] if number else gradients
            if variant != "max":
                bars = barcode_of(first, np.minimum(first, second))
                total += weight * _add_bars(bars, first, second, into, "min", p, max_bars, weight)
            if variant != "min":
                bars = barcode_of(np.maximum(first, second), second)
                total += weight * _add_bars(bars, first, second, into, "max", p, max_bars, weight)
        ctx.save_for_backward(*(torch.from_numpy(g).to(A.device) for g in gradients))
        return A.new_tensor(total)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b = ctx.saved_tensors
        return grad * a, grad * b, None, None, None, None


def _add_bars(
    bars: CrossBarcode,
    first: NDArray,
    second: NDArray,
    into: tuple[NDArray, NDArray],
    variant: str,
    p: float,
    max_bars: int | None,
    weight: float,
) -> float:
    """Sum of length^p over the kept bars; adds weight times its gradient to `into` (first's, second's)."""
    lengths = bars.lengths.astype(np.float64)
    kept = np.arange(len(lengths))
    if max_bars is not None and len(kept) > max_bars:
        kept = np.argsort(-lengths, kind="stable")[:max_bars]
    slope = weight * p * lengths[kept] ** (p - 1)
    for edges, signed, in_outer in (
        (bars.birth_edges[kept], -slope, np.zeros(len(kept), bool)),
        (bars.death_edges[kept], slope, bars.death_in_outer[kept]),
    ):
        at = edges[:, 0], edges[:, 1]
        f, s = first[at], second[at]
        if variant == "min":
            share = np.where(in_outer, 1.0, np.where(f == s, 0.5, f < s))
        else:
            share = np.where(in_outer, np.where(f == s, 0.5, f > s), 0.0)
        np.add.at(into[0], at, signed * share)
        np.add.at(into[1], at, signed * (1 - share))
    return float((lengths[kept] ** p).sum())
