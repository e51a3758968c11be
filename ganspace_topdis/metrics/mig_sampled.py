"""The mutual information gap by Chen's estimator: from samples of q(z | x), without histograms.

    H(z_j) = - E log (1/N sum_n q(z_j | x_n)),    H(z_j | v_k) the same within the images of each value v_k,
    gap_k = (I_1st - I_2nd) / log |v_k|,          I = max(0, H(z_j) - H(z_j | v_k))

Chen et al. 2018 (Isolating Sources of Disentanglement in VAEs), on the whole grid of factor combinations with
diagonal Gaussian q. The numbers are higher than `mig`'s; never compare the two. The published dSprites
figures leave the factor shape out.
"""

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.grid import FactorGrid
from ganspace_topdis.metrics.inputs import Array, as_codes

__all__ = ["mig_sampled"]


def mig_sampled(
    grid_means: ArrayLike,
    grid_log_variances: ArrayLike,
    factor_sizes: Sequence[int],
    *,
    factors: Sequence[int] | None = None,
    num_samples: int = 10_000,
    max_components: int | None = None,
    seed: int = 0,
) -> float:
    """The sampled mutual information gap, in [0, 1].

    Args:
        grid_means: (product of sizes, D) means of q(z | x), one row a factor combination, last factor fastest.
        grid_log_variances: the same shape, natural logarithms of the variances.
        factor_sizes: how many values each factor takes; factors of one value are dropped.
        factors: which factors to average over; all by default.
        num_samples: samples for each entropy, as in the paper.
        max_components: at most so many images, drawn at random, make up each mixture; all by default, which
            is the paper's estimator and takes time in proportion to images times samples.
        seed: of the draws.

    Raises:
        InvalidArgumentError: malformed arrays, or no factor to average over varies.
    """
    grid = FactorGrid(grid_means, factor_sizes)
    means = grid.codes.astype(np.float64)
    deviations = np.exp(0.5 * as_codes(grid_log_variances, "grid_log_variances").astype(np.float64))
    if deviations.shape != means.shape:
        raise InvalidArgumentError(f"grid_log_variances must be {means.shape} like grid_means, not {deviations.shape}")
    chosen = [k for k in grid.varying.tolist() if factors is None or k in set(factors)]
    if not chosen:
        raise InvalidArgumentError(f"factors {factors} of sizes {tuple(factor_sizes)}: none of them varies")
    rng = np.random.default_rng(seed)
    limit = max_components or len(means)
    values = np.stack(np.unravel_index(np.arange(len(means)), tuple(grid.sizes.tolist())), axis=1)
    marginal = _entropies(means, deviations, num_samples, limit, rng)
    gaps = []
    for k in chosen:
        groups = [values[:, k] == value for value in range(grid.sizes[k])]
        held = [_entropies(means[rows], deviations[rows], num_samples, limit, rng) for rows in groups]
        information = np.append(np.clip(marginal - np.mean(held, axis=0), 0, None), 0.0)
        second, first = np.sort(information)[-2:]
        gaps.append((first - second) / math.log(grid.sizes[k]))
    return float(np.mean(gaps))


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
