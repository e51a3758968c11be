"""Metrics from the normalized information matrix: InfoMEC and EDI.

With m_jk = I(z_j; v_k) by nearest neighbors:

    InfoM   (mean_j max_k n_jk / sum_k n_jk - 1/K) / (1 - 1/K),  n_jk = m_jk / H(v_k), over live latents
    InfoC   the same with the roles of latents and factors exchanged
    InfoE   mean_k 1 - H(v_k | z) / H(v_k), both by logistic regression     Hsu et al. 2023, section 4
    EDI     exclusivity of each row and column, see `edi`                   Julka et al. 2024

InfoMEC follows the authors' disentangle/metrics/infomec.py, for both of their definitions of a live latent. EDI follows
the authors' disentangling/metrics/dcii.py.
"""

import math
import warnings
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.estimators import (
    entropy,
    knn_information,
    knn_information_matrix,
    mutual_information_matrix,
)
from ganspace_topdis.metrics.inputs import Array, LabeledCodes, check_pair

__all__ = ["EDI", "InfoMEC", "edi", "infomec", "live_latents"]

_TINY = 1e-10


@dataclass(frozen=True)
class InfoMEC:
    """The three numbers, and what they come from.

    Attributes:
        modularity: whether a live latent informs on one factor only, in [0, 1].
        explicitness: the share of the factors' entropy that a linear classifier explains, at most 1.
        compactness: whether one live latent holds a factor, in [0, 1].
        information: (D, K) normalized information of all latents.
        live: (D,) booleans.
    """

    modularity: float
    explicitness: float
    compactness: float
    information: Array = field(compare=False, repr=False)
    live: Array = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, float]:
        """The three numbers for JSON."""
        return {
            "modularity": self.modularity,
            "explicitness": self.explicitness,
            "compactness": self.compactness,
        }


def infomec(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    live: Literal["range", "iqr"] = "range",
    discrete_latents: bool = False,
    num_neighbors: int = 10,
) -> InfoMEC:
    """InfoMEC of Hsu et al. 2023.

    Where the authors' code returns NaN, a value is defined: a live latent without information counts as if its
    information were spread evenly, and with fewer than two live latents modularity and compactness are 0. Constant
    latents are never live; duplicates share the compactness. Continuous factors enter the neighbor estimate as
    numbers, and the entropies and the classifier cut into bins. Invariant under permuting latents, and under
    rescaling all of them alike; rescaling one can change which are live.

    Args:
        codes: (N, D) mean codes; the authors take N = 10,000.
        factors: (N, K); constant ones are dropped.
        live: "range", more than a 20th of the largest range (2023), or "iqr", more than a tenth of the largest
            interquartile range (Tripod, Hsu et al. 2024). Discrete: a range above 0, or an interquartile range
            above 0.1.
        discrete_latents: take the plug-in estimate, each distinct code being a label, and one-hot features.
        num_neighbors: of the estimate for continuous latents.

    Raises:
        InvalidArgumentError: malformed arrays, fewer than two factors vary, or too few points for the neighbors.
    """
    data = check_pair(codes, factors, min_factors=2)
    entropies = np.array([entropy(column) for column in data.labels.T])
    if discrete_latents:
        labels = np.stack([np.unique(column, return_inverse=True)[1] for column in data.codes.T], axis=1)
        information = mutual_information_matrix(labels, data.labels) / entropies
    else:
        information = knn_information_matrix(data, num_neighbors) / entropies
    alive = live_latents(data.codes, live, discrete=discrete_latents)
    enough = alive.sum() > 1
    return InfoMEC(
        modularity=_dominance(information[alive]) if enough else 0.0,
        explicitness=_explained_entropy(data, discrete_latents),
        compactness=_dominance(information[alive].T) if enough else 0.0,
        information=information,
        live=alive,
    )


def live_latents(codes: Array, definition: str = "range", *, discrete: bool = False) -> Array:
    """Which latents (D,) are live by Hsu et al. 2023 ("range") or 2024 ("iqr"); see `infomec`.

    Raises:
        InvalidArgumentError: another definition.
    """
    if definition not in ("range", "iqr"):
        raise InvalidArgumentError(f"live {definition!r} is not allowed; use range or iqr")
    if definition == "range":
        spread = np.ptp(codes, axis=0)
        return spread > (0 if discrete else spread.max() / 20)
    low, high = np.quantile(codes, [0.25, 0.75], axis=0)
    return high - low > (0.1 if discrete else (high - low).max() / 10)


@dataclass(frozen=True)
class EDI:
    """The three numbers, each in [0, 1].

    Attributes:
        modularity: whether a latent informs on one factor only.
        compactness: whether one latent holds a factor.
        explicitness: the share of the factors' entropy that all latents together hold.
        information: (D, K), each latent's share of the information of all latents on a factor.
    """

    modularity: float
    compactness: float
    explicitness: float
    information: Array = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, float]:
        """The three numbers for JSON."""
        return {
            "modularity": self.modularity,
            "compactness": self.compactness,
            "explicitness": self.explicitness,
        }


