"""HTML tables that notebooks show for the objects of this package, instead of their text.

The layout is written into each element, because notebooks do not have our style sheet. Colors are translucent, so that
tables are readable on light and dark backgrounds.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ganspace_topdis.report.table import Table, to_html
from ganspace_topdis.report.values import format_number, score_name, score_note

__all__ = ["directions_html", "matrix_html", "table_html"]


class ScoredDirections(Protocol):
    """The part of `latent.directions.Directions` that a table needs."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Method, space and scores."""

    @property
    def num_directions(self) -> int:
        """The number of directions."""

    def score_table(self) -> dict[str, Any]:
        """Return {"directions": one mapping of scores per direction, ...}."""


def table_html(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    caption: str = "",
    tints: Mapping[tuple[int, int], float] | None = None,
    marked: Sequence[tuple[int, int]] = (),
) -> str:
    """Return a table: floats with three digits, an empty cell for None, other values as text.

    Args:
        columns: score keys or other column names.
        rows: one value per column.
        caption: a line above the table.
        tints: (row, column) -> 0 to 1, the strength of the cell's color.
        marked: (row, column) of cells with a frame.
    """
    table = Table(
        title=caption,
        header=tuple(map(score_name, columns)),
        rows=tuple(tuple(map(_text, row)) for row in rows),
        num_labels=0,
        hints={score_name(column): note for column in columns if (note := score_note(column))},
        tints=tints or {},
        marked=marked,
    )
    return to_html(table, inline=True)


def directions_html(directions: ScoredDirections) -> str:
    """Return one row per direction: its number and the scores in its file."""
    table = directions.score_table()["directions"]
    columns = list(dict.fromkeys(key for row in table for key in row if _is_shown([row.get(key) for row in table])))
    rows = [[row.get(column) for column in columns] for row in table]
    facts = [str(directions.metadata[name]) for name in ("method", "space") if name in directions.metadata]
    return table_html(columns, rows, caption=" · ".join([f"{directions.num_directions} directions", *facts]))


def matrix_html(
    rows: Sequence[str],
    columns: Sequence[str],
    matrix: Sequence[Sequence[float]],
    *,
    marked: Sequence[tuple[int, int]] = (),
    caption: str = "",
) -> str:
    """Return a matrix as a table: each cell is tinted by its share of the row's sum, `marked` cells have a frame."""
    tints = {}
    for place, row in enumerate(matrix):
        total = sum(row) or 1.0
        tints.update({(place, column + 1): value / total for column, value in enumerate(row)})
    cells = [[name, *row] for name, row in zip(rows, matrix, strict=True)]
    framed = [(row, column + 1) for row, column in marked]
    return table_html(["", *columns], cells, caption=caption, tints=tints, marked=framed)


def _is_shown(column: Sequence[Any]) -> bool:
    return any(value is not None for value in column) and all(
        value is None or isinstance(value, str | int | float) for value in column
    )


def _text(value: Any) -> str:
    if isinstance(value, float):
        return format_number(value, num_digits=3)
    return "" if value is None else str(value).replace("_", " ")
