"""Mutual information gap: how much more the best latent knows of a factor than the second best.

    MIG = mean_k (I(z_1st; v_k) - I(z_2nd; v_k)) / H(v_k)

Chen et al. 2018 (Isolating Sources of Disentanglement in VAEs), in the histogram form of Locatello et al.
2019. `mig_sampled` is Chen's own estimator, which gives higher numbers; the two must not be compared.
"""

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.metrics.information import discretise, entropy, mutual_information_matrix
from ganspace_topdis.metrics.inputs import check_pair

__all__ = ["mig"]


def mig(codes: ArrayLike, factors: ArrayLike, *, num_bins: int = 20) -> float:
    """The mutual information gap, in [0, 1]; 1 is perfect. A single latent has no rival: its gap is I / H.

    Args:
        codes: (N, D) mean codes; the literature takes N = 10,000.
        factors: (N, K) integers; constant ones are dropped.
        num_bins: bins a latent.

    Raises:
        InvalidArgumentError: malformed arrays, or no factor varies.

    >>> grid = np.array([[i, j] for i in range(4) for j in range(4)])
    >>> round(mig(grid.astype(float), grid), 6)
    1.0
    """
    checked, values = check_pair(codes, factors)
    information = mutual_information_matrix(discretise(checked, num_bins), values)
    ranked = np.sort(np.vstack([information, np.zeros((1, values.shape[1]))]), axis=0)
    entropies = np.array([entropy(column) for column in values.T])
    return float(np.mean((ranked[-1] - ranked[-2]) / entropies))
