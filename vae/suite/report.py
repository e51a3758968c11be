"""The report of a suite: one self-contained page, and the same as Markdown, CSV, LaTeX and pictures.

report.html        verdict, tables and plots in one file
report.md          the same text, beside plots/
cells.csv          one row per cell and metric, the raw scores, which `suite --finished` reads; it alone has the
                   settings of which no cell was begun
summary.csv        one row per setting and metric
differences.csv    one row per comparison and metric
verdicts.csv       one row per comparison and headline metric: p values, effect size, interval, outcome
curves.csv         MIG of each cell by step, with `suite --score-every`; `suite --finished` reads it beside cells.csv
tables.tex         booktabs tables
plots/             scores.png, differences.png, curves.png (with `suite --score-every`), correlations.png
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.paired import MIN_PAIRS
from ganspace_topdis.report.page import build_page, figure, paragraph
from ganspace_topdis.report.table import Table, to_csv, to_html, to_latex, to_markdown
from ganspace_topdis.runs.files import make_folder, write_bytes, write_text
from vae.evaluation.metrics import metric_name
from vae.suite.plots import draw_correlations, draw_curves, draw_differences, draw_scores
from vae.suite.results import (
    CELL_COLUMNS,
    CURVES,
    CellResult,
    Setting,
    SuiteResults,
    axes_of,
    settings_digest,
    settings_in_order,
)
from vae.suite.significance import LOWER_IS_BETTER
from vae.suite.statistics import Summary, compare, summarize
from vae.suite.tables import (
    against_table,
    cell_table,
    cost_table,
    difference_table,
    format_score,
    listed,
    metric_table,
    overview_table,
    setting_name,
    shown_metrics,
)
from vae.suite.verdicts import (
    PairedVerdict,
    headline_metrics,
    suite_verdicts,
    verdict_table,
    verdict_text,
    verdicts_csv,
)

__all__ = ["write_report"]

_MOST_NAMED = 6

_CAPTIONS = {
    "scores": "Scores by seed; a bar is the mean, gray lines connect the same seed.",
    "differences": "Paired differences: a line for each pair, in the order of the seeds; the diamond is their mean, "
    f"with its 95 % interval from {MIN_PAIRS} pairs on.",
    "curves": "MIG while training; a thin line is a seed, a thick one the mean of the seeds that all variants have.",
    "correlations": "Spearman's rank correlation of the metrics over all finished cells.",
}


def write_report(
    results: SuiteResults, out: str | os.PathLike[str], *, against: SuiteResults | None = None
) -> list[Path]:
    """Write the report into the folder `out`, replacing an earlier one; return the files, report.html first.

    Args:
        results: results of a suite.
        out: the folder, created if missing.
        against: other results, perhaps of another version, whose means are shown beside these.

    Raises:
        InvalidArgumentError: the suite has no cells, or `against` none of its settings.
        MissingDependencyError: matplotlib is not installed.
        RunFolderError: a file cannot be written.
    """
    if not results.records:
        raise InvalidArgumentError(f"suite {results.name!r} has no cells, so there is nothing to report")
    folder, cells = Path(out), _cells_csv(results)
    results, left_out = _begun(results)
    results, uncompared = _comparable(results)
    tested = suite_verdicts(results)
    shown, common = _without_common(results)
    brief = [each.on_axes(axes_of(shown.records)) for each in tested]
    content = _Content(
        results=results,
        verdict=_verdict(shown, brief),
        facts=_facts(results, common),
        tables=[*_tables(shown, brief), *([] if against is None else [against_table(results, against)])],
        plots=_plots(results if axes_of(shown.records) == (results.axis,) else shown),
        missing=[*_missing(results), *_not_begun(left_out), *uncompared],
    )
    make_folder(folder / "plots")
    return [
        write_text(folder / "report.html", _page(content)),
        write_text(folder / "report.md", _markdown(content)),
        write_text(folder / "cells.csv", cells),
        write_text(folder / "summary.csv", _summary_csv(results)),
        write_text(folder / "differences.csv", _differences_csv(results)),
        write_text(folder / "verdicts.csv", verdicts_csv(tested)),
        *([write_text(folder / CURVES, curves)] if (curves := _curves_csv(results)) else []),
        write_text(folder / "tables.tex", "\n".join(to_latex(table) for table in content.tables)),
        *(write_bytes(folder / "plots" / f"{name}.png", data) for name, data in content.plots.items()),
    ]


def _begun(results: SuiteResults) -> tuple[SuiteResults, list[Setting]]:
    """The results without the settings of which no cell was begun, unless that is true of all; and those settings."""
    begun = {record.setting for record in results.records if record.state != "missing"}
    if not begun:
        return results, []
    records = tuple(record for record in results.records if record.setting in begun)
    return replace(results, records=records), [each for each in settings_in_order(results.records) if each not in begun]


def _comparable(results: SuiteResults) -> tuple[SuiteResults, list[str]]:
    """The results, compared with nothing and with a sentence that says so unless the baseline and others have cells."""
    axis, baseline = results.axis, results.baseline
    if axis is None:
        return results, []
    labels = {record.labels.get(axis) for record in results.records}
    if {baseline} < labels:
        return results, []
    reason = f"no cell of {baseline} is among those reported"
    if baseline in labels:
        reason = f"all cells reported are of {baseline}"
    return replace(results, axis=None), [f"Nothing is compared, because {reason}."]


def _without_common(results: SuiteResults) -> tuple[SuiteResults, list[str]]:
    """The results without the axes on which all cells have one label, and these labels.

    The axis that is compared stays, and all axes do if none would.
    """
    labels = {axis: {record.labels[axis] for record in results.records} for axis in axes_of(results.records)}
    kept = [axis for axis, found in labels.items() if axis == results.axis or len(found) > 1]
    common = [label for axis, found in labels.items() if axis not in kept for label in found]
    if not kept or not common:
        return results, []
    records = [replace(record, labels={axis: record.labels[axis] for axis in kept}) for record in results.records]
    return replace(results, records=tuple(records)), common


def _plots(results: SuiteResults) -> dict[str, bytes]:
    if not shown_metrics(results.records):
        return {}
    drawn = {
        "scores": draw_scores(results),
        "differences": draw_differences(results),
        "curves": draw_curves(results),
        "correlations": draw_correlations(results),
    }
    return {name: data for name, data in drawn.items() if data is not None}


def _tables(results: SuiteResults, tested: Sequence[PairedVerdict]) -> Iterator[Table]:
    metrics = shown_metrics(results.records)
    if metrics:
        yield overview_table(results)
    if (verdicts := verdict_table(tested, results.baseline)) is not None:
        yield verdicts
    for metric in metrics:
        yield metric_table(results, metric)
        if (differences := difference_table(results, metric)) is not None:
            yield differences
    yield cost_table(results)
    yield cell_table(results)


def _verdict(results: SuiteResults, tested: Sequence[PairedVerdict]) -> str:
    """Return the result in the headline metrics, a line each: verdicts, or the best setting if nothing is compared."""
    if results.axis is not None:
        return verdict_text(tested, results.baseline)
    sentences = []
    for metric in headline_metrics(results):
        if scored := _scored(results, metric):
            choose, word = (min, "Lowest") if metric in LOWER_IS_BETTER else (max, "Highest")
            best = choose(scored, key=lambda summary: summary.mean or 0.0)
            score = format_score(best.mean, metric)
            sentences.append(f"{word} {metric_name(metric)}: {setting_name(best.setting)}, {score}.")
    return "\n".join(sentences)


def _scored(results: SuiteResults, metric: str) -> list[Summary]:
    return [summary for summary in summarize(results.records, metric) if summary.mean is not None]


def _missing(results: SuiteResults) -> Iterator[str]:
    """Yields a sentence about the cells without scores, if there are any."""
    states = [record.state for record in results.records if record.state != "finished"]
    if states:
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        yield f"{len(states)} of {len(results.records)} cells have no scores ({counts}); they are listed at the end."


def _not_begun(settings: Sequence[Setting]) -> Iterator[str]:
    """Yields a sentence about the settings that the report leaves out, if there are any."""
    if settings:
        yield f"Left out, because no cell was begun: {listed(list(map(setting_name, settings)), most=_MOST_NAMED)}."


def _facts(results: SuiteResults, common: Sequence[str]) -> str:
    finished = sum(record.state == "finished" for record in results.records)
    of = f", all of {', '.join(common)}" if common else ""
    facts = f"{finished} of {len(results.records)} cells finished{of}; made by topdis-gan {results.version}."
    note = "Intervals are not corrected for the number of comparisons, p values are."
    return facts if results.axis is None else f"{facts} {note}"


@dataclass(frozen=True, kw_only=True)
class _Content:
    """What page and Markdown show."""

    results: SuiteResults
    verdict: str
    facts: str
    tables: Sequence[Table]
    plots: Mapping[str, bytes]
    missing: Sequence[str]


def _markdown(content: _Content) -> str:
    results = content.results
    pictures = [f"![{_CAPTIONS[name]}](plots/{name}.png)\n\n{_CAPTIONS[name]}" for name in content.plots]
    first, *others = (to_markdown(table) for table in content.tables)
    found, notes = _bullets(content.verdict.splitlines()), _bullets(results.notes)
    texts = [results.description, found, *content.missing, notes, content.facts, first.rstrip()]
    head = [f"# Suite {results.name}", *texts]
    return "\n\n".join([*(part for part in head if part), *pictures, "\n".join(others)])


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)


def _page(content: _Content) -> str:
    results = content.results
    overview, *others = map(to_html, content.tables)
    return build_page(
        f"Suite {results.name}",
        [
            *(paragraph(sentence, kind="warning") for sentence in content.missing),
            *(paragraph(note) for note in results.notes),
            paragraph(content.facts, kind="note"),
            overview,
            *(figure(data, _CAPTIONS[name]) for name, data in content.plots.items()),
            *others,
        ],
        subtitle=results.description,
        verdict=content.verdict,
    )


def _cells_csv(results: SuiteResults) -> str:
    """Return one row per cell and metric; a cell without scores has one row without either."""
    rows = [
        (*record.labels.values(), record.seed, *_cell_columns(record), *results.request.values(), metric, score)
        for record in results.records
        for metric, score in (*record.scores.items(), *_no_score(record))
    ]
    return to_csv((*axes_of(results.records), "seed", *CELL_COLUMNS, *results.request, "metric", "score"), rows)


def _cell_columns(record: CellResult) -> tuple[str | float | None, ...]:
    return record.state, record.duration_s, record.device, settings_digest(record.settings)


def _no_score(record: CellResult) -> list[tuple[str, None]]:
    return [] if record.scores else [("", None)]


def _curves_csv(results: SuiteResults) -> str | None:
    """Return MIG of each cell by step; None if it was never measured while training."""
    rows = [(*r.labels.values(), r.seed, step, mig) for r in results.records for step, mig in r.curve]
    return to_csv((*axes_of(results.records), "seed", "step", "mig"), rows) if rows else None


def _summary_csv(results: SuiteResults) -> str:
    rows = [
        (
            *(label for _, label in summary.setting),
            metric,
            summary.mean,
            summary.std,
            len(summary.values),
            summary.num_cells,
        )
        for metric in shown_metrics(results.records)
        for summary in summarize(results.records, metric)
    ]
    return to_csv((*axes_of(results.records), "metric", "mean", "std", "num_seeds", "num_seeds_asked"), rows)


def _differences_csv(results: SuiteResults) -> str:
    rows = (
        []
        if results.axis is None
        else [
            (
                setting_name(d.setting),
                d.variant,
                metric,
                d.mean,
                *(d.interval or (None, None)),
                d.num_higher,
                d.num_lower,
                len(d.values),
                d.num_pairs_requested,
            )
            for metric in shown_metrics(results.records)
            for d in compare(results.records, metric, axis=results.axis, baseline=results.baseline)
        ]
    )
    header = ("setting", "variant", "metric", "mean_difference", "low", "high", "num_higher", "num_lower")
    return to_csv((*header, "num_pairs", "num_pairs_asked"), rows)
