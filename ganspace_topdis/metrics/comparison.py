"""Two representations of the same examples compared by every metric, with intervals over the examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.evaluation import NUM_TEST, NUM_TRAIN, evaluate
from ganspace_topdis.metrics.groups import metric_groups
from ganspace_topdis.metrics.inputs import as_array

__all__ = ["Compared", "compare"]


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
    held-out accuracy would take for information. The interval is the full difference, plus the 2.5 and 97.5 %
    quantiles of the halves' deviations from their mean.

    Args:
        codes_a: (N, D).
        codes_b: (N, E), row by row of the same examples.
        factors: (N, K).
        metrics: names of groups; all that do not learn by default.
        num_resamples: halves; at least 10.
        seed: of every draw.
        progress: called with the number of samples done and to do.

    Raises:
        InvalidArgumentError: malformed arrays, another number of rows, or a group is unknown or undefined.
    """
    first, second, values = as_array(codes_a), as_array(codes_b), as_array(factors)
    if len(first) != len(second):
        raise InvalidArgumentError(f"{len(first)} and {len(second)} codes; compare codes of the same examples")
    if num_resamples < 10:
        raise InvalidArgumentError(f"num_resamples {num_resamples} is not allowed; use 10 or more")
    names = [group.name for group in metric_groups(metrics, learns=False)]
    rng = np.random.default_rng(seed)
    kept = rng.permutation(len(first))[: NUM_TRAIN + NUM_TEST]
    halves = [kept, *(rng.permutation(kept)[: len(kept) // 2] for _ in range(num_resamples))]
    rows: list[list[dict[str, float]]] = []
    for number, half in enumerate(halves):
        pair = [evaluate(codes[half], values[half], metrics=names, seed=seed) for codes in (first, second)]
        rows.append(pair)
        if progress is not None:
            progress(number + 1, len(halves))
    compared = []
    for key in rows[0][0]:
        drawn = np.array([pair[1][key] - pair[0][key] for pair in rows[1:]])
        low, high = np.quantile(drawn - drawn.mean(), [0.025, 0.975]) + rows[0][1][key] - rows[0][0][key]
        compared.append(Compared(key, rows[0][0][key], rows[0][1][key], float(low), float(high)))
    return compared
