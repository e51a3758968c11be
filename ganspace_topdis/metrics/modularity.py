"""Modularity: whether each latent knows about one factor only.

With m_jk = I(z_j; v_k), the score of latent j is 1 - (sum_k m_jk^2 - max_k m_jk^2) / ((K - 1) max_k m_jk^2),
0 for a latent that knows nothing, and the metric is the mean over ALL latents.

Ridgeway & Mozer 2018 (Learning Deep Disentangled Embeddings with the F-Statistic Loss), as computed by
Locatello et al. 2019. A perfect code with unused noisy latents does not score 1: the small bias of the noise
latents' information is spread over the factors and counts as much as the rest.
"""

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.metrics.information import discretise, mutual_information_matrix
from ganspace_topdis.metrics.inputs import check_pair

__all__ = ["modularity"]


def modularity(codes: ArrayLike, factors: ArrayLike, *, num_bins: int = 20) -> float:
    """The modularity score, in [0, 1]; 1 is perfect.

    Args:
        codes: (N, D) mean codes; the literature takes N = 10,000.
        factors: (N, K) integers; constant ones are dropped.
        num_bins: bins a latent.

    Raises:
        InvalidArgumentError: malformed arrays, or fewer than two factors vary.
    """
    checked, values = check_pair(codes, factors, min_factors=2)
    squared = mutual_information_matrix(discretise(checked, num_bins), values) ** 2
    largest = squared.max(axis=1)
    knowing = largest > 0
    scores = np.zeros(len(squared))
    others = squared.sum(axis=1)[knowing] - largest[knowing]
    scores[knowing] = 1 - others / (largest[knowing] * (values.shape[1] - 1))
    return float(scores.mean())
