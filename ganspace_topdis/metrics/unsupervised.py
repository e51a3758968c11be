"""Scores that need no factors: how far the mean codes are from independent.

    Gaussian total correlation         0.5 (sum_j log S_jj - log det S), S the covariance of the mean codes
    Gaussian Wasserstein correlation   2 tr S - 2 tr (D^1/2 S D^1/2)^1/2, D = diag S; divided by tr S when normed
    mutual information score           mean over pairs of latents of I(z_i; z_j), histogrammed, in nats

Locatello et al. 2019 (Challenging Common Assumptions, supplement). Constant latents are dropped for the first,
which is infinite or NaN on them otherwise. Codes that depend linearly on each other have infinite total
correlation and raise an error.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.information import discretise, mutual_information
from ganspace_topdis.metrics.inputs import Array, as_codes

__all__ = ["UnsupervisedScores", "unsupervised_scores"]

_DEAD_VARIANCE = 1e-12


@dataclass(frozen=True)
class UnsupervisedScores:
    """Dependence between latents; all are 0 for independent ones, and not bounded above unless said.

    Attributes:
        gaussian_total_correlation: nats.
        gaussian_wasserstein_correlation: in squared units of the codes.
        gaussian_wasserstein_correlation_normed: the same over the total variance.
        mutual_information: nats, mean over pairs.
    """

    gaussian_total_correlation: float
    gaussian_wasserstein_correlation: float
    gaussian_wasserstein_correlation_normed: float
    mutual_information: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers for JSON."""
        return asdict(self)


def unsupervised_scores(codes: ArrayLike, *, num_bins: int = 20) -> UnsupervisedScores:
    """The four scores of mean codes (N, D); the literature takes N = 10,000. With no live latent all are 0.

    Raises:
        InvalidArgumentError: malformed codes, or live latents that depend linearly on each other.
    """
    checked = as_codes(codes)
    covariance = np.atleast_2d(np.cov(checked.astype(np.float64), rowvar=False))
    live = np.diag(covariance) > _DEAD_VARIANCE
    if not live.any():
        return UnsupervisedScores(0.0, 0.0, 0.0, 0.0)
    wasserstein = _wasserstein_correlation(covariance)
    return UnsupervisedScores(
        gaussian_total_correlation=_total_correlation(covariance[np.ix_(live, live)]),
        gaussian_wasserstein_correlation=wasserstein,
        gaussian_wasserstein_correlation_normed=wasserstein / float(np.trace(covariance)),
        mutual_information=_mean_pair_information(discretise(checked, num_bins)),
    )


def _total_correlation(covariance: Array) -> float:
    deviations = np.sqrt(np.diag(covariance))
    sign, log_determinant = np.linalg.slogdet(covariance / np.outer(deviations, deviations))
    if sign <= 0 or not np.isfinite(log_determinant):
        raise InvalidArgumentError("codes: latents depend linearly on each other; drop the repeated ones")
    return float(-0.5 * log_determinant)


def _wasserstein_correlation(covariance: Array) -> float:
    deviations = np.sqrt(np.diag(covariance))
    spectrum = np.linalg.eigvalsh(deviations[:, None] * covariance * deviations[None, :])
    return float(2 * np.trace(covariance) - 2 * np.sqrt(spectrum.clip(min=0)).sum())


def _mean_pair_information(labels: Array) -> float:
    num_latents = labels.shape[1]
    if num_latents == 1:
        return 0.0
    pairs = [mutual_information(labels[:, i], labels[:, j]) for i in range(num_latents) for j in range(i)]
    return float(np.mean(pairs))
