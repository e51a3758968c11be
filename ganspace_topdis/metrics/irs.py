"""Interventional robustness score: how still a latent stays while all factors but one change.

For latent j and factor k, the deviation |z_j - E[z_j | v_k]| within each group of constant v_k is summarised
by its `quantile`, averaged over the groups and divided by the latent's largest deviation from its mean. The
latent's score is one minus the smallest of these over k, and the metric is their mean weighted by the largest
deviations.

Suter et al. 2019 (Robustly Disentangled Causal Mechanisms), with the 99th percentile of Locatello et al. 2019
(the paper takes the maximum, quantile 1).
"""

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.information import discretise
from ganspace_topdis.metrics.inputs import Array, check_pair

__all__ = ["irs"]


def irs(codes: ArrayLike, factors: ArrayLike, *, quantile: float = 0.99, num_bins: int = 20) -> float:
    """The interventional robustness score, in [0, 1]; 1 is perfect, and 0 is returned when no latent lives.

    Args:
        codes: (N, D) mean codes; the literature takes N = 10,000. Constant latents are dropped.
        factors: (N, K) integers; constant ones are dropped.
        quantile: which quantile of the deviations speaks for a group.
        num_bins: factors of more values are merged into so many bins of equal width.

    Raises:
        InvalidArgumentError: malformed arrays, no factor varies, or `quantile` outside (0, 1].
    """
    if not 0 < quantile <= 1:
        raise InvalidArgumentError(f"quantile {quantile} is not allowed; use a number in (0, 1]")
    checked, values = check_pair(codes, factors)
    live = checked[:, checked.var(axis=0) > 0]
    if live.shape[1] == 0:
        return 0.0
    largest = np.abs(live - live.mean(axis=0)).max(axis=0)
    robustness = 1 - mean_deviations(live, discretise(values, num_bins), quantile) / largest[:, None]
    return float(np.average(robustness.max(axis=1), weights=largest))


def mean_deviations(codes: Array, factors: Array, quantile: float) -> Array:
    """The deviation (D, K) of each latent while a factor is held, averaged over the factor's values."""
    deviations = np.zeros((codes.shape[1], factors.shape[1]))
    for k, factor in enumerate(factors.T):
        groups = [codes[factor == value] for value in np.unique(factor)]
        spread = [np.quantile(np.abs(group - group.mean(axis=0)), quantile, axis=0) for group in groups]
        deviations[:, k] = np.mean(spread, axis=0, dtype=np.float64)
    return deviations
