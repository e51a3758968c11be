"""Which metrics of a suite are tested against the baseline, and the verdicts as text, table and CSV.

The metrics that are tested together are the headline metrics. Of each setting and variant, and of each variant over all
settings, their p values are corrected together (see `vae.suite.significance`). All other metrics are shown untested:
correcting for thirty of them would leave no power.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ganspace_topdis.evaluation.paired import MIN_PAIRS, least_pairs
from ganspace_topdis.report.table import Table, to_csv
from vae.evaluation.metrics import METRICS, metric_name
from vae.suite.results import SuiteResults
from vae.suite.significance import Verdict, verdicts
from vae.suite.statistics import Difference, compare
from vae.suite.tables import difference_sentence, format_score, format_signed, setting_name, shown_metrics

__all__ = ["PairedVerdict", "headline_metrics", "suite_verdicts", "verdict_table", "verdict_text", "verdicts_csv"]

_HEADLINES = ("mig", "factor_vae", "dci_disentanglement", "sap")
_UNDIRECTED = tuple(metric.key for metric in METRICS if metric.higher_is_better is None)
_NUM_OTHERS = 3
_COLUMNS = (
    "setting",
    "variant",
    "metric",
    "pairs",
    "mean",
    "low",
    "high",
    "effect",
    "effect_low",
    "effect_high",
    "p",
    "corrected_p",
    "outcome",
)


@dataclass(frozen=True, kw_only=True)
class PairedVerdict:
    """Paired differences and their verdict."""

    difference: Difference
    verdict: Verdict

    def on_axes(self, axes: Sequence[str]) -> "PairedVerdict":
        """Return the same with the labels of its setting on `axes` only."""
        setting = tuple((axis, label) for axis, label in self.difference.setting if axis in axes)
        return replace(self, difference=replace(self.difference, setting=setting))


def headline_metrics(results: SuiteResults) -> list[str]:
    """Return the headline metrics that have scores; without any, the first three that have a better direction."""
    shown = [metric for metric in shown_metrics(results.records) if metric not in _UNDIRECTED]
    return [metric for metric in _HEADLINES if metric in shown] or shown[:_NUM_OTHERS]


def suite_verdicts(results: SuiteResults) -> list[PairedVerdict]:
    """Test the headline metrics of every setting and variant, then of all settings; empty if nothing is compared."""
    if results.axis is None:
        return []
    axis, baseline = results.axis, results.baseline
    metrics = headline_metrics(results)
    found = [each for metric in metrics for each in compare(results.records, metric, axis=axis, baseline=baseline)]
    pairs = zip(found, verdicts(found), strict=True)
    return [PairedVerdict(difference=difference, verdict=verdict) for difference, verdict in pairs]


def verdict_text(tested: Sequence[PairedVerdict], baseline: str) -> str:
    """Return a line per metric and variant, over all settings; with too few pairs, the mean difference."""
    sentences, few = [], False
    for each in _overall(tested):
        if each.verdict.outcome == "too few pairs":
            few = True
            sentences.append(difference_sentence(each.difference, baseline))
        else:
            sentences.append(each.verdict.sentence(baseline=baseline, name=metric_name(each.verdict.metric)))
    return "\n".join([*sentences, *([f"A verdict needs {MIN_PAIRS} pairs."] if few else [])])


def verdict_table(tested: Sequence[PairedVerdict], baseline: str) -> Table | None:
    """Return one row per setting, variant and metric; None without any."""
    if not tested:
        return None
    num_metrics = len({each.verdict.metric for each in tested})
    return Table(
        title=f"Verdicts against {baseline}",
        header=("metric", "setting", "variant", "verdict", "95 % interval", "effect size", "p (corrected)", "pairs"),
        rows=tuple(_row(each) for each in tested),
        note="Sign-flip test of the paired differences (two-sided), with Holm's correction over these metrics of "
        "a setting and variant. Interval: Student's, of the mean difference. Effect size: mean over standard deviation "
        f"of the differences, with its interval. Fewer than {MIN_PAIRS} pairs have no interval and no verdict; "
        f"{least_pairs(num_metrics)} pairs are the least with which one of {num_metrics} corrected p values can fall "
        "below 0.05. With more than 40 pairs, p is estimated from random sign patterns.",
        num_labels=3,
    )


def verdicts_csv(tested: Sequence[PairedVerdict]) -> str:
    """Return one row per setting, variant and metric, with all numbers."""
    rows = [{"setting": setting_name(each.difference.setting), **each.verdict.as_dict()} for each in tested]
    return to_csv(_COLUMNS, [tuple(row[name] for name in _COLUMNS) for row in rows])


def _overall(tested: Sequence[PairedVerdict]) -> list[PairedVerdict]:
    """Return the comparisons over all settings; of a variant and metric with a single setting, that one."""
    last = {(each.verdict.metric, each.verdict.variant): each for each in tested if each.difference.values}
    return list(last.values())


def _row(each: PairedVerdict) -> tuple[str, ...]:
    verdict = each.verdict
    return (
        metric_name(verdict.metric),
        setting_name(each.difference.setting),
        verdict.variant,
        _outcome(verdict),
        _span(verdict.interval),
        _effect(verdict),
        "—" if verdict.p is None else f"{verdict.p:.2g} ({verdict.corrected_p:.2g})",
        f"{verdict.num_pairs} of {each.difference.num_pairs_requested}",
    )


def _outcome(verdict: Verdict) -> str:
    if verdict.interval is None or verdict.mean is None:
        return "too few pairs"
    if verdict.interval == (0, 0):
        return "equal in all pairs"
    if verdict.outcome == "no difference":
        none = "no significant difference, none" if verdict.excludes_zero else "no difference"
        return f"{none} larger than {format_score(max(map(abs, verdict.interval)))}"
    return f"{verdict.outcome} by {format_score(abs(verdict.mean))}"


def _span(interval: tuple[float, float] | None) -> str:
    return "—" if interval is None else f"{format_signed(interval[0])} to {format_signed(interval[1])}"


def _effect(verdict: Verdict) -> str:
    if verdict.effect is None or verdict.effect_interval is None:
        return format_signed(verdict.effect)
    return f"{format_signed(verdict.effect)} ({_span(verdict.effect_interval)})"
