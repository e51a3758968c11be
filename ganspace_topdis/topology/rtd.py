"""Representation Topology Divergence of two corresponding point clouds, differentiable.

With A, B the clouds' distances, each divided by its own 0.9 quantile, and S_p(outer, inner) the sum of
(death - birth)^p over the bars of the cross-barcode:

    min variant  S_p(A, min(A, B))      max variant  S_p(max(A, B), B)      minmax  their sum

and, when symmetric, the mean with A and B exchanged. Sources: Barannikov et al. 2022 (RTD), Trofimov et al.
2023 (the max variant), Balabin et al. 2024 (TopDis: minmax, symmetric).
"""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import check_seed
from ganspace_topdis.topology.distances import as_point_pairs
from ganspace_topdis.topology.total_persistence import PersistenceOptions, cloud_persistence

__all__ = ["RTDLoss", "RTDScore", "Variant", "rtd", "rtd_score"]

Variant = Literal["min", "max", "minmax"]


def rtd(
    x: Tensor,
    y: Tensor,
    *,
    variant: Variant = "min",
    symmetric: bool = True,
    p: float = 1,
    max_bars: int | None = None,
    immovable: bool = False,
    batched: bool = False,
    kept: Tensor | None = None,
) -> Tensor:
    """RTD of clouds x, y (N, ...), where point i of x corresponds to point i of y. A scalar, differentiable once.

    Points are flattened. Coincident points and constant clouds are allowed, at any scale. The computation is in float32
    or float64, outside autocast; float16 and bfloat16 clouds are converted. The unit of RTD is the 0.9 quantile of the
    distances of each cloud, to the power p.

    Args:
        x: (N, ...), N >= 2.
        y: (N, ...); the dimension of its points may differ from that of x.
        variant: the barcodes that are summed, "min", "max" or "minmax"; see the module.
        symmetric: average over (A, B) and (B, A), instead of (A, B) alone.
        p: power of the bar lengths, at least 1.
        max_bars: sum only this many of the longest bars of each barcode; None sums all, the published code 50.
        immovable: treat x as fixed where a value is read from min(A, B) or max(A, B): its whole gradient goes to y, and
            the value does not change. (The flag of that name in the release of RTD-AE, Trofimov et al. 2023, also reads
            the value from the second cloud and so overestimates it.)
        batched: x and y hold B clouds each, (B, N, ...), and the result is (B,).
        kept: (N,), or (B, N) if batched: a mask of the points that count, by default all. RTD of fewer than four is
            NaN, without a gradient.

    Raises:
        InvalidArgumentError: an option is not allowed, the clouds do not fit each other, a coordinate is not finite,
            `kept` is no mask of the points, or a cloud that needs a gradient is so small (below 1e-30 in float32,
            1e-270 in float64) that the gradient, one over its size, overflows its dtype.

    >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    >>> round(float(rtd(square, 3 * square + 1)), 6)
    0.0
    """
    options = _options(variant, symmetric, p, max_bars, immovable)
    with torch.autocast(x.device.type if isinstance(x, Tensor) else "cpu", enabled=False):
        points_x, points_y = as_point_pairs(x, y, batched=batched)
        if kept is not None:
            _check_mask(kept, points_x.shape[:-1])
        if not batched:
            points_x, points_y = points_x[None], points_y[None]
        sums = cloud_persistence(points_x, points_y, options, kept if kept is None or batched else kept[None])
    return sums if batched else sums[0]


class RTDLoss(nn.Module):
    """The TopDis loss (Balabin et al. 2024, section 4.2): RTD of two clouds as a module.

    By default it is half the sum of S_1 over the min and max variants of (A, B) and (B, A):

        ( S_p(A, min(A, B)) + S_p(max(A, B), B) + S_p(B, min(A, B)) + S_p(max(A, B), A) ) / 2

    with the distances A, B of the clouds and the sums S_p of the module. It is 0 for clouds of equal distances up to
    scale, and has neither parameters nor buffers. `rtd` is the same function with other defaults.

    Args:
        p: power of the bar lengths, at least 1 and finite.
        variant: the barcodes that are summed: "min" (Barannikov et al. 2022), "max" (Trofimov et al. 2023), or
            "minmax", both, as in TopDis.
        symmetric: average over (A, B) and (B, A), instead of (A, B) alone.
        max_bars: sum only this many of the longest bars of each barcode; None sums all, the published code 50.
        immovable: treat the first cloud as fixed where a value is read from min(A, B) or max(A, B): its whole gradient
            goes to the second cloud, and the value does not change.

    Raises:
        InvalidArgumentError: an option is not allowed.

    >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    >>> line = torch.tensor([[0.0], [1.0], [2.0], [3.0]], requires_grad=True)
    >>> loss = RTDLoss()(square, line)
    >>> loss.backward()
    >>> loss.shape, line.grad.shape
    (torch.Size([]), torch.Size([4, 1]))
    """

    def __init__(
        self,
        p: float = 1,
        variant: Variant = "minmax",
        symmetric: bool = True,
        max_bars: int | None = None,
        immovable: bool = False,
    ) -> None:
        super().__init__()
        _options(variant, symmetric, p, max_bars, immovable)
        self.p = p
        self.variant: Variant = variant
        self.symmetric = symmetric
        self.max_bars = max_bars
        self.immovable = immovable

    def forward(self, x: Tensor, y: Tensor, *, batched: bool = False, kept: Tensor | None = None) -> Tensor:
        """The loss of clouds x, y (N, ...), a scalar; with `batched`, of clouds (B, N, ...), shape (B,).

        `kept` is a mask of the points that count, see `rtd`.

        Raises:
            InvalidArgumentError: the clouds do not fit each other or are not finite; see `rtd`.
        """
        return rtd(
            x,
            y,
            variant=self.variant,
            symmetric=self.symmetric,
            p=self.p,
            max_bars=self.max_bars,
            immovable=self.immovable,
            batched=batched,
            kept=kept,
        )

    def extra_repr(self) -> str:
        """The options, for the representation of the module."""
        return (
            f"p={self.p}, variant={self.variant!r}, symmetric={self.symmetric}, "
            f"max_bars={self.max_bars}, immovable={self.immovable}"
        )


