"""The tables of a report.

overview        one row per setting, one column per metric: mean ± standard deviation
metric tables   mean, standard deviation, number of seeds, beside the published value
differences     variant - baseline, paired by seed: mean, interval, signs
cells           how each cell ended
cost            time and device per setting

Published values come from the tables for dSprites in "Disentanglement Learning via Topology" (TopDis; Balabin et al.,
ICML 2024; 1,000,000 steps, 10 latents, disentanglement_lib's metrics). They were taken from notes on the paper, mostly
not verified against the printed pages, and are therefore marked as unverified everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.paired import MIN_PAIRS
from ganspace_topdis.report.table import Table
from ganspace_topdis.runs.progress import format_duration
from vae.evaluation.metrics import METRICS, metric_name
from vae.settings import TrainSettings
from vae.suite.results import CellResult, Setting, SuiteResults, axes_of, metrics_of, settings_in_order
from vae.suite.statistics import Difference, Summary, compare, summarize

__all__ = [
    "PUBLISHED",
    "Published",
    "against_table",
    "cell_table",
    "cost_table",
    "difference_sentence",
    "difference_table",
    "format_score",
    "format_signed",
    "listed",
    "metric_table",
    "overview_table",
    "published_for",
    "setting_name",
    "shown_metrics",
]

_MINUS = "−"


def shown_metrics(records: Sequence[CellResult]) -> list[str]:
    """Return the metrics that have scores, in the order of `METRICS`, unknown ones last."""
    found = metrics_of(records)
    known = [metric.key for metric in METRICS]
    return sorted(found, key=lambda key: known.index(key) if key in known else len(known))


def setting_name(setting: Setting) -> str:
    """Return a setting in words; an empty one means all settings together.

    >>> setting_name((("method", "beta-VAE"), ("variant", "TopDis")))
    'beta-VAE, TopDis'
    """
    return ", ".join(label for _, label in setting) or "all settings"


def listed(names: Sequence[str], *, most: int) -> str:
    """Return the first `most` names, and how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    'a; b; and 1 more'
    """
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return "; ".join([*names[:most], *more])


def overview_table(results: SuiteResults) -> Table:
    """One row per setting, one column per metric."""
    metrics = shown_metrics(results.records)
    columns = [{s.setting: s for s in summarize(results.records, metric)} for metric in metrics]
    rows = [
        (*(label for _, label in setting), _seeds(columns, setting), *(_spread(column[setting]) for column in columns))
        for setting in settings_in_order(results.records)
    ]
    axes = axes_of(results.records)
    return Table(
        title="All metrics",
        header=(*axes, "seeds", *(metric_name(metric) for metric in metrics)),
        rows=tuple(rows),
        note="Mean ± standard deviation over the seeds (n - 1). A number in parentheses counts the scored seeds, if "
        "some lack it. A dash means no score.",
        num_labels=len(axes),
    )


def metric_table(results: SuiteResults, metric: str) -> Table:
    """Mean, standard deviation and number of seeds of one metric, beside the published value."""
    axes = axes_of(results.records)
    rows = []
    for summary in summarize(results.records, metric):
        settings = next(record.settings for record in results.records if record.setting == summary.setting)
        row = published_for(settings)
        published = None if row is None else row.scores.get(metric)
        paper = "—" if row is None or published is None else f"{published:.3f} ({row.source})"
        labels = (label for _, label in summary.setting)
        seeds = f"{len(summary.values)} of {summary.num_cells}"
        rows.append((*labels, format_score(summary.mean, metric), format_score(summary.std, metric), seeds, paper))
    with_paper = any(row[-1] != "—" for row in rows)
    header = (*axes, "mean", "std", "seeds", "paper")
    return Table(
        title=metric_name(metric),
        header=header if with_paper else header[:-1],
        rows=tuple(row if with_paper else row[:-1] for row in rows),
        note="The paper's values come from other seeds, another number of steps and the whole data set, of which a "
        "suite may take a reduced version, and were not verified here."
        if with_paper
        else "",
        num_labels=len(axes),
    )


def difference_table(results: SuiteResults, metric: str) -> Table | None:
    """Paired differences in one metric; None if the suite compares nothing."""
    if results.axis is None:
        return None
    found = compare(results.records, metric, axis=results.axis, baseline=results.baseline)
    rows = tuple((setting_name(d.setting), d.variant, *_difference_texts(d)) for d in found)
    return Table(
        title=f"{metric_name(metric)}: {results.axis} {_MINUS} {results.baseline}, paired by seed",
        header=("setting", results.axis, "mean difference", "95 % interval", "higher", "lower", "pairs"),
        rows=rows,
        note=f"Interval: percentile bootstrap of the mean over the pairs, shown from {MIN_PAIRS} pairs on. It is too "
        "narrow for few pairs: of five normal differences it covers the mean about 85 times in 100. Student's "
        "intervals are in the table of verdicts.",
        num_labels=2,
    )


def difference_sentence(difference: Difference, baseline: str) -> str:
    """Return the comparison of a variant with the baseline in one metric as a sentence."""
    where = f" for {setting_name(difference.setting)}" if difference.setting else ""
    return (
        f"{metric_name(difference.metric)}: {difference.variant} {_MINUS} {baseline} is "
        f"{format_signed(difference.mean, difference.metric)} on average{where}, higher in {difference.num_higher} of "
        f"{len(difference.values)} pairs."
    )


def against_table(results: SuiteResults, other: SuiteResults) -> Table:
    """Means of both results for the settings and metrics they share, and the difference.

    Raises:
        InvalidArgumentError: they share none.
    """
    rows = []
    for metric in shown_metrics(results.records):
        theirs = {summary.setting: summary for summary in summarize(other.records, metric)}
        for ours in summarize(results.records, metric):
            if ours.setting in theirs:
                old = theirs[ours.setting]
                both = ours.mean is not None and old.mean is not None
                change = ours.mean - old.mean if both else None  # type: ignore[operator]
                texts = (_spread(ours), _spread(old), format_signed(change, metric))
                rows.append((metric_name(metric), setting_name(ours.setting), *texts))
    if not rows:
        shown = setting_name(settings_in_order(other.records)[0]) if other.records else "nothing"
        raise InvalidArgumentError(
            f"`against` {other.name} shares no setting and metric with these results; it has {shown}, for example",
            field="against",
        )
    return Table(
        title=f"Compared with the results in {other.name}, made by topdis-gan {other.version}",
        header=("metric", "setting", "here", "there", "difference of the means"),
        rows=tuple(rows),
        num_labels=2,
    )


def cell_table(results: SuiteResults) -> Table:
    """How each cell ended, unfinished ones first."""
    axes = axes_of(results.records)
    ordered = sorted(results.records, key=lambda record: record.state == "finished")
    rows = [
        (*record.labels.values(), str(record.seed), record.state, record.reason, _duration(record.duration_s))
        for record in ordered
    ]
    header = (*axes, "seed", "state", "reason", "time")
    return Table(title="Cells", header=header, rows=tuple(rows), num_labels=len(header) - 1)


def cost_table(results: SuiteResults) -> Table:
    """Time and device of the cells of each setting, and in total."""
    axes = axes_of(results.records)
    rows = []
    for setting in settings_in_order(results.records):
        cells = [record for record in results.records if record.setting == setting]
        times = [record.duration_s for record in cells if record.duration_s is not None]
        devices = " and ".join(dict.fromkeys(record.device for record in cells if record.device)) or "—"
        mean = _duration(sum(times) / len(times)) if times else "—"
        rows.append((*(label for _, label in setting), devices, mean, _duration(sum(times) if times else None)))
    total = [record.duration_s for record in results.records if record.duration_s is not None]
    rows.append(("all", *[""] * len(axes), "", _duration(sum(total) if total else None)))
    return Table(
        title="Cost",
        header=(*axes, "device", "time per cell", "total"),
        rows=tuple(rows),
        note="Training and evaluation, all attempts. Concurrent cells share the device, so the suite took less.",
        num_labels=len(axes) + 1,
    )


def format_score(value: float | None, metric: str = "") -> str:
    """Format a score with three decimals, or fewer from 10 on; a dash for None.

    >>> format_score(0.12345), format_score(-0.5), format_score(36.62), format_score(None)
    ('0.123', '−0.500', '36.6', '—')
    """
    if value is None:
        return "—"
    digits = 4 if metric == "squared_error" else 3
    text = f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.4g}" if abs(value) >= 1000 else f"{value:.1f}"
    return text.replace("-", _MINUS)


def _seeds(columns: Sequence[dict[Setting, Summary]], setting: Setting) -> str:
    summaries = [column[setting] for column in columns]
    most = max((len(summary.values) for summary in summaries), default=0)
    requested = max((summary.num_cells for summary in summaries), default=0)
    return str(requested) if most == requested else f"{most} of {requested}"


def _spread(summary: Summary) -> str:
    if summary.mean is None:
        return "—"
    spread = "" if summary.std is None else f" ± {format_score(summary.std, summary.metric)}"
    missing = "" if len(summary.values) == summary.num_cells else f" ({len(summary.values)})"
    return f"{format_score(summary.mean, summary.metric)}{spread}{missing}"


def _difference_texts(difference: Difference) -> tuple[str, ...]:
    mean, *ends = (format_signed(value, difference.metric) for value in (difference.mean, *(difference.interval or ())))
    pairs = len(difference.values)
    return (
        mean,
        " to ".join(ends) or "—",
        str(difference.num_higher),
        str(difference.num_lower),
        f"{pairs} of {difference.num_pairs_requested}",
    )


def format_signed(value: float | None, metric: str = "") -> str:
    """Format a difference like a score of that metric, with its sign.

    >>> format_signed(0.1), format_signed(-0.1), format_signed(-0.0001), format_signed(None)
    ('+0.100', '−0.100', '0.000', '—')
    """
    text = format_score(value, metric)
    if value is None or not text.strip(f"{_MINUS}0."):
        return text.removeprefix(_MINUS)
    return ("+" if value > 0 else "") + text


def _duration(seconds: float | None) -> str:
    return "—" if seconds is None else format_duration(seconds)


_PAPER = "TopDis paper, unverified"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One row of a published table.

    Attributes:
        data: name of the data set without variations.
        method: name of the method in `train-vae`.
        topdis: whether the TopDis loss was used.
        scores: metric -> mean.
        source: the paper, and whether the values are verified.
    """

    data: str
    method: str
    topdis: bool
    scores: Mapping[str, float]
    source: str = _PAPER


