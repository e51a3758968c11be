"""The verdict on one list of paired differences, from the statistics of `ganspace_topdis.evaluation.paired`.

It follows from the corrected p value alone: "better" or "worse" below 0.05, otherwise "no difference larger than d", d
being the end of the interval that is farther from zero. The interval is not corrected, so it may exclude zero all the
same; then the sentence is "no significant difference after correction, and none larger than d".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ganspace_topdis.evaluation.paired import (
    MIN_PAIRS,
    effect_size,
    effect_size_interval,
    holm,
    mean_interval,
    sign_flip_test,
)
from vae.evaluation.metrics import METRICS
from vae.suite.statistics import Difference

__all__ = ["LOWER_IS_BETTER", "Verdict", "verdicts"]

LOWER_IS_BETTER = tuple(metric.key for metric in METRICS if metric.higher_is_better is False)
Outcome = Literal["better", "worse", "no difference", "too few pairs"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Conclusion from the pairs about one metric of one variant.

    Attributes:
        variant: label of the variant.
        metric: key of the metric.
        num_pairs: number of pairs with both scores.
        mean: mean difference; None without a pair.
        interval: see `mean_interval`.
        effect: see `effect_size`.
        effect_interval: see `effect_size_interval`.
        p: p value of the sign-flip test; None without a pair.
        corrected_p: Holm's correction over the metrics of the variant.
        outcome: see the module; "too few pairs" for fewer than five.
    """

    variant: str
    metric: str
    num_pairs: int
    mean: float | None
    interval: tuple[float, float] | None
    effect: float | None
    effect_interval: tuple[float, float] | None
    p: float | None
    corrected_p: float | None
    outcome: Outcome

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero; False without an interval."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    def sentence(self, *, baseline: str, name: str | None = None) -> str:
        """Return the verdict in one sentence; `name` is the metric's name for readers."""
        name = name or self.metric
        if self.interval is None or self.mean is None:
            return f"{name}: {self.num_pairs} pairs of {self.variant} and {baseline} are too few for a verdict."
        low, high = self.interval
        if low == high == 0:
            return f"{name}: {self.variant} and {baseline} are equal in all {self.num_pairs} pairs."
        facts = f"95 % interval {low:+.3g} to {high:+.3g}, corrected p = {self.corrected_p:.2g}, {self.num_pairs} pairs"
        if self.outcome == "no difference":
            both, largest = f"between {self.variant} and {baseline}", f"larger than {max(abs(low), abs(high)):.3g}"
            if self.excludes_zero:
                return f"{name}: no significant difference {both} after correction, and none {largest} ({facts})."
            return f"{name}: no difference {both} {largest} ({facts})."
        return f"{name}: {self.variant} is {self.outcome} than {baseline} by {abs(self.mean):.3g} ({facts})."

    def as_dict(self) -> dict[str, Any]:
        """Return a flat, JSON-able copy, one row of a table."""
        low, high = self.interval or (None, None)
        effect_low, effect_high = self.effect_interval or (None, None)
        return {
            "variant": self.variant,
            "metric": self.metric,
            "pairs": self.num_pairs,
            "mean": self.mean,
            "low": low,
            "high": high,
            "effect": self.effect,
            "effect_low": effect_low,
            "effect_high": effect_high,
            "p": self.p,
            "corrected_p": self.corrected_p,
            "outcome": self.outcome,
        }


def verdicts(differences: Sequence[Difference], *, lower_is_better: Sequence[str] = LOWER_IS_BETTER) -> list[Verdict]:
    """Test each difference at the level 0.05, correcting over the metrics of each variant and setting.

    Args:
        differences: from `vae.suite.statistics.compare`, of all metrics that are tested together.
        lower_is_better: metrics whose decrease is an improvement.
    """
    p_values = [sign_flip_test(list(d.values.values())) if d.values else None for d in differences]
    corrected: dict[int, float] = {}
    for family in dict.fromkeys((d.variant, d.setting) for d in differences):
        rows = [i for i, d in enumerate(differences) if (d.variant, d.setting) == family and p_values[i] is not None]
        corrected |= dict(zip(rows, holm([p for i in rows if (p := p_values[i]) is not None]), strict=True))
    return [
        _verdict(d, p_values[i], corrected.get(i), lower_is_better=d.metric in lower_is_better)
        for i, d in enumerate(differences)
    ]


def _verdict(difference: Difference, p: float | None, corrected: float | None, *, lower_is_better: bool) -> Verdict:
    values = list(difference.values.values())
    return Verdict(
        variant=difference.variant,
        metric=difference.metric,
        num_pairs=len(values),
        mean=difference.mean,
        interval=mean_interval(values),
        effect=effect_size(values),
        effect_interval=effect_size_interval(values),
        p=p,
        corrected_p=corrected,
        outcome=_outcome(len(values), difference.mean, corrected, lower_is_better=lower_is_better),
    )


def _outcome(num_pairs: int, mean: float | None, p: float | None, *, lower_is_better: bool) -> Outcome:
    if num_pairs < MIN_PAIRS or mean is None or p is None:
        return "too few pairs"
    if p >= 0.05:
        return "no difference"
    return "better" if (mean > 0) != lower_is_better else "worse"
