"""Metrics from the mutual information of single latents and factors: MIG, sampled MIG and modularity.

With m_jk = I(z_j; v_k):

    MIG          mean_k (m_1st,k - m_2nd,k) / H(v_k)                              Chen et al. 2018, Eq. 6
    modularity   mean_j 1 - (sum_k m_jk^2 - max_k m_jk^2) / ((K - 1) max_k m_jk^2)
                                                                                  Ridgeway & Mozer 2018, section 3

Both follow the histogram form of Locatello et al. 2019 (disentanglement_lib: mig.py, modularity_explicitness.py).
"""

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.estimators import discretize, entropy, mutual_information_matrix
from ganspace_topdis.metrics.inputs import Array, as_codes, check_pair, rng_of
from ganspace_topdis.metrics.interventions import FactorTable

__all__ = ["mig", "mig_sampled", "modularity"]

_LARGEST_LOG = 600.0
"""Squares of deviations beyond exp(300) leave double precision."""


def mig(codes: ArrayLike, factors: ArrayLike, *, num_bins: int = 20) -> float:
    """The mutual information gap, in [0, 1]; 1 is perfect.

    The gap of a single latent is I / H. Constant latents have no information; a duplicated latent closes the
    gap to 0. Continuous factors are cut into bins, and so is their entropy. Needs no order of the values. Invariant
    under permuting and rescaling latents; independent codes score about 0 (the bias of the bins).

    Args:
        codes: (N, D) mean codes; the literature takes N = 10,000.
        factors: (N, K); constant ones are dropped.
        num_bins: bins per latent.

    Raises:
        InvalidArgumentError: malformed arrays, or no factor varies.

    >>> grid = np.array([[i, j] for i in range(4) for j in range(4)])
    >>> round(mig(grid.astype(float), grid), 6)
    1.0
    """
    data = check_pair(codes, factors)
    information = mutual_information_matrix(discretize(data.codes, num_bins), data.labels)
    entropies = np.array([entropy(column) for column in data.labels.T])
    return float(np.mean(_gap(information) / entropies))


def modularity(codes: ArrayLike, factors: ArrayLike, *, num_bins: int = 20) -> float:
    """The modularity score, in [0, 1]; 1 is perfect.

    The mean runs over all latents: one without information, such as a constant one, scores 0, and a perfect code with
    unused noisy latents stays below 1, since their bias is spread over the factors and counts as much as the rest.
    Duplicates score as well as the original. Independent codes do not score 0.

    Args:
        codes: (N, D) mean codes; the literature takes N = 10,000.
        factors: (N, K); constant ones are dropped, continuous ones cut into bins.
        num_bins: bins per latent.

    Raises:
        InvalidArgumentError: malformed arrays, or fewer than two factors vary.
    """
    data = check_pair(codes, factors, min_factors=2)
    squared = mutual_information_matrix(discretize(data.codes, num_bins), data.labels) ** 2
    largest = squared.max(axis=1)
    knowing = largest > 0
    scores = np.zeros(len(squared))
    others = squared.sum(axis=1)[knowing] - largest[knowing]
    scores[knowing] = 1 - others / (largest[knowing] * (data.num_factors - 1))
    return float(scores.mean())


