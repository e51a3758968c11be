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
from ganspace_topdis.topology.distances import as_point_pairs, normalized_distances
from ganspace_topdis.topology.total_persistence import PersistenceOptions, total_persistence

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
) -> Tensor:
    """RTD of clouds x, y (N, ...): point i of x corresponds to point i of y. A scalar, differentiable once.

    Points are flattened. Coincident points and constant clouds are allowed, at any scale. Computed in float32 or
    float64, outside autocast; float16 and bfloat16 clouds are converted.

    Args:
        x: (N, ...) cloud, N >= 2.
        y: (N, ...) cloud; its points may have another dimension than x's.
        variant: which sums, see above.
        symmetric: the mean over (A, B) and (B, A) instead of (A, B) alone.
        p: power of the bars' lengths, at least 1.
        max_bars: keep the longest bars of every barcode only; None keeps all, the published code keeps 50.
        immovable: leave the value alone, but charge the whole gradient of every value read from min(A, B) or
            max(A, B) to y, as if x were fixed there (after the flag of that name in RTD-AE's release, which also
            reads the value from the second cloud and so overestimates it).
        batched: x and y are B clouds each, (B, N, ...), and the result has shape (B,).

    Raises:
        InvalidArgumentError: an option is not allowed, clouds do not fit each other, a coordinate is not finite, or a
            cloud that needs a gradient is so small (below 1e-30 in float32, 1e-270 in float64) that the gradient, one
            over its size, is too large for its dtype.

    >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    >>> round(float(rtd(square, 3 * square + 1)), 6)
    0.0
    """
    options = _options(variant, symmetric, p, max_bars, immovable)
    with torch.autocast(x.device.type if isinstance(x, Tensor) else "cpu", enabled=False):
        points_x, points_y = as_point_pairs(x, y, batched=batched)
        distances = torch.stack([normalized_distances(points_x), normalized_distances(points_y)])
        if not batched:
            distances = distances[:, None]
        sums = total_persistence(distances, options)
    return sums if batched else sums[0]


class RTDLoss(nn.Module):
    """The TopDis loss: half the sum of S_p over the min and max variants of (A, B) and (B, A); see `rtd`."""

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

    def forward(self, x: Tensor, y: Tensor, *, batched: bool = False) -> Tensor:
        """The loss of clouds x, y (N, ...), a scalar; with `batched` of (B, N, ...), shape (B,)."""
        return rtd(
            x,
            y,
            variant=self.variant,
            symmetric=self.symmetric,
            p=self.p,
            max_bars=self.max_bars,
            immovable=self.immovable,
            batched=batched,
        )

    def extra_repr(self) -> str:
        """The options, for printing the module."""
        return (
            f"p={self.p}, variant={self.variant!r}, symmetric={self.symmetric}, "
            f"max_bars={self.max_bars}, immovable={self.immovable}"
        )


@dataclass(frozen=True, kw_only=True)
class RTDScore:
    """RTD over subsets: mean, std (unbiased; 0 for one trial), and the values (trials,) themselves.

    num_points is the size of each subset: `batch`, or the whole set where that is smaller.
    """

    mean: float
    std: float
    values: tuple[float, ...]
    num_points: int

    @property
    def standard_error(self) -> float:
        """Of the mean: std / sqrt(trials)."""
        return self.std / len(self.values) ** 0.5


def rtd_score(x: Tensor, y: Tensor, trials: int = 10, batch: int = 500, *, seed: int = 0) -> RTDScore:
    """Symmetric RTD of clouds x, y (N, ...) over `trials` random subsets of `batch` points, drawn without return.

    A set of at most `batch` points is one trial: every subset would be the set itself.

    Raises:
        InvalidArgumentError: trials < 1, batch < 2, or clouds that `rtd` refuses.

    >>> cloud = torch.arange(12.0).reshape(6, 2)
    >>> rtd_score(cloud, cloud).mean
    0.0
    """
    if not isinstance(trials, Integral) or trials < 1:
        raise InvalidArgumentError(f"trials is {trials!r}: it must be a whole number, at least 1")
    if not isinstance(batch, Integral) or batch < 2:
        raise InvalidArgumentError(f"batch is {batch!r}: a subset needs a whole number of points, at least 2")
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


def _options(variant: Variant, symmetric: bool, p: float, max_bars: int | None, immovable: bool) -> PersistenceOptions:
    if variant not in get_args(Variant):
        raise InvalidArgumentError(f"variant is {variant!r}: choose 'min', 'max' or 'minmax'")
    if not isinstance(p, Real) or not 1 <= p < float("inf"):
        raise InvalidArgumentError(f"p is {p!r}: it must be a finite number, at least 1")
    if max_bars is not None and (not isinstance(max_bars, Integral) or max_bars < 1):
        raise InvalidArgumentError(
            f"max_bars is {max_bars!r}: it must be a whole number, at least 1, or None to keep all bars"
        )
    kinds = ("min", "max") if variant == "minmax" else (variant,)
    return PersistenceOptions(kinds=kinds, symmetric=symmetric, p=p, max_bars=max_bars, immovable=immovable)
