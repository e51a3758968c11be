"""Metrics that predict a factor: from one latent (SAP, SNC), from all (explicitness), or from all but one (NK).

SAP           how much better the best single latent predicts a factor than the second best; the mean over
              factors (Kumar et al. 2018, section 3.2; disentanglement_lib: sap_score.py)
explicitness  the area under the ROC curve of logistic regression on z-scored codes, one value against the rest,
              macro averaged (Ridgeway & Mozer 2018, section 3; modularity_explicitness.py)
SNC           accuracy of a factor's own latent, cut into as many bins as the factor has values
NK            the accuracy that a network loses without that latent
              (both Mahon et al. 2023, Correcting Flaws in Common Disentanglement Metrics; snc_nk.py)
"""

import warnings
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.metrics.estimators import mutual_information
from ganspace_topdis.metrics.inputs import Array, LabeledCodes, check_split, varying

__all__ = ["SNCNK", "Explicitness", "explicitness", "sap", "snc_nk"]


def sap(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    continuous: bool = False,
    seed: int = 0,
) -> float:
    """The separated attribute predictability, in [0, 1].

    Discrete: the test accuracy of a linear support vector machine (C = 0.01, balanced classes) on one latent, which
    depends on the scale of the codes; a perfect code reaches only 0.3 to 0.4, since intervals in the middle of a
    line are not linearly separable. Continuous: the squared correlation on the training set, which is invariant
    under scaling and 1 for a perfect code; text has no correlation, and its squared correlation ratio is taken.
    A single latent's second best is 0; constant latents score 0 (discrete: chance), a duplicate closes the gap.

    Args:
        codes: (N, D) mean codes; the literature takes N = 10,000.
        factors: (N, K); constant ones are dropped; the discrete score cuts continuous ones into bins.
        codes_test: (M, D); the literature takes M = 5,000. A third of `codes` by default.
        factors_test: (M, K).
        continuous: take squared correlations in place of classifiers.
        seed: of the split.

    Raises:
        InvalidArgumentError: malformed arrays, or no factor varies.
    """
    train, test = check_split(codes, factors, codes_test, factors_test, seed=seed)
    scores = squared_correlations(train) if continuous else _accuracies(train, test)
    ranked = np.sort(np.vstack([scores, np.zeros((1, scores.shape[1]))]), axis=0)
    return float(np.mean(ranked[-1] - ranked[-2]))


@dataclass(frozen=True)
class Explicitness:
    """Mean area under the ROC curve on the training and the test set, each in [0, 1], 0.5 being chance."""

    train: float
    test: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers for JSON."""
        return asdict(self)


def explicitness(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> Explicitness:
    """Explicitness on both sets; 1 is perfect, 0.5 chance.

    Two deviations from the reference: constant latents, on which it fails, are dropped (without a live latent the
    score is chance), and a value missing from a set is excluded from that set's average. Duplicates only change the
    effect of the penalty. Invariant under permuting and rescaling latents.

    Args:
        codes: (N, D) mean codes; the literature takes N = 10,000.
        factors: (N, K); constant ones are dropped, continuous ones cut into bins. Needs no order of the values.
        codes_test: (M, D); the literature takes M = 5,000. A third of `codes` by default.
        factors_test: (M, K).
        seed: of the split.

    Raises:
        InvalidArgumentError: malformed arrays, or no factor varies.
    """
    train, test = check_split(codes, factors, codes_test, factors_test, seed=seed)
    mean, deviation, live = train.codes.mean(axis=0), train.codes.std(axis=0), varying(train.codes)
    if not live.any():
        return Explicitness(0.5, 0.5)
    x_train, x_test = ((x.codes[:, live] - mean[live]) / deviation[live] for x in (train, test))
    areas = [_areas(x_train, train.labels[:, k], x_test, test.labels[:, k]) for k in range(train.num_factors)]
    return Explicitness(*(float(column) for column in np.mean(areas, axis=0)))


@dataclass(frozen=True)
class SNCNK:
    """Mean over factors, on the test set.

    Attributes:
        snc: accuracy of single latents, in [0, 1]; chance is one over the number of values.
        nk: accuracy that networks lose without the latent; 0 where other latents replace it, as duplicates do.
        accuracy: of the networks that see all latents.
    """

    snc: float
    nk: float
    accuracy: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers for JSON."""
        return asdict(self)


