"""A table of text, and its rendering as Markdown, HTML, LaTeX and CSV."""

import csv
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Table", "to_csv", "to_html", "to_latex", "to_markdown"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text in rows and columns.

    Attributes:
        title: heading.
        header: column names.
        rows: one text per column.
        note: a sentence below the table.
        num_labels: number of leading columns that hold words; the others hold numbers.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    num_labels: int = 1

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), self.title


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "_": r"\_",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "—": "--",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
}


def to_markdown(table: Table, *, level: int = 2) -> str:
    """Return a heading, the table with right-aligned numbers, and the note."""
    rule = ["---" if column < table.num_labels else "---:" for column in range(len(table.header))]
    lines = [_bar(table.header), _bar(rule), *(_bar(row) for row in table.rows)]
    parts = [f"{'#' * level} {table.title}", "\n".join(lines), table.note]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_html(table: Table) -> str:
    """Return a `<table>` with caption, and the note as a paragraph."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table.header)
    body = "\n".join(f"<tr>{_html_cells(row, table.num_labels)}</tr>" for row in table.rows)
    note = f"<p class=note>{html.escape(table.note)}</p>" if table.note else ""
    caption = html.escape(table.title)
    return (
        f"<div class=scroll><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"\n<tbody>\n{body}\n</tbody></table></div>\n{note}"
    )


def to_latex(table: Table) -> str:
    """Return a `table` environment in booktabs style."""
    columns = "l" * table.num_labels + "r" * (len(table.header) - table.num_labels)
    rows = [_latex_row(row) for row in table.rows]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_latex(table.title)}}}",
            r"\centering",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _latex_row(table.header),
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return comma-separated values with a header; None becomes an empty field.

    >>> to_csv(["a", "b"], [["x, y", None]])
    'a,b\\n"x, y",\\n'
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return stream.getvalue()


def _bar(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", r"\|").replace("\n", " ") for text in texts) + " |"


def _html_cells(row: Sequence[str], num_labels: int) -> str:
    return "".join(
        f'<th scope="row">{html.escape(text)}</th>' if column < num_labels else f"<td>{html.escape(text)}</td>"
        for column, text in enumerate(row)
    )


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _latex_row(row: Sequence[str]) -> str:
    return " & ".join(map(_latex, row)) + r" \\"
