"""Means, paired differences and correlations of a suite's scores.

A variant is compared with the baseline pair by pair: d_s = score(variant, seed s) - score(baseline, seed s), the
rest of the setting being the same. The report gives their mean, a percentile bootstrap interval of the mean
(Efron 1979) over the pairs, and how many pairs are above and below zero.

With few seeds the interval is too narrow. Of three pairs it is the range from the smallest to the largest
difference, which holds the true median 3 times in 4 (1 - 2 / 2^3), not 95 times in 100; of five pairs the range
does so 94 times in 100. That is why the sign count stands beside it.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.errors import InvalidArgumentError
from vae.suite.records import Record, Setting, settings_in_order

__all__ = ["Difference", "Summary", "bootstrap_interval", "compare", "correlate", "summarise"]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One metric of one setting over its seeds.

    Attributes:
        setting: which.
        metric: the metric's key.
        values: seed -> score, of the seeds that have one.
        num_cells: seeds asked for; the missing ones are `num_cells` - len(values).
    """

    setting: Setting
    metric: str
    values: dict[int, float]
    num_cells: int

    @property
    def mean(self) -> float | None:
        """The mean over the seeds; None without any."""
        return statistics.fmean(self.values.values()) if self.values else None

    @property
    def std(self) -> float | None:
        """The standard deviation of the sample (n - 1); None for fewer than two seeds."""
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A variant minus the baseline in one metric, paired.

    Attributes:
        setting: the labels on all other axes; empty for all settings together.
        variant: the label that is compared with the baseline.
        metric: the metric's key.
        values: (setting, seed) -> difference, of the pairs of which both scores are there.
        num_pairs_asked: pairs that the grid has.
        interval: the bootstrap interval of the mean; None for fewer than two pairs.
    """

    setting: Setting
    variant: str
    metric: str
    values: dict[tuple[Setting, int], float]
    num_pairs_asked: int
    interval: tuple[float, float] | None

    @property
    def mean(self) -> float | None:
        """The mean difference; None without a pair."""
        return statistics.fmean(self.values.values()) if self.values else None

    @property
    def num_higher(self) -> int:
        """Pairs in which the variant scored higher."""
        return sum(value > 0 for value in self.values.values())

    @property
    def num_lower(self) -> int:
        """Pairs in which the variant scored lower."""
        return sum(value < 0 for value in self.values.values())


def summarise(records: Sequence[Record], metric: str) -> list[Summary]:
    """`metric` of every setting, those without any score included."""
    return [
        _summary([record for record in records if record.setting == s], s, metric) for s in settings_in_order(records)
    ]


def compare(
    records: Sequence[Record],
    metric: str,
    *,
    axis: str,
    baseline: str,
    level: float = 0.95,
    num_resamples: int = 10_000,
) -> list[Difference]:
    """Every variant on `axis` minus `baseline`: each setting by itself, then all settings together.

    The interval over all settings resamples the pairs within each setting, as the settings are not a sample.

    Args:
        records: of one suite.
        metric: the metric's key.
        axis: the axis on which the variants lie.
        baseline: the label of the baseline there.
        level: of the intervals.
        num_resamples: of the bootstrap.

    Raises:
        InvalidArgumentError: no such axis, or no such label on it.
    """
    labels = list(dict.fromkeys(record.labels.get(axis, "") for record in records))
    if baseline not in labels:
        raise InvalidArgumentError(f"axis {axis!r} has no label {baseline!r} to compare with; it has {labels}")
    scores = {(record.setting, record.seed): record.score(metric) for record in records}
    found = []
    for variant in labels:
        if variant != baseline:
            pairs = _pairs(records, scores, axis, variant, baseline)
            rests = list(dict.fromkeys(rest for rest, _ in pairs))
            groups = [{key: value for key, value in pairs.items() if key[0] == rest} for rest in rests]
            parts = [(rest, [group]) for rest, group in zip(rests, groups, strict=True)]
            for rest, chosen in parts + ([((), groups)] if len(groups) > 1 else []):
                found.append(_difference(rest, variant, metric, chosen, level, num_resamples))
    return found


def bootstrap_interval(
    groups: Sequence[Sequence[float]], *, level: float = 0.95, num_resamples: int = 10_000, seed: int = 0
) -> tuple[float, float] | None:
    """The percentile interval of the mean of all values, each group resampled within itself.

    None where no group has two values. The same values give the same interval.

    >>> bootstrap_interval([[0.1, 0.2, 0.3]])
    (0.1, 0.3)
    """
    arrays = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    if not any(len(array) > 1 for array in arrays):
        return None
    rng = np.random.default_rng(seed)
    totals = np.zeros(num_resamples)
    for array in arrays:
        totals += array[rng.integers(0, len(array), size=(num_resamples, len(array)))].sum(axis=1)
    means = totals / sum(len(array) for array in arrays)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return round(float(low), 12), round(float(high), 12)


def correlate(records: Sequence[Record], metrics: Sequence[str]) -> NDArray[np.float64]:
    """Spearman's rank correlation of the metrics over the finished cells: (M, M), NaN where it is not defined.

    A pair of metrics is compared on the cells that have both, at least three.
    """
    from scipy.stats import rankdata

    table = np.array(
        [[np.nan if (score := record.score(m)) is None else score for m in metrics] for record in records]
    ).reshape(len(records), len(metrics))
    correlations = np.full((len(metrics), len(metrics)), np.nan)
    for i in range(len(metrics)):
        for j in range(len(metrics)):
            both = ~np.isnan(table[:, [i, j]]).any(axis=1)
            a, b = (rankdata(table[both, k]) for k in (i, j))
            if both.sum() >= 3 and a.std() > 0 and b.std() > 0:
                correlations[i, j] = np.corrcoef(a, b)[0, 1]
    return correlations


def _summary(cells: Sequence[Record], setting: Setting, metric: str) -> Summary:
    scores = {record.seed: record.score(metric) for record in cells}
    values = {seed: score for seed, score in scores.items() if score is not None}
    return Summary(setting=setting, metric=metric, values=values, num_cells=len(cells))


def _pairs(
    records: Sequence[Record],
    scores: dict[tuple[Setting, int], float | None],
    axis: str,
    variant: str,
    baseline: str,
) -> dict[tuple[Setting, int], float | None]:
    """(rest of the setting, seed) -> difference, None where one of both scores is missing."""
    pairs: dict[tuple[Setting, int], float | None] = {}
    for record in records:
        if record.labels[axis] == variant:
            partner = tuple({**record.labels, axis: baseline}.items())
            rest = tuple((name, label) for name, label in record.setting if name != axis)
            one, other = scores[record.setting, record.seed], scores.get((partner, record.seed))
            pairs[rest, record.seed] = None if one is None or other is None else one - other
    return pairs


def _difference(
    rest: Setting,
    variant: str,
    metric: str,
    groups: Sequence[dict[tuple[Setting, int], float | None]],
    level: float,
    num_resamples: int,
) -> Difference:
    known = [{key: value for key, value in group.items() if value is not None} for group in groups]
    return Difference(
        setting=rest,
        variant=variant,
        metric=metric,
        values={key: value for group in known for key, value in group.items()},
        num_pairs_asked=sum(len(group) for group in groups),
        interval=bootstrap_interval([list(g.values()) for g in known], level=level, num_resamples=num_resamples),
    )
