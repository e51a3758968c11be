"""Disentanglement, completeness and informativeness, from the importances of boosted trees.

With R_jk the importance of latent j for predicting factor k,

    D = sum_j (sum_k R_jk / sum R) (1 - H_K(R_j.)),   C = sum_k (sum_j R_jk / sum R) (1 - H_D(R_.k)),

H_n being the entropy to base n of the normalised row or column, and informativeness the mean accuracy.

Eastwood & Williams 2018 (A Framework for the Quantitative Evaluation of Disentangled Representations), with
the gradient-boosted trees of Locatello et al. 2019 (see `boosting`).
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.boosting import boost
from ganspace_topdis.metrics.inputs import Array, check_split

__all__ = ["DCI", "dci"]


@dataclass(frozen=True)
class DCI:
    """The four numbers, each in [0, 1], and what they come from.

    Attributes:
        disentanglement: whether a latent matters for one factor only.
        completeness: whether one latent suffices for a factor.
        informativeness_train: mean accuracy on the training set.
        informativeness_test: mean accuracy on the test set.
        importances: (D, K) of latents for the factors that vary.
    """

    disentanglement: float
    completeness: float
    informativeness_train: float
    informativeness_test: float
    importances: Array = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, float]:
        """The four numbers for JSON."""
        return {
            "disentanglement": self.disentanglement,
            "completeness": self.completeness,
            "informativeness_train": self.informativeness_train,
            "informativeness_test": self.informativeness_test,
        }


def dci(
    codes_train: ArrayLike,
    factors_train: ArrayLike,
    codes_test: ArrayLike,
    factors_test: ArrayLike,
    *,
    seed: int = 0,
    jobs: int | None = None,
) -> DCI:
    """Disentanglement, completeness and informativeness.

    Args:
        codes_train: (N, D) mean codes; the literature takes N = 10,000.
        factors_train: (N, K) integers; constant ones are dropped.
        codes_test: (M, D); the literature takes M = 5,000.
        factors_test: (M, K).
        seed: of the order in which equally good latents are tried. `jobs` does not change the result.
        jobs: factors fitted at once, in threads; one a processor by default.

    Raises:
        InvalidArgumentError: malformed arrays, fewer than two factors vary, or fewer than two latents.
    """
    x_train, y_train, x_test, y_test = check_split(codes_train, factors_train, codes_test, factors_test, min_factors=2)
    if x_train.shape[1] < 2:
        raise InvalidArgumentError("codes of one latent have no completeness; DCI needs at least two latents")
    with ThreadPoolExecutor(max_workers=jobs or os.cpu_count()) as pool:  # the trees release the interpreter
        factors = range(y_train.shape[1])
        fits = list(pool.map(lambda k: boost(x_train, y_train[:, k], x_test, y_test[:, k], seed + k), factors))
    importances = np.stack([fit.importances for fit in fits], axis=1)
    return DCI(
        disentanglement=_concentration(importances),
        completeness=_concentration(importances.T),
        informativeness_train=float(np.mean([fit.accuracy_train for fit in fits])),
        informativeness_test=float(np.mean([fit.accuracy_test for fit in fits])),
        importances=importances,
    )


def _concentration(importances: Array) -> float:
    """One minus the normalised entropy of each row, weighted by the rows' sums; 0 when all is 0."""
    if importances.sum() == 0:
        return 0.0
    shares = importances + 1e-11
    shares /= shares.sum(axis=1, keepdims=True)
    entropies = -(shares * np.log(shares)).sum(axis=1) / np.log(importances.shape[1])
    return float(np.average(1 - entropies, weights=importances.sum(axis=1)))
