"""Metrics that fix one factor and observe the latents: FactorVAE score, beta-VAE score, IRS.

    FactorVAE   a vote fixes factor k and picks the latent of the smallest relative variance; the score is
                the accuracy of the majority classifier from latent to factor (Kim & Mnih 2018, section 4)
    beta-VAE    a point is the mean of |z - z'| over pairs that share factor k; the score is the accuracy of
                logistic regression from point to k (Higgins et al. 2017, section 3)
    IRS         how little a latent changes while all factors but one change (Suter et al. 2019, equations 9 to 12)

Sizes and thresholds are those of Locatello et al. 2019 (disentanglement_lib: factor_vae.py, beta_vae.py, irs.py).
Their FactorVAE code prunes no latent by default, so that one constant latent (0 / 0) attracts all votes; here it
is never picked. The first two saturate: a randomly rotated code can score 1 as well.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.estimators import discretize
from ganspace_topdis.metrics.inputs import Array, LabeledCodes, as_array, as_codes, check_pair, rng_of, varying

__all__ = [
    "FactorTable",
    "active_latents",
    "beta_vae_score",
    "factor_vae_score",
    "irs",
    "least_varying",
    "score_recorded_votes",
    "score_votes",
]

_AT_ONCE = 1000


class FactorTable:
    """Codes from which rows that agree in one factor can be drawn.

    Args:
        codes: (N, D).
        factors: (N, K) values of each row, in any order. Or the K sizes of a complete grid, whose codes are in
            order, the last factor fastest: then every combination exists, and factors are drawn independently.

    Attributes:
        columns: which of the given factors its own are; those of one value are dropped, except from a grid.
        num_given: K.

    Raises:
        InvalidArgumentError: malformed arrays, sizes that are not positive, or another number of rows.

    >>> table = FactorTable(np.arange(6.0)[:, None], (2, 3))
    >>> table.rows(np.array([[0, 2], [1, 0]])).tolist()
    [2, 3]
    """

    def __init__(self, codes: ArrayLike, factors: ArrayLike | Sequence[int]) -> None:
        array = as_array(factors)
        if array.ndim == 1:
            self.codes = as_codes(codes)
            self.sizes = _grid_sizes(array, len(self.codes))
            self.columns, self.num_given = np.arange(len(self.sizes)), len(self.sizes)
            self._labels: Array | None = None
            self._strides = np.append(np.cumprod(self.sizes[:0:-1])[::-1], 1)
            return
        data = check_pair(codes, array, min_factors=0)
        self.codes, self._labels = data.codes, _compact(data)
        self.columns, self.num_given = np.asarray(data.columns), array.shape[1]
        self.sizes = self._labels.max(axis=0, initial=0) + 1
        self._order = np.argsort(self._labels, axis=0, kind="stable")
        self._counts = [np.bincount(column) for column in self._labels.T]

    @property
    def varying(self) -> Array:
        """The indices of the factors of more than one value."""
        return np.flatnonzero(self.sizes > 1)

    @property
    def values(self) -> Array:
        """The value (N, K) of every factor of every row, from 0."""
        if self._labels is not None:
            return self._labels
        return np.stack(np.unravel_index(np.arange(len(self.codes)), tuple(self.sizes.tolist())), axis=1)

    def draw_factor(self, num: int, rng: np.random.Generator) -> Array:
        """`num` factors, uniform among those that vary.

        Raises:
            InvalidArgumentError: fewer than two factors vary.
        """
        if len(self.varying) < 2:
            raise InvalidArgumentError(f"{len(self.varying)} factors vary; interventions need at least two")
        return rng.choice(self.varying, size=num)

    def draw_values(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Independent uniform factor values of a grid, (*shape, K)."""
        return rng.integers(0, self.sizes, size=(*shape, len(self.sizes)))

    def rows(self, values: Array) -> Array:
        """Row numbers (...) of factor values (..., K) of a grid."""
        return values @ self._strides

    def draw_holding(self, held: Array, batch_size: int, rng: np.random.Generator) -> Array:
        """Rows (V, batch_size): all of vote v share the value that a random row has of factor held[v]."""
        if self._labels is not None:
            return self._draw_rows(held, rng.random(len(held))[:, None], batch_size, rng)
        values, votes = self.draw_values((len(held), batch_size), rng), np.arange(len(held))
        values[votes, :, held] = values[votes, 0, held][:, None]
        return self.rows(values)

    def draw_pairs(self, shared: Array, batch_size: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Rows (V, batch_size) twice: the two of a pair share factor shared[v]."""
        if self._labels is not None:
            place = rng.random((len(shared), batch_size))
            first, second = (self._draw_rows(shared, place, batch_size, rng) for _ in range(2))
            return first, second
        one, other = (self.draw_values((len(shared), batch_size), rng) for _ in range(2))
        votes = np.arange(len(shared))
        other[votes, :, shared] = one[votes, :, shared]
        return self.rows(one), self.rows(other)

    def _draw_rows(self, factors: Array, place: Array, batch_size: int, rng: np.random.Generator) -> Array:
        """Rows (V, batch_size) that share their value of each factor with the rows at `place`, in [0, 1) of the table.

        So values are drawn as often as they occur. Uniform among values, a rare one would make up most of the votes,
        with batches of the same few rows.
        """
        assert self._labels is not None
        drawn = np.empty((len(factors), batch_size), dtype=np.int64)
        for k in np.unique(factors):
            votes = factors == k
            value = self._labels[(place[votes] * len(self.codes)).astype(np.int64), k]
            within = rng.random((int(votes.sum()), batch_size)) * self._counts[k][value]
            start = np.cumsum(self._counts[k]) - self._counts[k]
            drawn[votes] = self._order[start[value] + within.astype(np.int64), k]
        return drawn


def factor_vae_score(
    codes: ArrayLike,
    factors: ArrayLike | Sequence[int],
    *,
    seed: int = 0,
    num_train: int = 10_000,
    num_test: int = 5_000,
    batch_size: int = 64,
    num_variance: int = 10_000,
    min_std: float = 0.05,
) -> float:
    """The FactorVAE score, in [0, 1]; 1 is perfect, one over the number of factors is chance, 0 without a live latent.

    A value is held as often as it occurs, a continuous factor within one of its 20 bins. Constant latents and those
    below `min_std` are ignored, so that the score depends on the codes' scale unless it is 0. Of duplicate latents the
    first takes the votes.

    Args:
        codes: (N, D) mean codes.
        factors: (N, K), or the K sizes of a complete grid; see `FactorTable`. A constant factor is never held.
        seed: of the draws.
        num_train: training votes.
        num_test: test votes.
        batch_size: points per vote.
        num_variance: points for the variances over the data.
        min_std: latents of a smaller standard deviation are ignored.

    Raises:
        InvalidArgumentError: malformed arrays, a count that is too small, or fewer than two factors vary.
    """
    _check_counts(1, num_train=num_train, num_test=num_test)
    _check_counts(2, batch_size=batch_size, num_variance=num_variance)
    table, rng = FactorTable(codes, factors), rng_of(seed)
    sample = table.codes[rng.integers(0, len(table.codes), size=num_variance)]
    variances, active = active_latents(sample, min_std)
    held = table.draw_factor(num_train + num_test, rng)
    if not active.any():
        return 0.0
    latents = np.empty(len(held), dtype=np.int64)
    for start in range(0, len(held), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        latents[part] = least_varying(table.codes[table.draw_holding(held[part], batch_size, rng)], variances, active)
    return score_votes(latents, held, num_train)


def active_latents(codes: Array, min_std: float) -> tuple[Array, Array]:
    """The variances (D,) of codes (N, D), and which latents a vote may pick: of `min_std` or more, and not constant."""
    variances = codes.var(axis=0, ddof=1)
    return variances, (np.sqrt(variances) >= min_std) & (variances > 0) & varying(codes)


def least_varying(batches: ArrayLike, variances: ArrayLike, active: ArrayLike) -> Array:
    """The vote of each batch: the index, among active latents, of the smallest relative variance.

    Args:
        batches: (V, batch_size, D) codes of the points of each vote.
        variances: (D,) over the data.
        active: (D,) booleans.
    """
    mask = np.asarray(active, dtype=bool)
    local = np.asarray(batches)[..., mask].var(axis=1, ddof=1)
    return np.argmin(local / np.asarray(variances)[mask], axis=1)


def score_votes(latents: ArrayLike, held: ArrayLike, num_train: int) -> float:
    """The accuracy on the votes after `num_train` of the majority classifier learned from the first `num_train`.

    Args:
        latents: (V,) the least varying latent of each vote.
        held: (V,) the factor that each vote held.
        num_train: how many votes to learn from.

    Raises:
        InvalidArgumentError: the two differ in length, or no votes are left to learn from or to score.

    >>> score_votes([0, 1, 0, 1, 0, 1], [2, 5, 2, 5, 2, 2], num_train=4)
    0.5
    """
    voted, factors = np.asarray(latents, dtype=np.int64), np.asarray(held, dtype=np.int64)
    if voted.shape != factors.shape or voted.ndim != 1 or not 0 < num_train < len(voted):
        raise InvalidArgumentError(
            f"votes of shapes {voted.shape} and {factors.shape} with num_train {num_train}: give one latent and "
            "one factor per vote, and leave votes to score"
        )
    counts = np.zeros((voted.max() + 1, factors.max() + 1), dtype=np.int64)
    np.add.at(counts, (voted[:num_train], factors[:num_train]), 1)
    return float((counts.argmax(axis=1)[voted[num_train:]] == factors[num_train:]).mean())


def score_recorded_votes(
    codes: ArrayLike, held: ArrayLike, rows: ArrayLike, variances: ArrayLike, active: ArrayLike, num_train: int
) -> float:
    """The score of draws made elsewhere: `held` (V,) factors and `rows` (V, batch_size) of the codes."""
    return score_votes(least_varying(as_codes(codes)[np.asarray(rows)], variances, active), held, num_train)


def beta_vae_score(
    codes: ArrayLike,
    factors: ArrayLike | Sequence[int],
    *,
    seed: int = 0,
    num_train: int = 10_000,
    num_test: int = 5_000,
    batch_size: int = 64,
) -> float:
    """The beta-VAE score, in [0, 1]; chance is one over the number of factors that vary.

    Constant and duplicate latents do not change what can be distinguished. The regression's penalty makes the score
    depend on the codes' scale: little where they deviate by 0.01 or more, and below that it falls to chance.

    Args:
        codes: (N, D) mean codes.
        factors: (N, K), or the K sizes of a complete grid; see `FactorTable`. A constant factor is never shared, a
            continuous one is shared by bin.
        seed: of the draws.
        num_train: training points.
        num_test: test points.
        batch_size: pairs per point.

    Raises:
        InvalidArgumentError: malformed arrays, a count that is too small, or fewer than two factors vary.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    _check_counts(1, num_train=num_train, num_test=num_test, batch_size=batch_size)
    table, rng = FactorTable(codes, factors), rng_of(seed)
    shared = table.draw_factor(num_train + num_test, rng)
    points = []
    for start in range(0, len(shared), _AT_ONCE):
        first, second = table.draw_pairs(shared[start : start + _AT_ONCE], batch_size, rng)
        points.append(np.abs(table.codes[first] - table.codes[second]).mean(axis=1))
    features = np.concatenate(points)
    if (shared[:num_train] == shared[0]).all():
        raise InvalidArgumentError(f"num_train {num_train} drew a single factor to share; use more points")
    classifier = LogisticRegression()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the definition is 100 iterations
        classifier.fit(features[:num_train], shared[:num_train])
    return float(classifier.score(features[num_train:], shared[num_train:]))


def irs(codes: ArrayLike, factors: ArrayLike, *, quantile: float = 0.99, num_bins: int = 20) -> float:
    """The interventional robustness score, in [0, 1]; 1 is perfect, 0 without a live latent.

    For latent j and factor k, the deviation |z_j - E[z_j | v_k]| within each group of constant v_k is summarized by
    its `quantile`, averaged over the groups and divided by the latent's largest deviation from its mean. A latent's
    score is one minus the smallest of these over k; the metric is their mean weighted by the largest deviations.
    The paper takes the maximum, quantile 1. Invariant under a common scale, not under one per latent. Duplicates
    count twice. Independent codes do not score 0, since few points per value show little deviation.

    Args:
        codes: (N, D) mean codes; the literature takes N = 10,000. Constant latents are dropped.
        factors: (N, K); continuous ones are cut into bins.
        quantile: which quantile of the deviations summarizes a group.
        num_bins: factors are merged into so many bins of equal width between their extremes, as published; fewer
            values that are evenly spaced stay apart, and so does text.

    Raises:
        InvalidArgumentError: malformed arrays, no factor varies, or `quantile` outside (0, 1].
    """
    if not 0 < quantile <= 1:
        raise InvalidArgumentError(f"quantile {quantile} is not allowed; use a number in (0, 1]")
    data = check_pair(codes, factors)
    live = data.codes[:, varying(data.codes)]
    if live.shape[1] == 0:
        return 0.0
    largest = np.abs(live - live.mean(axis=0)).max(axis=0)
    groups = np.where(data.unordered, data.labels, discretize(data.labels, num_bins))
    robustness = 1 - _mean_deviations(live, groups, quantile) / largest[:, None]
    return float(np.average(robustness.max(axis=1), weights=largest))


def _mean_deviations(codes: Array, factors: Array, quantile: float) -> Array:
    """The deviation (D, K) of each latent while a factor is held, averaged over the factor's values."""
    deviations = np.zeros((codes.shape[1], factors.shape[1]))
    for k, factor in enumerate(factors.T):
        groups = [codes[factor == value] for value in np.unique(factor)]
        distances = [np.abs(group - group.mean(axis=0)) for group in groups]
        # numpy's versions interpolate single precision differently
        spread = [np.quantile(each.astype(np.float64), quantile, axis=0) for each in distances]
        deviations[:, k] = np.mean(spread, axis=0, dtype=np.float64)
    return deviations


def _check_counts(least: int, **counts: int) -> None:
    for name, count in counts.items():
        if count < least:
            raise InvalidArgumentError(f"{name} {count} is not allowed; use {least} or more")


def _grid_sizes(sizes: Array, num_rows: int) -> Array:
    if len(sizes) == 0 or sizes.dtype.kind not in "iu" or (sizes < 1).any():
        shown = f"{tuple(sizes[:8].tolist())!s:.80}{', ...' * (len(sizes) > 8)}"
        hint = "; give one factor of every row as (N, 1)" * (len(sizes) == num_rows)
        raise InvalidArgumentError(f"factor sizes {shown} must be positive integers{hint}")
    if (combinations := math.prod(sizes.tolist())) != num_rows:
        raise InvalidArgumentError(
            f"codes have {num_rows} rows but factor sizes {tuple(sizes[:8].tolist())!s:.80} make {combinations} "
            "combinations; encode the whole grid, last factor fastest, or give the factors of every row"
        )
    return sizes.astype(np.int64)


def _compact(data: LabeledCodes) -> Any:
    """Labels from 0 without gaps."""
    columns = [np.unique(column, return_inverse=True)[1] for column in data.labels.T]
    return np.stack(columns, axis=1) if columns else np.empty((len(data.codes), 0), dtype=np.int64)
