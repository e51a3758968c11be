"""Scores that need no factors: dependence between latents, and agreement between models of different seeds.

Gaussian total correlation         0.5 (sum_j log S_jj - log det S), S the covariance of the mean codes
Gaussian Wasserstein correlation   2 tr S - 2 tr (D^1/2 S D^1/2)^1/2, D = diag S; divided by tr S when normed
mutual information score           mean over pairs of latents of I(z_i; z_j), histogrammed, in nats
                                   (Locatello et al. 2019, supplement; unsupervised_metrics.py)
UDR                                with R_ij how strongly latent i of model a explains latent j of model b,
                                   1/2 (mean_j max_i R_ij^2 / sum_i R_ij + mean_i max_j R_ij^2 / sum_j R_ij);
                                   a model's score is the median over all others
                                   (Duan et al. 2020, equations 2 and 3; evaluation/udr/metrics/udr.py)
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.estimators import discretize, mutual_information
from ganspace_topdis.metrics.inputs import Array, as_codes, varying

__all__ = ["UnsupervisedScores", "udr", "unsupervised_scores"]


@dataclass(frozen=True)
class UnsupervisedScores:
    """Dependence between latents; all are 0 for independent ones, and not bounded above unless stated.

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

    Constant latents are dropped for the total correlation, which is infinite or NaN on them otherwise. Codes that
    depend linearly on each other, duplicates among them or more latents than examples, have infinite total
    correlation and raise an error.

    Raises:
        InvalidArgumentError: malformed codes, or live latents that depend linearly on each other.
    """
    checked = as_codes(codes)
    covariance = np.atleast_2d(np.cov(checked.astype(np.float64), rowvar=False))
    live = varying(checked)
    if not live.any():
        return UnsupervisedScores(0.0, 0.0, 0.0, 0.0)
    wasserstein = _wasserstein_correlation(covariance)
    return UnsupervisedScores(
        gaussian_total_correlation=_total_correlation(covariance[np.ix_(live, live)]),
        gaussian_wasserstein_correlation=wasserstein,
        gaussian_wasserstein_correlation_normed=wasserstein / float(np.trace(covariance)),
        mutual_information=_mean_pair_information(discretize(checked, num_bins)),
    )


def _total_correlation(covariance: Array) -> float:
    deviations = np.sqrt(np.diag(covariance))
    spectrum = np.linalg.eigvalsh(covariance / np.outer(deviations, deviations))
    if spectrum[0] <= len(spectrum) * np.finfo(np.float64).eps:
        raise InvalidArgumentError("codes: latents depend linearly on each other; drop the repeated ones")
    log_determinant = np.log(spectrum).sum()
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


def udr(
    codes: Sequence[ArrayLike],
    kl: Sequence[ArrayLike] | None = None,
    *,
    method: Literal["lasso", "spearman"] = "lasso",
    min_kl: float = 0.01,
) -> Array:
    """The score of each of M models, (M,), each in [0, 1].

    R holds the absolute coefficients of a lasso (alpha = 0.1) of b's z-scored codes on a's, or absolute Spearman
    correlations. A model without a live latent scores 0 against all.

    Args:
        codes: M arrays (N, D_m): mean codes of the same N images, in order; the literature takes N = 1,000.
        kl: M arrays (D_m,): the mean KL divergence of each latent, nats. Latents of `min_kl` or less are left
            out. Without it only constant latents are.
        method: "lasso" or "spearman".
        min_kl: nats.

    Raises:
        InvalidArgumentError: fewer than two models, arrays that do not fit together, or an unknown method.
    """
    if len(codes) < 2 or method not in ("lasso", "spearman"):
        raise InvalidArgumentError(f"{len(codes)} models, method {method!r}: use 2 or more and lasso or spearman")
    checked = [as_codes(each, f"codes[{m}]").astype(np.float64) for m, each in enumerate(codes)]
    if len({len(each) for each in checked}) > 1:
        raise InvalidArgumentError(f"codes have {[len(each) for each in checked]} rows; encode the same images")
    live = [_standardized(each, _informative(each, kl, m, min_kl)) for m, each in enumerate(checked)]
    relate = _lasso if method == "lasso" else _spearman
    count = len(live)
    pairs = np.array([[_strength(relate(a, b)) if a is not b else 0.0 for b in live] for a in live])
    return np.array([np.median(np.delete(pairs[:, m], m)) for m in range(count)])


def _informative(codes: Array, kl: Sequence[ArrayLike] | None, model: int, min_kl: float) -> Array:
    live = varying(codes)
    if kl is None:
        return live
    divergence = np.asarray(kl[model], dtype=np.float64) if model < len(kl) else np.empty(0)
    if divergence.shape != (codes.shape[1],) or not np.isfinite(divergence).all():
        raise InvalidArgumentError(f"kl[{model}] must be ({codes.shape[1]},) finite numbers, one per latent")
    return live & (divergence > min_kl)


def _standardized(codes: Array, columns: Array) -> Array:
    chosen = codes[:, columns]
    return (chosen - chosen.mean(axis=0)) / chosen.std(axis=0)


def _strength(relation: Array) -> float:
    """How close a (D_a, D_b) matrix of non-negative numbers is to a permutation; 0 when it is empty."""
    if relation.size == 0:
        return 0.0
    shares = []
    for axis in (0, 1):
        total = relation.sum(axis=axis)
        largest = relation.max(axis=axis)
        shares.append(np.mean(np.divide(largest**2, total, out=np.zeros_like(total), where=total > 0)))
    return float(np.mean(shares))


def _lasso(a: Array, b: Array) -> Array:
    from sklearn.linear_model import Lasso

    if a.shape[1] == 0 or b.shape[1] == 0:
        return np.empty((a.shape[1], b.shape[1]))
    coefficients = Lasso(alpha=0.1).fit(a, b).coef_
    return np.abs(np.reshape(coefficients, (b.shape[1], a.shape[1]))).T


def _spearman(a: Array, b: Array) -> Array:
    from scipy.stats import rankdata

    ranks_a, ranks_b = (rankdata(each.astype(np.float64), axis=0) for each in (a, b))  # scipy 1.18 keeps float32
    joint = np.corrcoef(np.hstack([ranks_a, ranks_b]), rowvar=False)
    return np.abs(joint[: a.shape[1], a.shape[1] :])
