"""Explicitness: how well a linear classifier on all latents separates the values of a factor.

Multinomial logistic regression on z-scored codes; the macro average of the one-against-rest area under the
ROC curve, averaged over the factors.

Ridgeway & Mozer 2018 (Learning Deep Disentangled Embeddings with the F-Statistic Loss), as computed by
Locatello et al. 2019. Two repairs: constant latents, on which theirs fails, are dropped, and a value that a
set does not contain is left out of that set's average. Without a live latent the score is chance, 0.5.
"""

import warnings
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.metrics.inputs import Array, check_split

__all__ = ["Explicitness", "explicitness"]


@dataclass(frozen=True)
class Explicitness:
    """Mean area under the ROC curve on the training and the test set, each in [0, 1], 0.5 being chance."""

    train: float
    test: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers for JSON."""
        return asdict(self)


def explicitness(
    codes_train: ArrayLike, factors_train: ArrayLike, codes_test: ArrayLike, factors_test: ArrayLike
) -> Explicitness:
    """Explicitness on both sets.

    Args:
        codes_train: (N, D) mean codes; the literature takes N = 10,000.
        factors_train: (N, K) integers; constant ones are dropped.
        codes_test: (M, D); the literature takes M = 5,000.
        factors_test: (M, K).

    Raises:
        InvalidArgumentError: malformed arrays, or no factor varies.
    """
    x_train, y_train, x_test, y_test = check_split(codes_train, factors_train, codes_test, factors_test)
    mean, deviation = x_train.mean(axis=0), x_train.std(axis=0)
    live = deviation > 0
    if not live.any():
        return Explicitness(0.5, 0.5)
    x_train, x_test = ((x[:, live] - mean[live]) / deviation[live] for x in (x_train, x_test))
    areas = [_areas(x_train, y_train[:, k], x_test, y_test[:, k]) for k in range(y_train.shape[1])]
    return Explicitness(*(float(column) for column in np.mean(areas, axis=0)))


def _areas(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> tuple[float, float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the definition is 100 iterations
        classifier.fit(x_train, y_train)
    values = classifier.classes_
    return (
        _macro_area(values, y_train, classifier.predict_proba(x_train)),
        _macro_area(values, y_test, classifier.predict_proba(x_test)),
    )


def _macro_area(values: Array, truth: Array, probabilities: Array) -> float:
    """The mean over the values that occur, but not everywhere, of the one-against-rest area."""
    areas = [
        _area_under_curve(truth == value, probabilities[:, column])
        for column, value in enumerate(values)
        if 0 < np.count_nonzero(truth == value) < len(truth)
    ]
    return float(np.mean(areas)) if areas else 0.5


def _area_under_curve(positive: Array, scores: Array) -> float:
    """The area under the ROC curve, as the Mann-Whitney statistic with ties counted half."""
    from scipy.stats import rankdata

    num_positive = int(positive.sum())
    above = rankdata(scores)[positive].sum() - num_positive * (num_positive + 1) / 2
    return float(above / (num_positive * (len(scores) - num_positive)))