def _row(method: str, topdis: bool, *scores: float) -> Published:
    names = ("factor_vae", "mig", "sap", "dci_disentanglement")
    return Published(data="dsprites", method=method, topdis=topdis, scores=dict(zip(names, scores, strict=True)))


PUBLISHED = (
    _row("beta-tcvae", False, 0.810, 0.332, 0.045, 0.543),
    _row("beta-vae", False, 0.807, 0.272, 0.065, 0.440),
    _row("control-vae", False, 0.806, 0.333, 0.056, 0.557),
    _row("factor-vae", False, 0.819, 0.295, 0.053, 0.534),
    _row("dava", False, 0.746, 0.253, 0.024, 0.395),
    _row("beta-tcvae", True, 0.821, 0.341, 0.051, 0.556),
    _row("beta-vae", True, 0.833, 0.348, 0.066, 0.506),
    _row("control-vae", True, 0.810, 0.344, 0.059, 0.578),
    _row("factor-vae", True, 0.824, 0.356, 0.082, 0.521),
    _row("dava", True, 0.807, 0.344, 0.048, 0.551),
)


def published_for(settings: Mapping[str, Any]) -> Published | None:
    """Return the published row closest to the settings of a cell; None if there is none.

    Reduced and correlated versions of a data set have rows, too: the report labels the values as the paper's and says
    that the protocols differ. A run with another loss instead of RTD has none.

    >>> published_for({"data": "dsprites", "method": "beta-vae", "topdis": {}}).scores["mig"]
    0.348
    """
    data = str(settings.get("data", TrainSettings.data)).partition(":")[0].partition("-")[0]
    term = settings.get("topdis")
    topdis = term is not None and term.get("weight", 1) > 0
    if term is not None and topdis and term.get("loss", "rtd") != "rtd":
        return None
    method = settings.get("method", TrainSettings.method)
    matching = (row for row in PUBLISHED if (row.data, row.method) == (data, method))
    return next((row for row in matching if row.topdis == topdis), None)
