"""The reported RTD of two large sets: its mean over random subsets, with its spread (Barannikov et al. 2022)."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology.clouds import as_point_pairs
from ganspace_topdis.topology.rtd import rtd

__all__ = ["RTDScore", "rtd_score"]


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
