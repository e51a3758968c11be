"""The report of a suite: one self-contained page, and the same as Markdown, CSV, LaTeX and pictures.

report.html        everything, pictures included, in one file
report.md          the same text, beside plots/
cells.csv          one row per cell and metric, the raw scores
summary.csv        one row per setting and metric
differences.csv    one row per comparison and metric
tables.tex         booktabs tables
plots/             scores.png, differences.png, correlations.png
"""

import base64
import html
import os
from collections.abc import Iterator
from pathlib import Path

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.files import make_folder, write_bytes, write_text
from vae.suite.plots import draw_correlations, draw_differences, draw_scores
from vae.suite.results import CellResult, SuiteResults, axes_of
from vae.suite.statistics import compare, summarize
from vae.suite.table import Table, to_csv, to_html, to_latex, to_markdown
from vae.suite.tables import (
    against_table,
    cell_table,
    cost_table,
    difference_table,
    metric_table,
    overview_table,
    setting_name,
    shown_metrics,
)

__all__ = ["write_report"]

_CAPTIONS = {
    "scores": "Scores by seed; a bar is the mean, gray lines connect the same seed.",
    "differences": "Paired differences; gray points are pairs, the diamond is their mean with its 95 % interval.",
    "correlations": "Spearman's rank correlation of the metrics over all finished cells.",
}
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; margin: 1rem 0; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { text-align: left; font-weight: 500; } thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody tr:hover { background: var(--soft); } .note { color: #777; font-size: 13px; max-width: 46rem; }
.missing { border-left: 4px solid #d55e00; padding: .3rem .8rem; background: var(--soft); }
figure { margin: 1.5rem 0; } img { max-width: 100%; background: #fff; } figcaption { color: #777; font-size: 13px; }
"""


def write_report(
    results: SuiteResults, out: str | os.PathLike[str], *, against: SuiteResults | None = None
) -> list[Path]:
    """Write the report into the folder `out`, replacing an earlier one; return the files, report.html first.

    Args:
        results: results of a suite.
        out: the folder, created if missing.
        against: other results, perhaps of another version, whose means are shown beside these.

    Raises:
        InvalidArgumentError: the suite has no cells.
        MissingDependencyError: matplotlib is not installed.
        RunFolderError: a file cannot be written.
    """
    if not results.records:
        raise InvalidArgumentError(f"suite {results.name!r} has no cells, so there is nothing to report")
    folder = Path(out)
    plots = _plots(results)
    tables = [*_tables(results), *([] if against is None else [against_table(results, against)])]
    make_folder(folder / "plots")
    return [
        write_text(folder / "report.html", _page(results, tables, plots)),
        write_text(folder / "report.md", _markdown(results, tables, plots)),
        write_text(folder / "cells.csv", _cells_csv(results)),
        write_text(folder / "summary.csv", _summary_csv(results)),
        write_text(folder / "differences.csv", _differences_csv(results)),
        write_text(folder / "tables.tex", "\n".join(to_latex(table) for table in tables)),
        *(write_bytes(folder / "plots" / f"{name}.png", data) for name, data in plots.items()),
    ]


def _plots(results: SuiteResults) -> dict[str, bytes]:
    if not shown_metrics(results.records):
        return {}
    drawn = {
        "scores": draw_scores(results),
        "differences": draw_differences(results),
        "correlations": draw_correlations(results),
    }
    return {name: data for name, data in drawn.items() if data is not None}


def _tables(results: SuiteResults) -> Iterator[Table]:
    metrics = shown_metrics(results.records)
    if metrics:
        yield overview_table(results)
    for metric in metrics:
        yield metric_table(results, metric)
        if (differences := difference_table(results, metric)) is not None:
            yield differences
    yield cost_table(results)
    yield cell_table(results)


def _missing(results: SuiteResults) -> str:
    """Return a sentence on the cells without scores; empty if there are none."""
    states = [record.state for record in results.records if record.state != "finished"]
    if not states:
        return ""
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return f"{len(states)} of {len(results.records)} cells have no scores ({counts}); they are listed at the end."


def _facts(results: SuiteResults) -> str:
    finished = sum(record.state == "finished" for record in results.records)
    facts = f"{finished} of {len(results.records)} cells finished; made by topdis-gan {results.version}."
    return facts if results.axis is None else f"{facts} Intervals are not corrected for the number of comparisons."


def _markdown(results: SuiteResults, tables: list[Table], plots: dict[str, bytes]) -> str:
    notes = "\n".join(f"* {note}" for note in results.notes)
    pictures = [f"![{_CAPTIONS[name]}](plots/{name}.png)\n\n{_CAPTIONS[name]}" for name in plots]
    first, *others = (to_markdown(table) for table in tables)
    head = [f"# Suite {results.name}", results.description, notes, _facts(results), _missing(results), first.rstrip()]
    return "\n\n".join([*(part for part in head if part), *pictures, "\n".join(others)])


def _page(results: SuiteResults, tables: list[Table], plots: dict[str, bytes]) -> str:
    title = html.escape(f"Suite {results.name}")
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in results.notes)
    missing = f"<p class=missing>{html.escape(text)}</p>" if (text := _missing(results)) else ""
    figures = "\n".join(_figure(name, data) for name, data in plots.items())
    return "\n".join(
        [
            f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{title}</title>",
            f'<meta name=viewport content="width=device-width, initial-scale=1"><style>{_STYLE}</style>',
            f"<h1>{title}</h1>\n<p>{html.escape(results.description)}</p>\n<ul>{notes}</ul>",
            f"<p>{html.escape(_facts(results))}</p>",
            missing,
            to_html(tables[0]),
            figures,
            *map(to_html, tables[1:]),
            "</html>\n",
        ]
    )


def _figure(name: str, data: bytes) -> str:
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    caption = html.escape(_CAPTIONS[name])
    return f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>'


def _cells_csv(results: SuiteResults) -> str:
    """Return one row per cell and metric; a cell without scores has one row without either."""
    rows = [
        (*record.labels.values(), record.seed, record.state, record.duration_s, record.device, metric, score)
        for record in results.records
        for metric, score in (*record.scores.items(), *_no_score(record))
    ]
    return to_csv((*axes_of(results.records), "seed", "state", "duration_s", "device", "metric", "score"), rows)


def _no_score(record: CellResult) -> list[tuple[str, None]]:
    return [] if record.scores else [("", None)]


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