def edi(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    joint: Literal["network", "max", "sum"] = "network",
    num_neighbors: int = 3,
    seed: int = 0,
) -> EDI:
    """The exclusivity disentanglement index of Julka et al. 2024.

    With s_jk = I(z_j; v_k) / I(z; v_k), the exclusivity of a row or column s is max s - sqrt(mean of the others'
    squares). Modularity credits each latent's exclusivity to its best factor, each factor collecting at most 1, and
    averages over factors; compactness is the mean exclusivity of the columns; explicitness is the mean of
    I(z; v_k) / H(v_k).

    The authors estimate I(z; v_k) by MINE. Here a network with one hidden layer predicts the factor, and its held-out
    likelihood bounds the information from below; it is then never below the best single latent, so that the shares
    stay in [0, 1]. Discrete factors use Ross's estimate, which the authors' code does not use; with "network"
    continuous factors are cut into bins. Constant latents have no information; duplicates lower compactness, not
    modularity. Of independent codes only explicitness is near 0: shares of almost nothing are arbitrary.

    Args:
        codes: (N, D) mean codes, at least two latents.
        factors: (N, K); constant ones are dropped. Needs no order of the values.
        joint: how I(z; v_k) is estimated; "max" or "sum" of the single latents' are the authors' alternatives.
        num_neighbors: of the estimate for single latents.
        seed: of the network.

    Raises:
        InvalidArgumentError: malformed arrays, fewer than two latents or factors, or an unknown `joint`.
    """
    data = check_pair(codes, factors, min_factors=2, min_latents=2)
    if joint not in ("network", "max", "sum"):
        raise InvalidArgumentError(f"joint {joint!r} is not allowed; use network, max or sum")
    if joint == "network":
        data = replace(data, continuous=np.zeros_like(data.continuous))
    single = knn_information_matrix(data, num_neighbors)
    entropies = np.array([_own_information(data, k, num_neighbors) for k in range(data.num_factors)])
    if joint == "network":
        from ganspace_topdis.metrics.probes import joint_information

        captured = np.maximum(joint_information(data, seed=seed), single.max(axis=0))
    else:
        captured = single.max(axis=0) if joint == "max" else single.sum(axis=0)
    shares = single / (captured + _TINY)
    best, credit = shares.argmax(axis=1), np.zeros_like(shares)
    credit[np.arange(len(shares)), best] = _exclusivity(shares.T)
    return EDI(
        modularity=float(np.minimum(credit.sum(axis=0), 1).mean()),
        compactness=float(_exclusivity(shares).mean()),
        explicitness=float(np.mean(np.minimum(captured, entropies) / (entropies + _TINY))),
        information=shares,
    )


def _dominance(information: Array) -> float:
    """The largest share of each row, rescaled so that even rows score 0 and rows of one entry 1; mean of the rows."""
    even, totals = 1 / information.shape[1], information.sum(axis=1)
    shares = np.divide(information.max(axis=1), totals, out=np.full_like(totals, even), where=totals > 0)
    return float((shares.mean() - even) / (1 - even))


def _exclusivity(shares: Array) -> Array:
    """Of each column (n, m): the largest minus the root mean square of the others."""
    largest = shares.max(axis=0)
    others = np.maximum((shares**2).sum(axis=0) - largest**2, 0)
    return np.asarray(largest - np.sqrt(others / (len(shares) - 1)))


def _own_information(data: LabeledCodes, factor: int, num_neighbors: int) -> float:
    """H of a discrete factor; of a continuous one, the neighbor estimate of its information on itself."""
    if not data.continuous[factor]:
        return entropy(data.labels[:, factor])
    jitter = _TINY * np.random.default_rng(0).standard_normal((2, len(data.values)))
    column = data.values[:, factor] / data.values[:, factor].std()
    return knn_information(column + jitter[0], column + jitter[1], num_neighbors, discrete=False)


def _explained_entropy(data: LabeledCodes, discrete_latents: bool) -> float:
    """InfoE: balanced multinomial logistic regression without penalty, against the same without features."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    features = _one_hot(data.codes) if discrete_latents else _standardized(data.codes)
    explained = []
    for labels in data.labels.T:
        classifier = LogisticRegression(C=np.inf, class_weight="balanced")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the definition is 100 iterations
            classifier.fit(features, labels)
        lost = log_loss(labels, classifier.predict_proba(features), labels=classifier.classes_)
        explained.append(1 - lost / math.log(len(classifier.classes_)))  # balanced classes without features
    return float(np.mean(explained))


def _standardized(codes: Array) -> Array:
    deviations = codes.std(axis=0)
    return np.asarray((codes - codes.mean(axis=0)) / np.where(deviations > 0, deviations, 1))


def _one_hot(codes: Array) -> Array:
    indices = (np.unique(column, return_inverse=True)[1] for column in codes.T)
    return np.concatenate([np.eye(int(index.max()) + 1)[index] for index in indices], axis=1)
