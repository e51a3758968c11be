"""Means, paired differences and correlations of a suite's scores.

A variant is compared with the baseline pair by pair: d_s = score(variant, seed s) - score(baseline, seed s), the rest
of the setting being equal. The report gives their mean, a percentile bootstrap interval of the mean (Efron 1979) over
the pairs, and how many pairs are above and below zero.

With few seeds the interval is too narrow: of three pairs it would be the range from the smallest to the largest
difference, which covers the true median 3 times in 4 (1 - 2 / 2^3), not 95 times in 100. Fewer than five pairs have no
interval. `vae.suite.significance` tests the differences.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.paired import MIN_PAIRS
from vae.suite.results import CellResult, Setting, settings_in_order

__all__ = ["Difference", "Summary", "bootstrap_interval", "compare", "correlate", "summarize"]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One metric of one setting over its seeds.

    Attributes:
        setting: the setting.
        metric: key of the metric.
        values: seed -> score, for the seeds that have one.
        num_cells: number of requested seeds; `num_cells` - len(values) are missing.
    """

    setting: Setting
    metric: str
    values: dict[int, float]
    num_cells: int

    @property
    def mean(self) -> float | None:
        """Mean over the seeds; None without any."""
        return statistics.fmean(self.values.values()) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation (n - 1); None for fewer than two seeds."""
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Paired differences between a variant and the baseline in one metric.

    Attributes:
        setting: the labels on all other axes; empty for all settings together.
        variant: the label that is compared with the baseline.
        metric: key of the metric.
        values: (setting, seed) -> difference, for the pairs that have both scores.
        num_pairs_requested: number of pairs in the grid.
        interval: bootstrap interval of the mean; None for fewer than five pairs.
    """

    setting: Setting
    variant: str
    metric: str
    values: dict[tuple[Setting, int], float]
    num_pairs_requested: int
    interval: tuple[float, float] | None

    @property
    def mean(self) -> float | None:
        """Mean difference; None without a pair."""
        return statistics.fmean(self.values.values()) if self.values else None

    @property
    def num_higher(self) -> int:
        """Number of pairs in which the variant scored higher."""
        return sum(value > 0 for value in self.values.values())

    @property
    def num_lower(self) -> int:
        """Number of pairs in which the variant scored lower."""
        return sum(value < 0 for value in self.values.values())


def summarize(records: Sequence[CellResult], metric: str) -> list[Summary]:
    """Summarize `metric` for every setting, including settings without a score."""
    return [
        _summary([record for record in records if record.setting == s], s, metric) for s in settings_in_order(records)
    ]


def compare(
    records: Sequence[CellResult],
    metric: str,
    *,
    axis: str,
    baseline: str,
    level: float = 0.95,
    num_resamples: int = 10_000,
) -> list[Difference]:
    """Compare every variant on `axis` with `baseline`: for each setting, then for all settings together.

    The interval over all settings resamples the pairs within each setting, because the settings are not a sample.

    Args:
        records: results of one suite.
        metric: key of the metric.
        axis: axis of the variants.
        baseline: label of the baseline on it.
        level: confidence level of the intervals.
        num_resamples: number of bootstrap resamples.

    Raises:
        InvalidArgumentError: the axis or its label does not exist.
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
    """Return the percentile interval of the mean of all values, each group being resampled separately.

    None if no group has two values. The same values give the same interval.

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


def correlate(records: Sequence[CellResult], metrics: Sequence[str]) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of the metrics over the finished cells: (M, M), NaN where it is undefined.

    Two metrics are compared on the cells that have both, at least three.
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


def _summary(cells: Sequence[CellResult], setting: Setting, metric: str) -> Summary:
    scores = {record.seed: record.score(metric) for record in cells}
    values = {seed: score for seed, score in scores.items() if score is not None}
    return Summary(setting=setting, metric=metric, values=values, num_cells=len(cells))


def _pairs(
    records: Sequence[CellResult],
    scores: dict[tuple[Setting, int], float | None],
    axis: str,
    variant: str,
    baseline: str,
) -> dict[tuple[Setting, int], float | None]:
    """Return (rest of the setting, seed) -> difference, None if a score is missing."""
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
    enough = sum(map(len, known)) >= MIN_PAIRS
    values = [list(group.values()) for group in known] if enough else []
    return Difference(
        setting=rest,
        variant=variant,
        metric=metric,
        values={key: value for group in known for key, value in group.items()},
        num_pairs_requested=sum(len(group) for group in groups),
        interval=bootstrap_interval(values, level=level, num_resamples=num_resamples),
    )
