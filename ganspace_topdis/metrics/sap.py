"""Separated attribute predictability: how much better the best single latent predicts a factor than the second.

Discrete: the test accuracy of a linear support vector machine (C = 0.01, balanced classes) on one latent.
Continuous: the squared correlation of latent and factor on the training set. The metric is the mean over
factors of the largest minus the second largest.

Kumar et al. 2018 (Variational Inference of Disentangled Latent Concepts from Unlabeled Observations), as
computed by Locatello et al. 2019. The discrete score depends on the scale of the codes, and a perfect code
reaches only 0.3 to 0.4, since intervals in the middle of a line are not linearly separable.
"""

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.metrics.inputs import Array, check_split

__all__ = ["sap"]

_DEAD_VARIANCE = 1e-12


def sap(
    codes_train: ArrayLike,
    factors_train: ArrayLike,
    codes_test: ArrayLike,
    factors_test: ArrayLike,
    *,
    continuous: bool = False,
) -> float:
    """The SAP score, in [0, 1].

    Args:
        codes_train: (N, D) mean codes; the literature takes N = 10,000.
        factors_train: (N, K) integers; constant ones are dropped.
        codes_test: (M, D); the literature takes M = 5,000. Not used by the continuous score.
        factors_test: (M, K).
        continuous: take squared correlations in place of classifiers.

    Raises:
        InvalidArgumentError: malformed arrays, or no factor varies.
    """
    split = check_split(codes_train, factors_train, codes_test, factors_test)
    scores = _squared_correlations(split[0], split[1]) if continuous else _accuracies(*split)
    ranked = np.sort(np.vstack([scores, np.zeros((1, scores.shape[1]))]), axis=0)
    return float(np.mean(ranked[-1] - ranked[-2]))


def _squared_correlations(codes: Array, factors: Array) -> Array:
    """Squared Pearson correlation (D, K); 0 for a latent that is all but constant."""
    num_latents = codes.shape[1]
    covariance = np.cov(codes.astype(np.float64), factors.astype(np.float64), rowvar=False)
    variances = np.diag(covariance)
    cross = covariance[:num_latents, num_latents:]
    live = variances[:num_latents, None] > _DEAD_VARIANCE
    product = variances[:num_latents, None] * variances[None, num_latents:]
    return np.where(live, cross**2 / np.where(live, product, 1.0), 0.0)


def _accuracies(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> Array:
    """Test accuracy (D, K) of a linear support vector machine on each latent alone."""
    from sklearn.svm import LinearSVC

    scores = np.zeros((x_train.shape[1], y_train.shape[1]))
    for i in range(x_train.shape[1]):
        for j in range(y_train.shape[1]):
            machine = LinearSVC(C=0.01, class_weight="balanced", dual="auto", random_state=0)
            machine.fit(x_train[:, [i]], y_train[:, j])
            scores[i, j] = machine.score(x_test[:, [i]], y_test[:, j])
    return scores