def snc_nk(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> SNCNK:
    """Single-neuron classification and neuron knockout.

    Factors are matched with latents one to one (Hungarian) by the information of the latent's bins of equal
    frequency, as many as the factor has values; bins are matched with values in the same way. Where there are more
    factors than latents, a factor without one scores its commonest value's share, and 0 in NK. SNC of a perfect code
    is 1 if each value is equally frequent, else slightly below. The networks (256 hidden units) see standardized
    latents, where the authors' see raw ones; both scores are invariant under permuting and rescaling. A constant
    latent is never worth more than chance. Without information SNC is chance and NK about 0.

    Args:
        codes: (N, D) mean codes.
        factors: (N, K); constant ones are dropped, continuous ones cut into bins. Needs no order of the values.
        codes_test: (M, D). A third of `codes` by default.
        factors_test: (M, K).
        seed: of the split and the networks, which learn from at most 10,000 rows.

    Raises:
        InvalidArgumentError: malformed arrays, or no factor varies.
    """
    from ganspace_topdis.metrics.probes import fit_classifiers

    train, test = check_split(codes, factors, codes_test, factors_test, seed=seed)
    latent_of = _match_latents(train)
    single = [_single_accuracy(train, test, k, latent_of.get(k)) for k in range(train.num_factors)]
    whole = np.ones((train.num_factors, train.num_latents), dtype=bool)
    without = whole.copy()
    for k, j in latent_of.items():
        without[k, j] = False
    targets = np.tile(np.arange(train.num_factors), 2)
    fit = fit_classifiers(train, test, np.concatenate([whole, without]), targets, seed=seed)
    full, knocked = np.split(fit.accuracy, 2)
    lost = [full[k] - knocked[k] if k in latent_of else 0.0 for k in range(train.num_factors)]
    return SNCNK(snc=float(np.mean(single)), nk=float(np.mean(lost)), accuracy=float(full.mean()))


def squared_correlations(data: LabeledCodes) -> Array:
    """Squared Pearson correlation (D, K), of text the squared correlation ratio; 0 for a constant latent."""
    num_latents, live = data.num_latents, varying(data.codes)[:, None]
    covariance = np.cov(_scaled(data.codes), _scaled(data.values), rowvar=False)
    variances = np.diag(covariance)
    cross = covariance[:num_latents, num_latents:]
    product = variances[:num_latents, None] * variances[None, num_latents:]
    squared = np.where(live, cross**2 / np.where(live, product, 1.0), 0.0)
    for k in np.flatnonzero(data.unordered):
        squared[:, k] = np.where(live[:, 0], _correlation_ratios(_scaled(data.codes), data.labels[:, k]), 0.0)
    return np.asarray(squared)


def _scaled(columns: Array) -> Array:
    """Columns (N, M) whose ranges are about 1: times powers of two, so that no digit of a correlation changes."""
    exact = columns.astype(np.float64)
    return np.asarray(np.ldexp(exact, -np.frexp(np.ptp(exact, axis=0))[1]))


def _correlation_ratios(codes: Array, labels: Array) -> Array:
    """Of each latent the share of its variance (D,) that lies between the values of a factor."""
    index, counts = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    centered = (codes - codes.mean(axis=0)).astype(np.float64)
    sums = np.stack([np.bincount(index, column) for column in centered.T], axis=1)
    between, total = (sums**2 / counts[:, None]).sum(axis=0), (centered**2).sum(axis=0)
    return np.divide(between, total, out=np.zeros_like(total), where=total > 0)


def _accuracies(train: LabeledCodes, test: LabeledCodes) -> Array:
    """Test accuracy (D, K) of a linear support vector machine on each latent alone."""
    from sklearn.svm import LinearSVC

    scores = np.zeros((train.num_latents, train.num_factors))
    for i in range(train.num_latents):
        for j in range(train.num_factors):
            machine = LinearSVC(C=0.01, class_weight="balanced", dual="auto", random_state=0)
            machine.fit(train.codes[:, [i]], train.labels[:, j])
            scores[i, j] = machine.score(test.codes[:, [i]], test.labels[:, j])
    return scores


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
    ranks = rankdata(scores.astype(np.float64))  # scipy 1.18 keeps float32, whose sums round
    above = ranks[positive].sum() - num_positive * (num_positive + 1) / 2
    return float(above / (num_positive * (len(scores) - num_positive)))


def _match_latents(data: LabeledCodes) -> dict[int, int]:
    """Factor -> latent, one to one, of the largest total information."""
    from scipy.optimize import linear_sum_assignment

    information = np.zeros((data.num_factors, data.num_latents))
    for k, labels in enumerate(data.labels.T):
        num_values = len(np.unique(labels))
        for j, latent in enumerate(data.codes.T):
            information[k, j] = mutual_information(_frequency_bins(latent, latent, num_values), labels)
    return {int(k): int(j) for k, j in zip(*linear_sum_assignment(-information), strict=True)}


def _frequency_bins(latent: Array, reference: Array, num_bins: int) -> Array:
    """Bins of equal frequency in `reference` (N,): how many of their lower edges, the first left out, are reached."""
    places = np.arange(num_bins) * len(reference) // num_bins
    return np.searchsorted(np.sort(reference)[places][1:], latent, side="right")


def _single_accuracy(train: LabeledCodes, test: LabeledCodes, factor: int, latent: int | None) -> float:
    """Test accuracy of one latent's bins, each standing for the value that the assignment gives it."""
    from scipy.optimize import linear_sum_assignment

    labels, truth = train.labels[:, factor], test.labels[:, factor]
    values, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if latent is None:
        return float((truth == values[counts.argmax()]).mean())
    column = train.codes[:, latent]
    bins = _frequency_bins(column, column, len(values))
    confusion = np.zeros((len(values), len(values)))
    np.add.at(confusion, (bins, index), 1)
    value_of = values[linear_sum_assignment(-confusion)[1]]
    return float((value_of[_frequency_bins(test.codes[:, latent], column, len(values))] == truth).mean())