@dataclass(frozen=True, kw_only=True)
class RTDScore:
    """RTD over random subsets.

    Attributes:
        mean: of the values.
        std: unbiased standard deviation of the values; 0 for one trial.
        values: RTD of each subset.
        num_points: size of each subset: `batch`, or that of the whole set if it is smaller.
    """

    mean: float
    std: float
    values: tuple[float, ...]
    num_points: int

    @property
    def standard_error(self) -> float:
        """Standard error of the mean, std / sqrt(trials)."""
        return self.std / len(self.values) ** 0.5


def rtd_score(x: Tensor, y: Tensor, trials: int = 10, batch: int = 500, *, seed: int = 0) -> RTDScore:
    """Symmetric RTD (min variant) of clouds x, y (N, ...) over random subsets of their points.

    Args:
        x: (N, ...), N >= 2.
        y: (N, ...).
        trials: number of subsets. A set of at most `batch` points is one trial, because every subset is the set itself.
        batch: points per subset, drawn without replacement.
        seed: of the subsets.

    Raises:
        InvalidArgumentError: trials < 1, batch < 2, or clouds that `rtd` refuses.

    >>> cloud = torch.arange(12.0).reshape(6, 2)
    >>> rtd_score(cloud, cloud).mean
    0.0
    """
    if not isinstance(trials, Integral) or trials < 1:
        raise InvalidArgumentError(f"`trials` is {trials!r}: it must be an integer, at least 1", field="trials")
    if not isinstance(batch, Integral) or batch < 2:
        raise InvalidArgumentError(f"`batch` is {batch!r}: it must be an integer, at least 2", field="batch")
    check_seed(seed)
    x, y = (cloud.detach() for cloud in as_point_pairs(x, y))
    num_points = min(batch, len(x))
    if num_points == len(x):
        trials = 1
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(trials):
        chosen = torch.from_numpy(np.sort(rng.choice(len(x), num_points, replace=False))).to(x.device)
        values.append(float(rtd(x[chosen], y[chosen])))
    return RTDScore(
        mean=float(np.mean(values)),
        std=float(np.std(values, ddof=1)) if trials > 1 else 0.0,
        values=tuple(values),
        num_points=num_points,
    )


def _check_mask(kept: Tensor, shape: torch.Size) -> None:
    if not isinstance(kept, Tensor) or kept.dtype != torch.bool or kept.shape != shape:
        given = f"{kept.dtype} of shape {tuple(kept.shape)}" if isinstance(kept, Tensor) else type(kept).__name__
        raise InvalidArgumentError(
            f"`kept` is {given}: it must be a mask, torch.bool of shape {tuple(shape)}, one value per point",
            field="kept",
        )


def _options(variant: Variant, symmetric: bool, p: float, max_bars: int | None, immovable: bool) -> PersistenceOptions:
    if variant not in get_args(Variant):
        raise InvalidArgumentError(f"`variant` is {variant!r}: choose 'min', 'max' or 'minmax'", field="variant")
    if not isinstance(p, Real) or not 1 <= p < float("inf"):
        raise InvalidArgumentError(f"`p` is {p!r}: it must be a finite number, at least 1", field="p")
    if max_bars is not None and (not isinstance(max_bars, Integral) or max_bars < 1):
        raise InvalidArgumentError(
            f"`max_bars` is {max_bars!r}: it must be an integer, at least 1, or None for all bars", field="max_bars"
        )
    kinds = ("min", "max") if variant == "minmax" else (variant,)
    return PersistenceOptions(kinds=kinds, symmetric=symmetric, p=p, max_bars=max_bars, immovable=immovable)
