"""The page of `topdis-gan metrics`: scores with their cost, which latents are live, and two maps of the code.

The first map shows the share of each factor's entropy that a latent knows (20 bins), the second the importance of
each latent in the boosted trees of DCI. One file, nothing to load.
"""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.estimators import discretize, entropy, mutual_information_matrix
from ganspace_topdis.metrics.evaluation import NUM_TRAIN
from ganspace_topdis.metrics.groups import METRICS
from ganspace_topdis.metrics.importance import dci
from ganspace_topdis.metrics.inputs import Array, check_pair
from ganspace_topdis.metrics.normalized_information import live_latents
from ganspace_topdis.runs.files import write_text

if TYPE_CHECKING:
    from ganspace_topdis.metrics.files import Report

__all__ = ["write_metrics_page"]

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h1 { overflow-wrap: anywhere; } h2 { margin-top: 2.2rem; }
.note { color: light-dark(#595959, #a6a6a6); font-size: 13px; max-width: 46rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; }
th { font-weight: 500; text-align: left; white-space: nowrap; }
table.scores tr { border-bottom: 1px solid #8884; } table.scores td.text { text-align: left; }
td.bar { width: 8rem; } td.bar div { background: #0072b2; height: .6rem; border-radius: 2px; }
table.heat td { min-width: 3rem; text-align: center; border: 1px solid #fff3; }
table.heat tr:first-child th { text-align: center; white-space: normal; vertical-align: bottom; max-width: 6rem; }
table.scores tr:first-child th.number { text-align: right; }
tr.dead th, tr.dead td.number { color: light-dark(#767676, #8f8f8f); }
@media (max-width: 600px) {
  .bar, .metric { display: none; } th, td { padding: .2rem .3rem; } table.heat td { min-width: 2.4rem; }
  table.heat th { font-size: 11px; }
}
"""


def write_metrics_page(path: Path, report: "Report", codes: Array, factors: Array, *, seed: int = 0) -> Path:
    """Write the page of a report.

    Args:
        path: the file.
        report: its scores.
        codes: (N, D); at most 10,000 rows, drawn at random, enter the maps.
        factors: (N, K).
        seed: of the draw and the trees.

    Raises:
        InvalidArgumentError: no factor varies.
        RunFolderError: the file cannot be written.
    """
    rows = np.random.default_rng(seed).permutation(len(codes))[:NUM_TRAIN]
    data = check_pair(codes[rows], factors[rows])
    entropies = np.array([entropy(column) for column in data.labels.T])
    shares = mutual_information_matrix(discretize(data.codes), data.labels) / entropies
    names = [report.names[k] for k in data.columns]
    live = {name: live_latents(data.codes, name) for name in ("range", "iqr")}
    title = f"Metrics of {Path(report.codes).name}"
    parts = [
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        f'<meta name=viewport content="width=device-width, initial-scale=1"><style>{_STYLE}</style>',
        f"<h1>{html.escape(title)}</h1>",
        f"<p class=note>{report.num_points:,} points of {codes.shape[1]} latents, {len(names)} factors that vary; "
        f"{report.seconds:.1f} s in all.</p>",
        "<h2>Scores</h2>",
        _scores(report),
        "<h2>What each latent knows of each factor</h2>",
        _heat_map(shares, names, live, data.codes.std(axis=0)),
        "<p class=note>Mutual information of a latent (20 bins) and a factor, over the factor's entropy. A latent is "
        "live by its range if that is more than a 20th of the largest, and by its interquartile range (IQR) if that "
        "is more than a tenth of the largest (InfoMEC's two definitions). Grey latents are live by neither.</p>",
    ]
    try:
        importances = dci(codes[rows], factors[rows], seed=seed).importances
    except InvalidArgumentError as error:
        parts.append(f"<h2>Importance</h2><p class=note>Undefined: {html.escape(str(error))}.</p>")
    else:
        parts.append("<h2>Importance of each latent for each factor</h2>")
        parts.append(_heat_map(importances, names, live, data.codes.std(axis=0)))
        parts.append("<p class=note>Share of each latent in the boosted trees of DCI; a column sums to 1.</p>")
    return write_text(path, "\n".join([*parts, "</html>\n"]))


def _scores(report: "Report") -> str:
    groups = {group.name: group for group in METRICS}
    rows = ["<tr><th class=metric>metric<th>score<th class=number>value<th class=bar><th class=number>seconds</tr>"]
    for each in report.measured:
        title, cost = html.escape(groups[each.group].title), f"{each.seconds:.2f}"
        if each.problem is not None:
            reason = f"{each.group} is undefined: {html.escape(each.problem)}"
            rows.append(f"<tr><th class=metric>{title}<td class=text colspan=4>{reason}</tr>")
        for key, value in each.scores.items():
            width = 0 if groups[each.group].lower_is_better else 100 * min(max(value, 0), 1)
            bar = f'<div style="width:{width:.1f}%"></div>' if width else ""
            name = f"<th class=metric>{title}<td class=text>{key.replace('_', '_<wbr>')}"
            rows.append(f"<tr>{name}<td>{value:.4f}<td class=bar>{bar}<td>{cost}</tr>")
            title = cost = ""
    return _table("scores", rows)


def _heat_map(values: Array, names: Sequence[str], live: dict[str, Array], deviations: Array) -> str:
    head = "".join(f"<th>{html.escape(name)}" for name in ("latent", *names, "std", "range", "IQR"))
    rows = [f"<tr>{head}</tr>"]
    for j, shares in enumerate(values):
        marks = [live[name][j] for name in ("range", "iqr")]
        ends = "".join(f"<td class=number>{'live' if mark else 'dead'}" for mark in marks)
        dead = "" if any(marks) else " class=dead"
        cells = "".join(map(_heat, shares))
        rows.append(f"<tr{dead}><th>{j}{cells}<td class=number>{deviations[j]:.3g}{ends}</tr>")
    return _table("heat", rows)


def _heat(share: float) -> str:
    """A cell from white to blue; the square root makes small shares visible."""
    depth = min(max(share, 0.0), 1.0) ** 0.5
    red, green, blue = (round(255 + (to - 255) * depth) for to in (8, 64, 129))
    ink = "#fff" if depth > 0.55 else "#222"
    return f'<td style="background:rgb({red},{green},{blue});color:{ink}">{share:.2f}'


def _table(kind: str, rows: Iterable[str]) -> str:
    return f"<div class=wide><table class={kind}>\n" + "\n".join(rows) + "\n</table></div>"
