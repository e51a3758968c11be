"""The page of a comparison: one file with its tables and sheets in it, which opens anywhere and asks for nothing."""

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

from ganspace_topdis.traversal.labels import format_number, score_name

__all__ = ["compare_page"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --grey: #5b6670; --line: #d5dbe1; --paper: #fcfcfa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --grey: #a3adb6; --line: #3a424a; --paper: #16191c; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; } p { color: var(--grey); max-width: 46rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { color: var(--grey); font-weight: 500; }
img { max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px; }
"""

_HEAD = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Comparison of directions</title>
<meta name="viewport" content="width=device-width">
<style>{_STYLE}</style>
"""

Row = Mapping[str, Any]


def compare_page(rows: Sequence[Row], sheets: Sequence[bytes]) -> str:
    """The HTML of a comparison.

    Args:
        rows: what comparison.json holds of each run, the first one first.
        sheets: a PNG for each direction of the first run.
    """
    first = rows[0]["run"]
    parts = [
        f"<h1>{len(rows)} runs compared</h1>",
        "<p>Means over each run's directions, as far as they were scored.</p>",
        _scores(rows),
        "<h2>Which direction is which</h2>",
        f"<p>For each direction of {html.escape(first)} the one that changes images most alike, and how alike "
        "(mean cosine of the changes; 1 is the same). In brackets the |cos| of displacements, where both live in one "
        "space, of the pair that they would make.</p>",
        _matches(rows),
        "<h2>Matched walks</h2>",
        *(_figure(index, sheet) for index, sheet in enumerate(sheets)),
    ]
    body = "\n".join(parts)
    return f"{_HEAD}<main>\n{body}\n</main>\n</html>\n"


def _scores(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row["means"]))
    head = ["run", "method", "space", "directions", *map(score_name, names), "matched"]
    body = [
        [
            row["run"],
            str(row["method"]),
            row["space"],
            str(row["num_directions"]),
            *(format_number(row["means"][name]) if name in row["means"] else "" for name in names),
            "" if place == 0 else format_number(row["images"]["mean"]),
        ]
        for place, row in enumerate(rows)
    ]
    return _table(head, body)


def _matches(rows: Sequence[Row]) -> str:
    body = [
        [str(index), *(_match(row, index) for row in rows[1:])] for index in range(len(rows[0]["images"]["partner"]))
    ]
    return _table([rows[0]["run"], *(row["run"] for row in rows[1:])], body)


def _match(row: Row, index: int) -> str:
    partner = row["images"]["partner"][index]
    if partner < 0:
        return "none"
    text = f"{partner}: {format_number(row['images']['similarity'][index])}"
    other = row["displacements"]
    if other is None or other["partner"][index] < 0:
        return text
    return f"{text} ({other['partner'][index]}: {format_number(other['similarity'][index])})"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    lines = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>'


def _figure(index: int, sheet: bytes) -> str:
    data = base64.b64encode(sheet).decode("ascii")
    return (
        f'<figure><img alt="Walks along direction {index} and its matches" src="data:image/png;base64,{data}"></figure>'
    )
