"""The tables of a report, as text in rows and columns, before any format is chosen.

overview        one row a setting, one column a metric: mean ± standard deviation
metric tables   mean, standard deviation, number of seeds, beside the paper's figure
differences     variant - baseline, paired by seed: mean, interval, signs
cells           how each cell ended
cost            hours and device a setting
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ganspace_topdis.runs.progress import format_duration
from vae.evaluation.metrics import METRICS, metric_name
from vae.suite.published import published_for
from vae.suite.records import Record, Results, Setting, axes_of, metrics_of, settings_in_order
from vae.suite.statistics import Difference, Summary, compare, summarise

__all__ = [
    "Table",
    "against_table",
    "cell_table",
    "cost_table",
    "difference_table",
    "metric_table",
    "overview_table",
    "setting_name",
    "shown_metrics",
]

_MINUS = "−"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text in rows and columns.

    Attributes:
        title: a heading.
        header: the columns' names.
        rows: as many texts as the header has.
        note: a sentence under the table.
        num_labels: how many of the first columns are words; the rest are numbers.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    num_labels: int = 1

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), self.title


def shown_metrics(records: Sequence[Record]) -> list[str]:
    """The metrics that have scores, in the order of `METRICS`, unknown ones last."""
    there = metrics_of(records)
    known = [metric.key for metric in METRICS]
    return sorted(there, key=lambda key: known.index(key) if key in known else len(known))


def setting_name(setting: Setting) -> str:
    """A setting in words; all settings together where it is empty.

    >>> setting_name((("method", "beta-VAE"), ("variant", "TopDis")))
    'beta-VAE, TopDis'
    """
    return ", ".join(label for _, label in setting) or "all settings"


def overview_table(results: Results) -> Table:
    """One row a setting, one column a metric."""
    metrics = shown_metrics(results.records)
    columns = [{s.setting: s for s in summarise(results.records, metric)} for metric in metrics]
    rows = [
        (*(label for _, label in setting), _seeds(columns, setting), *(_spread(column[setting]) for column in columns))
        for setting in settings_in_order(results.records)
    ]
    axes = axes_of(results.records)
    return Table(
        title="All metrics",
        header=(*axes, "seeds", *(metric_name(metric) for metric in metrics)),
        rows=tuple(rows),
        note="Mean ± standard deviation over the seeds (n - 1). A number in brackets: seeds with that score, where "
        "they are fewer. A dash: no score.",
        num_labels=len(axes),
    )


def metric_table(results: Results, metric: str) -> Table:
    """Mean, standard deviation and number of seeds of one metric, beside the paper's figure."""
    axes = axes_of(results.records)
    rows = []
    for summary in summarise(results.records, metric):
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
        note="The paper's figures are the paper's: another number of steps, other seeds, and here not verified."
        if with_paper
        else "",
        num_labels=len(axes),
    )


def difference_table(results: Results, metric: str) -> Table | None:
    """The paired differences in one metric; None where the suite compares nothing."""
    if results.axis is None:
        return None
    found = compare(results.records, metric, axis=results.axis, baseline=results.baseline)
    rows = tuple((setting_name(d.setting), d.variant, *_difference_texts(d)) for d in found)
    return Table(
        title=f"{metric_name(metric)}: {results.axis} {_MINUS} {results.baseline}, paired by seed",
        header=("setting", results.axis, "mean difference", "95 % interval", "higher", "lower", "pairs"),
        rows=rows,
        note="Percentile bootstrap of the mean over the pairs. Of few pairs it is too narrow: of three it is their "
        "range, which holds the true median 3 times in 4.",
        num_labels=2,
    )


def against_table(results: Results, other: Results) -> Table:
    """The means of both results where they have a setting and a metric in common, and the difference."""
    rows = []
    for metric in shown_metrics(results.records):
        theirs = {summary.setting: summary for summary in summarise(other.records, metric)}
        for ours in summarise(results.records, metric):
            if ours.setting in theirs:
                old = theirs[ours.setting]
                both = ours.mean is not None and old.mean is not None
                change = ours.mean - old.mean if both else None  # type: ignore[operator]
                texts = (_spread(ours), _spread(old), _signed(change))
                rows.append((metric_name(metric), setting_name(ours.setting), *texts))
    return Table(
        title=f"Beside the results in {other.name}, made by topdis-gan {other.version}",
        header=("metric", "setting", "here", "there", "difference of the means"),
        rows=tuple(rows),
        num_labels=2,
    )


def cell_table(results: Results) -> Table:
    """How each cell ended, the unfinished ones first."""
    axes = axes_of(results.records)
    ordered = sorted(results.records, key=lambda record: record.state == "finished")
    rows = [
        (*record.labels.values(), str(record.seed), record.state, record.reason, _duration(record.duration_s))
        for record in ordered
    ]
    header = (*axes, "seed", "state", "reason", "time")
    return Table(title="Cells", header=header, rows=tuple(rows), num_labels=len(header) - 1)


def cost_table(results: Results) -> Table:
    """Time and device of the cells of each setting, and in all."""
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
        header=(*axes, "device", "time a cell", "in all"),
        rows=tuple(rows),
        note="Training and evaluation, all attempts. Cells that ran at once share the device: the suite took less.",
        num_labels=len(axes) + 1,
    )


def format_score(value: float | None, metric: str = "") -> str:
    """A score with three decimals, four figures for what is not in [0, 1]; a dash for None.

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
    asked = max((summary.num_cells for summary in summaries), default=0)
    return str(asked) if most == asked else f"{most} of {asked}"


def _spread(summary: Summary) -> str:
    if summary.mean is None:
        return "—"
    spread = "" if summary.std is None else f" ± {format_score(summary.std, summary.metric)}"
    missing = "" if len(summary.values) == summary.num_cells else f" ({len(summary.values)})"
    return f"{format_score(summary.mean, summary.metric)}{spread}{missing}"


def _difference_texts(difference: Difference) -> tuple[str, ...]:
    low_high = difference.interval
    interval = "—" if low_high is None else f"{_signed(low_high[0])} to {_signed(low_high[1])}"
    pairs = len(difference.values)
    return (
        _signed(difference.mean),
        interval,
        str(difference.num_higher),
        str(difference.num_lower),
        f"{pairs} of {difference.num_pairs_asked}",
    )


def _signed(value: float | None) -> str:
    return "—" if value is None else ("+" if value > 0 else "") + format_score(value)


def _duration(seconds: float | None) -> str:
    return "—" if seconds is None else format_duration(seconds)