def mig_sampled(
    means: ArrayLike,
    log_variances: ArrayLike,
    factors: ArrayLike | Sequence[int],
    *,
    which: Sequence[int] | None = None,
    num_samples: int = 10_000,
    max_components: int | None = None,
    seed: int = 0,
) -> float:
    """MIG by Chen's own estimator, from samples of q(z | x) and without histograms, in [0, 1].

        H(z_j) = - E log (1/N sum_n q(z_j | x_n)),    H(z_j | v_k) the same within the images of each value of v_k,
        gap_k = (I_1st - I_2nd) / H(v_k),             I = max(0, H(z_j) - H(z_j | v_k))

    for diagonal Gaussian q; in a complete grid H(v_k) is the log of its size. The numbers are higher
    than `mig`'s; never compare the two. The published dSprites figures exclude the factor shape.

    Args:
        means: (N, D) means of q(z | x).
        log_variances: (N, D) natural logarithms of the variances.
        factors: (N, K), or the K sizes of a complete grid; see `FactorTable`. Factors of one value are dropped.
        which: which of the given factors to average over; all by default.
        num_samples: samples for each entropy, as in the paper.
        max_components: at most so many images, drawn at random, make up each mixture; all by default, which
            is the paper's estimator and takes time in proportion to images times samples.
        seed: of the draws.

    Raises:
        InvalidArgumentError: malformed arrays, a count below 1, logarithms beyond 600, or no factor to average over
            varies.
    """
    pair = as_codes(means, "means"), as_codes(log_variances, "log_variances")
    if pair[0].shape != pair[1].shape:
        raise InvalidArgumentError(f"log_variances must be {pair[0].shape} like means, not {pair[1].shape}")
    table = FactorTable(np.hstack(pair), factors)
    if num_samples < 1 or (max_components is not None and max_components < 1):
        raise InvalidArgumentError(f"num_samples {num_samples}, max_components {max_components}: use 1 or more")
    centers, logarithms = np.split(table.codes.astype(np.float64), 2, axis=1)
    if np.abs(logarithms).max() > _LARGEST_LOG:
        raise InvalidArgumentError(f"log_variances beyond {_LARGEST_LOG:g} are no logarithms of variances; check them")
    deviations = np.exp(0.5 * logarithms)
    if which is not None and not set(which) <= set(range(table.num_given)):
        raise InvalidArgumentError(f"which {list(which)} is not allowed; the factors are 0 to {table.num_given - 1}")
    chosen = [k for k in table.varying.tolist() if which is None or table.columns[k] in which]
    if not chosen:
        raise InvalidArgumentError(f"factors {which} of sizes {tuple(table.sizes.tolist())}: none of them varies")
    rng = rng_of(seed)
    limit, values = max_components or len(centers), table.values
    marginal = _entropies(centers, deviations, num_samples, limit, rng)
    gaps = []
    for k in chosen:
        groups = [values[:, k] == value for value in range(table.sizes[k])]
        held = [_entropies(centers[rows], deviations[rows], num_samples, limit, rng) for rows in groups]
        shares = np.array([rows.mean() for rows in groups])
        information = np.clip(marginal - shares @ np.array(held), 0, None)
        gaps.append(_gap(information[:, None])[0] / -(shares @ np.log(shares)))
    return float(np.mean(gaps))


def _gap(information: Array) -> Array:
    """The largest minus the second largest of each column (D, K); the second of one latent is 0."""
    ranked = np.sort(np.vstack([information, np.zeros((1, information.shape[1]))]), axis=0)
    return np.asarray(ranked[-1] - ranked[-2])


def _entropies(means: Array, deviations: Array, num_samples: int, limit: int, rng: np.random.Generator) -> Array:
    """The entropy (D,), nats, of each latent of the mixture of N Gaussians."""
    kept = rng.permutation(len(means))[:limit]
    drawn = rng.integers(0, len(means), size=num_samples)
    samples = means[drawn] + deviations[drawn] * rng.standard_normal((num_samples, means.shape[1]))
    columns = (np.ascontiguousarray(each.T) for each in (samples, means[kept], deviations[kept]))
    return np.array([-_mean_log_density(*column) for column in zip(*columns, strict=True)])


@njit(cache=True, nogil=True, fastmath=True)
def _mean_log_density(samples: Array, means: Array, deviations: Array) -> float:
    """The mean over samples (S,) of the log density of the mixture of N Gaussians in one dimension."""
    scale, shift = 1.0 / deviations, -np.log(deviations)
    total = 0.0
    exponents = np.empty(len(means))
    for sample in samples:
        largest = -np.inf
        for n in range(len(means)):
            distance = (sample - means[n]) * scale[n]
            exponents[n] = shift[n] - 0.5 * distance * distance
            largest = max(largest, exponents[n])
        density = 0.0
        for n in range(len(means)):
            density += math.exp(exponents[n] - largest)
        total += largest + math.log(density)
    return total / len(samples) - math.log(len(means)) - 0.5 * math.log(2 * math.pi)
