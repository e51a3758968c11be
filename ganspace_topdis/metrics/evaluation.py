"""All metrics of one representation: a dictionary of scores, and what each costs.

    evaluate(codes, factors)                    {"mig": 0.31, "dci_disentanglement": 0.42, ...}
    measure(codes, factors)                     the same with seconds, and why a metric is undefined
    DisentanglementMetrics(), update, compute   for codes that arrive in batches

Closed forms use at most 10,000 rows, as the literature does. Metrics that learn use a test set, or hold out a third of
15,000 rows. The FactorVAE and beta-VAE scores draw their batches from all rows.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.groups import MetricGroup, Sample, metric_groups
from ganspace_topdis.metrics.inputs import Array, as_array, rng_of

__all__ = [
    "NUM_TEST",
    "NUM_TRAIN",
    "Compared",
    "DisentanglementMetrics",
    "Measured",
    "Report",
    "compare",
    "evaluate",
    "measure",
]


NUM_TRAIN, NUM_TEST = 10_000, 5_000
_ROWS_OF = {False: NUM_TRAIN, True: NUM_TRAIN + NUM_TEST}
"""Rows that a group is estimated from, by whether it learns."""


@dataclass(frozen=True)
class Measured:
    """The result of one group.

    Attributes:
        group: its name.
        scores: by key; empty where the group is undefined for the data.
        seconds: its cost.
        problem: the reason why it is undefined, else None.
    """

    group: str
    scores: dict[str, float]
    seconds: float
    problem: str | None = None


def evaluate(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """The scores of a representation, by key.

    Args:
        codes: (N, D) mean codes.
        factors: (N, K).
        codes_test: (M, D), for metrics that learn. A third of `codes` by default.
        factors_test: (M, K).
        metrics: names of groups (see `METRICS`); all by default, without those that are undefined for the data
            (DCI of one latent, for instance).
        seed: of every draw.

    Raises:
        InvalidArgumentError: malformed arrays, an unknown name, or a group requested by name is undefined.

    >>> grid = np.array([[i, j] for i in range(4) for j in range(4)])
    >>> evaluate(grid.astype(float), grid, metrics=["mig", "mcc"])["mcc_spearman"]
    1.0
    """
    return _scores(measure(codes, factors, codes_test, factors_test, metrics=metrics, seed=seed), metrics is not None)


def _scores(measured: Iterable[Measured], strict: bool) -> dict[str, float]:
    """All scores; with `strict`, undefined groups are refused rather than left out."""
    scores: dict[str, float] = {}
    for each in measured:
        if strict and each.problem is not None:
            raise InvalidArgumentError(f"{each.group}: {each.problem}")
        scores |= each.scores
    return scores


def measure(
    codes: ArrayLike,
    factors: ArrayLike,
    codes_test: ArrayLike | None = None,
    factors_test: ArrayLike | None = None,
    *,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
) -> Iterator[Measured]:
    """Yield the result of each group as soon as it is known; arguments and errors are those of `evaluate`."""
    groups = metric_groups(metrics)
    sample = _sample(codes, factors, codes_test, factors_test, seed)
    for group in groups:
        start = time.perf_counter()
        try:
            scores, problem = group.run(sample), None
        except InvalidArgumentError as error:
            scores, problem = {}, str(error)
        wrong = [key for key, value in scores.items() if not np.isfinite(value)]
        assert not wrong, f"{wrong} came out as NaN or infinity"
        yield Measured(group.name, scores, time.perf_counter() - start, problem)


class DisentanglementMetrics:
    """Scores of codes that arrive in batches, in a training or evaluation loop.

        metrics = DisentanglementMetrics(metrics=["mig", "dci"])
        for images, factors in batches:
            metrics.update(encode(images), factors)
        scores = metrics.compute()

    Keeps a uniform random sample of at most `max_rows` rows over all batches.

    Args:
        metrics: names of groups, as `evaluate`'s.
        max_rows: rows that are kept.
        seed: of every draw.

    Raises:
        InvalidArgumentError: an unknown name, or fewer than two rows.
    """

    def __init__(
        self, metrics: Sequence[str] | None = None, *, max_rows: int = NUM_TRAIN + NUM_TEST, seed: int = 0
    ) -> None:
        if max_rows < 2:
            raise InvalidArgumentError(f"max_rows {max_rows} is not allowed; keep 2 or more")
        metric_groups(metrics)
        self._metrics, self._max_rows, self._seed = metrics, max_rows, seed
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self._rng = np.random.default_rng(self._seed)
        self._codes: Any = None
        self._factors: Any = None
        self._keys: Any = np.empty(0)

    def update(self, codes: ArrayLike, factors: ArrayLike) -> None:
        """Add a batch of codes (n, D) and factors (n, K).

        Raises:
            InvalidArgumentError: the two differ in rows, or in columns from the batches before.
        """
        new_codes, new_factors = as_array(codes), as_array(factors)
        if new_codes.ndim != 2 or new_factors.ndim != 2 or len(new_codes) != len(new_factors):
            raise InvalidArgumentError(
                f"a batch of codes {new_codes.shape} and factors {new_factors.shape}; give (n, D) and (n, K)"
            )
        if self._codes is None:
            self._codes, self._factors = new_codes[:0], new_factors[:0]
        if new_codes.shape[1] != self._codes.shape[1] or new_factors.shape[1] != self._factors.shape[1]:
            raise InvalidArgumentError("a batch has other columns than those before; call reset for another model")
        keys = np.concatenate([self._keys, self._rng.random(len(new_codes))])
        kept = np.sort(np.argsort(keys, kind="stable")[: self._max_rows])
        self._keys = keys[kept]
        self._codes = np.concatenate([self._codes, new_codes])[kept]
        self._factors = np.concatenate([self._factors, new_factors])[kept]

    def compute(self) -> dict[str, float]:
        """The scores of the rows so far, as `evaluate`.

        Raises:
            InvalidArgumentError: no rows yet, or as `evaluate`.
        """
        if self._codes is None:
            raise InvalidArgumentError("no codes yet; call update with a batch first")
        return evaluate(self._codes, self._factors, metrics=self._metrics, seed=self._seed)


def _sample(
    codes: ArrayLike, factors: ArrayLike, codes_test: ArrayLike | None, factors_test: ArrayLike | None, seed: int
) -> Sample:
    everything = _as_pair(codes, factors)
    rng = rng_of(seed)
    order = rng.permutation(len(everything[0])) if len(everything[0]) > NUM_TRAIN else np.arange(len(everything[0]))
    closed = tuple(each[order[:NUM_TRAIN]] for each in everything)
    if codes_test is None and factors_test is None:
        split = tuple(each[order[: NUM_TRAIN + NUM_TEST]] for each in everything)
    elif codes_test is None or factors_test is None:
        raise InvalidArgumentError("codes_test and factors_test belong together; give both or neither")
    else:
        held = _as_pair(codes_test, factors_test, "_test")
        chosen = rng.permutation(len(held[0]))[:NUM_TEST] if len(held[0]) > NUM_TEST else np.arange(len(held[0]))
        split = (*closed, *(each[chosen] for each in held))
    return Sample(closed[0], closed[1], split, everything, seed)


def _as_pair(codes: ArrayLike, factors: ArrayLike, suffix: str = "") -> tuple[Array, Array]:
    first, second = as_array(codes), as_array(factors)
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second):
        raise InvalidArgumentError(
            f"codes{suffix} {first.shape} and factors{suffix} {second.shape}; give (N, D) and (N, K)"
        )
    return first, second


@dataclass(frozen=True)
class Report:
    """The scores of the codes in a file.

    Attributes:
        codes: file of the codes.
        factors: file of the factors.
        num_points: rows of the codes.
        measured: scores, cost and problem of each group.
        seconds: total time.
        names: of the factors, from the header of a table, else their numbers.
    """

    codes: str
    factors: str
    num_points: int
    measured: tuple[Measured, ...]
    seconds: float
    names: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "codes": self.codes,
            "factors": self.factors,
            "num_points": self.num_points,
            "scores": {key: value for each in self.measured for key, value in each.scores.items()},
            "seconds": {each.group: round(each.seconds, 3) for each in self.measured},
            "total_seconds": round(self.seconds, 3),
            "undefined": {each.group: each.problem for each in self.measured if each.problem is not None},
        }


@dataclass(frozen=True)
class Compared:
    """One score of two representations of the same examples.

    Attributes:
        key: of the score.
        first: the score of the first.
        second: the score of the second.
        low: lower end of the 95 % interval of second minus first.
        high: upper end.
    """

    key: str
    first: float
    second: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def compare(
    codes_a: ArrayLike,
    codes_b: ArrayLike,
    factors: ArrayLike,
    *,
    metrics: Sequence[str] | None = None,
    num_resamples: int = 50,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Compared]:
    """The scores of two representations of the same examples, with intervals of their difference over examples.

    Resamples are random halves without repetition, the same rows for both. A half has the sampling variance that a
    bootstrap sample has (Efron 1982, section 8.3), and none of its repeated rows, which nearest neighbors and
    held-out accuracy would take for information. They are halves of the rows that the scores are estimated from. The
    interval is the full difference, plus the 2.5 and 97.5 % quantiles of the halves' deviations from their mean.

    Args:
        codes_a: (N, D).
        codes_b: (N, E), row by row of the same examples.
        factors: (N, K).
        metrics: names of groups; by default all that do not learn, without those that are undefined for the data.
        num_resamples: halves; at least 10.
        seed: of every draw.
        progress: called with the number of samples done and to do.

    Raises:
        InvalidArgumentError: malformed arrays, another number of rows, a group is unknown, a group requested by name
            is undefined, or all are.
    """
    first, second, values = as_array(codes_a), as_array(codes_b), as_array(factors)
    if len(first) != len(second):
        raise InvalidArgumentError(f"{len(first)} and {len(second)} codes; compare codes of the same examples")
    if len(values) != len(first):
        raise InvalidArgumentError(f"{len(first)} codes but {len(values)} rows of factors; give one row per example")
    if num_resamples < 10:
        raise InvalidArgumentError(f"num_resamples {num_resamples} is not allowed; use 10 or more")
    parts = _halves(metric_groups(metrics, learns=False), len(first), num_resamples, rng_of(seed))
    rows: list[tuple[dict[str, float], dict[str, float]]] = [({}, {}) for _ in range(num_resamples + 1)]
    problems: list[str] = []
    for done, (number, names, half) in enumerate(parts, start=1):
        for codes, scores in zip((first, second), rows[number], strict=True):
            measured = list(measure(codes[half], values[half], metrics=names, seed=seed))
            scores |= _scores(measured, metrics is not None)
            problems.extend(each.problem for each in measured if each.problem is not None)
        if progress is not None:
            progress(done, len(parts))
    compared = []
    common = set.intersection(*(set(scores) for pair in rows for scores in pair))
    if not common:
        raise InvalidArgumentError(f"no metric is defined: {problems[0]}")
    for key in (key for key in rows[0][0] if key in common):
        drawn = np.array([pair[1][key] - pair[0][key] for pair in rows[1:]])
        low, high = np.quantile(drawn - drawn.mean(), [0.025, 0.975]) + rows[0][1][key] - rows[0][0][key]
        compared.append(Compared(key, rows[0][0][key], rows[0][1][key], float(low), float(high)))
    return compared


def _halves(
    groups: Iterable[MetricGroup], num_rows: int, num_resamples: int, rng: np.random.Generator
) -> list[tuple[int, list[str], Array]]:
    """The rows that each sample takes, and the groups that it is for: sample 0 takes all that a group is given."""
    order, parts = rng.permutation(num_rows), []
    for learns, limit in _ROWS_OF.items():
        if names := [group.name for group in groups if group.learns == learns]:
            kept = order[:limit]
            samples = [kept, *(rng.permutation(kept)[: len(kept) // 2] for _ in range(num_resamples))]
            parts += [(number, names, rows) for number, rows in enumerate(samples)]
    return parts
