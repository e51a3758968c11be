"""report.html of a run: scores, what each latent encodes, loss curves, traversals; one self-contained file."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganspace_topdis.runs.files import write_text
from ganspace_topdis.traversal.labels import format_number, score_name
from vae.evaluation.metrics import METRICS, metric_name
from vae.evaluation.scores import Latent

__all__ = ["draw_curves", "draw_heat_map", "write_run_page"]

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 300, 150, 48, 22, 18
_MAX_POINTS = 400
_LOG_RATIO = 50.0
_NAMES = {"kl": "KL", "tc": "TC", "topdis": "TopDis"}
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.2rem; } .note { color: #777; font-size: 13px; max-width: 46rem; }
table { border-collapse: collapse; font-size: 13px; } th, td { padding: .2rem .7rem; text-align: right; }
th { font-weight: 500; text-align: left; } table.scores tr { border-bottom: 1px solid #8884; }
table.heat td { min-width: 3.4rem; text-align: center; border: 1px solid #fff3; } img { max-width: 100%; }
tr.dead th { color: #999; } .curves { display: flex; flex-wrap: wrap; gap: .6rem; }
svg text { font: 11px system-ui, sans-serif; fill: currentColor; } svg .n { text-anchor: end; fill: #777; }
svg .s { fill: #777; } svg .a { fill: none; stroke: #999; } svg .c { fill: none; stroke: #0072b2; stroke-width: 1.3; }
"""


def write_run_page(
    path: Path,
    *,
    title: str,
    facts: Mapping[str, Any],
    scores: Mapping[str, float],
    latents: Sequence[Latent],
    log: Sequence[Mapping[str, Any]],
    overview: Path | None,
) -> Path:
    """Write the page.

    Args:
        path: the file.
        title: the heading.
        facts: settings of the training and the evaluation, shown as a table.
        scores: metric -> number.
        latents: all latents, in the order of the rows.
        log: the rows of metrics.jsonl.
        overview: picture of the traversals, if there is one.

    Raises:
        RunFolderError: the file cannot be written.
    """
    ordered = [metric.key for metric in METRICS if metric.key in scores]
    scored = {metric_name(key): format_number(scores[key], num_digits=3) for key in ordered}
    curves = draw_curves(log)
    parts = [
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        f'<meta name=viewport content="width=device-width, initial-scale=1"><style>{_STYLE}</style>',
        f"<h1>{html.escape(title)}</h1>",
        "<h2>Scores</h2>",
        _pairs(scored),
        "<h2>Latents</h2>",
        draw_heat_map(latents),
        "<p class=note>Mutual information between a latent's mean codes (20 bins) and a factor, over the factor's "
        "entropy. Gray latents hardly vary (standard deviation below 0.05).</p>",
        f'<h2>Traversals</h2>\n<img alt="traversals of the latents" src="{_data_uri(overview)}">' if overview else "",
        f"<h2>Training</h2>\n<div class=curves>{curves}</div>" if curves else "",
        "<h2>Settings</h2>",
        _pairs({name: str(value) for name, value in facts.items()}),
        "</html>\n",
    ]
    return write_text(path, "\n".join(part for part in parts if part))


def draw_heat_map(latents: Sequence[Latent]) -> str:
    """Return an HTML table, a row per latent and a column per factor, colored by the share of its entropy."""
    factors = list(latents[0].shares) if latents else []
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("latent", *factors, "KL, nats", "std"))
    rows = []
    for latent in latents:
        cells = "".join(_heat(latent.shares[name]) for name in factors)
        dead = "" if latent.live else ' class="dead"'
        numbers = "".join(f"<td>{format_number(value, num_digits=3)}</td>" for value in (latent.kl, latent.std))
        rows.append(f"<tr{dead}><th>{latent.index}</th>{cells}{numbers}</tr>")
    return f"<table class=heat><tr>{head}</tr>\n" + "\n".join(rows) + "\n</table>"


def _heat(share: float) -> str:
    """Return a cell from white to blue; the square root makes small shares visible."""
    depth = min(max(share, 0.0), 1.0) ** 0.5
    red, green, blue = (round(255 + (to - 255) * depth) for to in (8, 64, 129))
    ink = "#fff" if depth > 0.55 else "#222"
    return f'<td style="background:rgb({red},{green},{blue});color:{ink}">{share:.2f}</td>'


def _pairs(values: Mapping[str, str]) -> str:
    rows = (f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in values.items())
    return "<table class=scores>" + "\n".join(rows) + "</table>"


def _data_uri(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def draw_curves(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one SVG panel per quantity of a log over its steps; an empty text if there is none.

    A quantity that is always positive and spans more than a factor of 50 gets a logarithmic axis. Entries that are not
    finite numbers are skipped.

    Args:
        rows: rows of metrics.jsonl, each with its "step".

    >>> draw_curves([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]).count("<svg")
    1
    """
    names = list(dict.fromkeys(name for row in rows for name in row if name != "step"))
    panels = []
    for name in names:
        points = [(int(row["step"]), float(row[name])) for row in rows if _is_finite(row.get(name))]
        if len(points) > 1:
            panels.append(_panel(name, points[:: math.ceil(len(points) / _MAX_POINTS)]))
    return "\n".join(panels)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _panel(name: str, points: Sequence[tuple[int, float]]) -> str:
    values = [value for _, value in points]
    logarithmic = min(values) > 0 and max(values) > _LOG_RATIO * min(values)
    heights = [math.log(value) for value in values] if logarithmic else values
    low, high = min(heights), max(heights)
    first, last = points[0][0], points[-1][0]
    path = " ".join(
        f"{_LEFT + (_WIDTH - _LEFT - 6) * (step - first) / max(last - first, 1):.1f},"
        f"{_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - (y - low) / (high - low or 1)):.1f}"
        for (step, _), y in zip(points, heights, strict=True)
    )
    title = html.escape(_NAMES.get(name, score_name(name)) + (", log scale" if logarithmic else ""))
    bottom = _HEIGHT - _BOTTOM
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{title}">'
        f'<text x="{_LEFT}" y="14" class=t>{title}</text>'
        f'<text x="{_LEFT - 4}" y="{_TOP + 8}" class=n>{format_number(max(values))}</text>'
        f'<text x="{_LEFT - 4}" y="{bottom}" class=n>{format_number(min(values))}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}" class=s>{first}</text>'
        f'<text x="{_WIDTH - 6}" y="{_HEIGHT - 4}" class=n>{last}</text>'
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - 6}" class=a /><polyline points="{path}" class=c /></svg>'
    )
