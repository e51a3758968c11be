"""What a notebook shows of this package's objects instead of their text: tables of scores, as HTML.

Colours are translucent, so that tables read on light and dark grounds; all text is escaped.
"""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ganspace_topdis.traversal.labels import SCORE_NOTES, format_number, score_name

if TYPE_CHECKING:
    from ganspace_topdis.latent.directions import Directions

__all__ = ["directions_html", "matrix_html", "table_html"]

_CELL = "padding:0.2em 0.8em;text-align:right;font-variant-numeric:tabular-nums"
_HEAD = f"{_CELL};border-bottom:1px solid currentColor"
_TINT, _MARK = "36,99,168", "outline:2px solid rgba(36,99,168,0.9)"


def table_html(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, caption: str = "", styles: dict[tuple[int, int], str]
) -> str:
    """A table: numbers to three digits, other things as they are, nothing for None.

    Args:
        columns: their headings.
        rows: one entry a column.
        caption: a line above it.
        styles: (row, column) -> further CSS of a cell.
    """
    head = "".join(f'<th style="{_HEAD}"{_note(column)}>{_text(score_name(column))}</th>' for column in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_CELL};{styles.get((place, column), "")}">{_text(value)}</td>'
            for column, value in enumerate(row)
        )
        + "</tr>"
        for place, row in enumerate(rows)
    )
    above = f'<caption style="text-align:left;padding:0.2em 0.8em">{_text(caption)}</caption>' if caption else ""
    return f'<table style="border-collapse:collapse">{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def directions_html(directions: "Directions") -> str:
    """One row a direction: its number and all that its file says of it."""
    table = directions.score_table()["directions"]
    columns = list(dict.fromkeys(key for row in table for key in row if _is_shown([row.get(key) for row in table])))
    rows = [[row.get(column) for column in columns] for row in table]
    return table_html(columns, rows, caption=repr(directions), styles={})


def matrix_html(
    rows: Sequence[str],
    columns: Sequence[str],
    matrix: Sequence[Sequence[float]],
    *,
    marked: Sequence[tuple[int, int]] = (),
    caption: str = "",
) -> str:
    """A matrix as a table, each cell tinted by its part of its row's sum; `marked` cells have a frame."""
    styles = {}
    for place, row in enumerate(matrix):
        total = sum(row) or 1.0
        for column, value in enumerate(row):
            frame = _MARK if (place, column) in marked else ""
            styles[place, column + 1] = f"background:rgba({_TINT},{0.75 * value / total:.2f});{frame}"
    cells = [[name, *row] for name, row in zip(rows, matrix, strict=True)]
    return table_html(["", *columns], cells, caption=caption, styles=styles)


def _is_shown(column: Sequence[Any]) -> bool:
    return any(value is not None for value in column) and all(
        value is None or isinstance(value, str | int | float) for value in column
    )


def _text(value: Any) -> str:
    if isinstance(value, float):
        return format_number(value, num_digits=3)
    return "" if value is None else html.escape(str(value).replace("_", " "))


def _note(column: str) -> str:
    return f' title="{html.escape(SCORE_NOTES[column][1])}"' if column in SCORE_NOTES else ""
