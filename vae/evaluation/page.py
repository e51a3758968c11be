"""report.html of a run: scores, what each latent does, loss curves, traversals. One file, nothing to load."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganspace_topdis.runs.files import write_text
from ganspace_topdis.traversal.labels import format_number
from vae.evaluation.curves import draw_curves
from vae.evaluation.latents import Latent
from vae.evaluation.metrics import METRICS, metric_name

__all__ = ["draw_heat_map", "write_run_page"]

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
        facts: what was trained and evaluated, for a table.
        scores: metric -> number.
        latents: every latent, in the order of the rows.
        log: the rows of metrics.jsonl.
        overview: a picture of the traversals, where there is one.

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
        "<p class=note>Mutual information of a latent's mean codes (20 bins) and a factor, over the factor's entropy. "
        "Grey latents hardly vary (standard deviation under 0.05).</p>",
        f'<h2>Traversals</h2>\n<img alt="latents walked" src="{_data_uri(overview)}">' if overview else "",
        f"<h2>Training</h2>\n<div class=curves>{curves}</div>" if curves else "",
        "<h2>Settings</h2>",
        _pairs({name: str(value) for name, value in facts.items()}),
        "</html>\n",
    ]
    return write_text(path, "\n".join(part for part in parts if part))


def draw_heat_map(latents: Sequence[Latent]) -> str:
    """A table, a row a latent and a column a factor, coloured by the share of the factor's entropy."""
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
    """A cell from white to blue; the square root makes small shares visible."""
    depth = min(max(share, 0.0), 1.0) ** 0.5
    red, green, blue = (round(255 + (to - 255) * depth) for to in (8, 64, 129))
    ink = "#fff" if depth > 0.55 else "#222"
    return f'<td style="background:rgb({red},{green},{blue});color:{ink}">{share:.2f}</td>'


def _pairs(values: Mapping[str, str]) -> str:
    rows = (f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in values.items())
    return "<table class=scores>" + "\n".join(rows) + "</table>"


def _data_uri(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
