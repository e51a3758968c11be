"""A table of text, rendered as HTML, plain text, Markdown, LaTeX and CSV.

Wide tables are split into groups of columns instead of being cut off: each group repeats the leading columns of labels.
Plain text and Markdown stay within 80 columns; HTML stays within a wide window, and on a narrow screen each row of a
wide table becomes a block of its own (see style.css).
"""

import csv
import dataclasses
import html
import io
import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ganspace_topdis.report.values import format_setting

__all__ = ["Table", "settings_table", "to_csv", "to_html", "to_latex", "to_markdown", "to_text"]

TEXT_COLUMNS = 80
_HTML_COLUMNS, _NARROW_COLUMNS = 150, 46
"""Characters of small type that fit side by side: in a window of 1400 px, and of 400 px."""
_MAX_TINT = 0.7
_TINT = "36,99,168"
_MARK = f"outline:2px solid rgba({_TINT},0.9);outline-offset:-2px"
_INLINE = "padding:0.2em 0.8em;font-variant-numeric:tabular-nums"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Text in rows and columns.

    Attributes:
        header: column names.
        rows: one text per column.
        title: heading; none by default.
        note: a sentence below the table.
        num_labels: number of leading columns that hold words; the others hold numbers.
        hints: column name -> explanation, shown in HTML when the pointer rests on the name.
        tints: (row, column) -> 0 to 1, the strength of the cell's background in HTML.
        marked: (row, column) of cells with a frame in HTML.
        muted: rows in gray in HTML.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    note: str = ""
    num_labels: int = 1
    hints: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tints: Mapping[tuple[int, int], float] = dataclasses.field(default_factory=dict)
    marked: Collection[tuple[int, int]] = ()
    muted: Collection[int] = ()

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), self.title


def settings_table(settings: Mapping[str, Any], *, title: str = "") -> Table:
    """Return settings as a table of two columns; nested settings get a row each.

    >>> settings_table({"batch_size": 64, "topdis": {"weight": 5.0}}).rows
    (('batch size', '64'), ('topdis: weight', '5'))
    """
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        words = name.replace("_", " ")
        if isinstance(value, Mapping) and value:
            rows += [(f"{words}: {key.replace('_', ' ')}", format_setting(entry)) for key, entry in value.items()]
        else:
            rows.append((words, format_setting(value)))
    return Table(title=title, header=("setting", "value"), rows=tuple(rows), num_labels=2)


def to_html(table: Table, *, inline: bool = False) -> str:
    """Return `<table>` elements with captions, and the note as a paragraph; all text is escaped.

    Args:
        table: the table.
        inline: whether the layout is written into each element, for places without our style sheet (notebooks).
    """
    groups = [table] if inline or table.tints or table.marked else _split(table, _HTML_COLUMNS, _wrapped_widths)
    note = f'\n<p class="note">{html.escape(table.note)}</p>' if table.note else ""
    return "\n".join(_html_table(group, inline) for group in groups) + note


def to_text(table: Table, *, width: int = TEXT_COLUMNS) -> str:
    """Return the table as aligned plain text, no line longer than `width` unless a single word is.

    >>> print(to_text(Table(header=("run", "RTD"), rows=(("first", "0.5"), ("second", "12")))))
    run     RTD
    first   0.5
    second   12
    """
    groups = ["\n".join(_text_lines(group)) for group in _split(table, width, _wrapped_widths)]
    parts = [*textwrap.wrap(table.title, width), "\n\n".join(groups), *textwrap.wrap(table.note, width)]
    return "\n".join(parts)


def to_markdown(table: Table, *, level: int = 2) -> str:
    """Return a heading, the table with right-aligned numbers, and the note."""
    groups = _split(table, TEXT_COLUMNS - 2, _plain_widths)
    parts = [f"{'#' * level} {table.title}" if table.title else "", *map(_markdown_table, groups), table.note]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_latex(table: Table) -> str:
    """Return a `table` environment in booktabs style."""
    columns = "l" * table.num_labels + "r" * (len(table.header) - table.num_labels)
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_latex(table.title)}}}",
            r"\centering",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _latex_row(table.header),
            r"\midrule",
            *map(_latex_row, table.rows),
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


# Column groups


def _split(table: Table, width: int, widths_of: Callable[[Table], list[int]]) -> list[Table]:
    """Split the columns into groups that fit into `width` characters, each with all columns of labels."""
    widths = [size + 3 for size in widths_of(table)]
    labels = list(range(table.num_labels))
    room = width - sum(widths[: table.num_labels])
    groups: list[list[int]] = [[]]
    for column in range(table.num_labels, len(widths)):
        if groups[-1] and sum(widths[other] for other in groups[-1]) + widths[column] > room:
            groups.append([])
        groups[-1].append(column)
    if len(groups) == 1:
        return [table]
    return [_columns(table, [*labels, *group], is_first=group is groups[0]) for group in groups]


def _columns(table: Table, columns: Sequence[int], *, is_first: bool) -> Table:
    return dataclasses.replace(
        table,
        title=table.title if is_first or not table.title else f"{table.title} (continued)",
        header=tuple(table.header[column] for column in columns),
        rows=tuple(tuple(row[column] for column in columns) for row in table.rows),
    )


def _plain_widths(table: Table) -> list[int]:
    return [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]


def _wrapped_widths(table: Table) -> list[int]:
    """Return the width of each column if headers wrap between words, and labels after 28 characters."""
    widths = []
    for place, (name, *cells) in enumerate(zip(table.header, *table.rows, strict=True)):
        longest = max(map(len, cells), default=0)
        words = max((len(word) for text in (name, *cells) for word in text.split()), default=0)
        wrapped = max(min(longest, 28), words) if place < table.num_labels else longest
        widths.append(max(wrapped, *(len(word) for word in name.split()), 1))
    return widths


def _narrow_width(table: Table) -> int:
    """Return the width of the table if labels wrap after 16 characters, which a narrow screen allows."""
    widths = _wrapped_widths(table)
    return sum((min(size, 16) if place < table.num_labels else size) + 2 for place, size in enumerate(widths))


# HTML


def _html_table(table: Table, inline: bool) -> str:
    is_map = len({column for _, column in table.tints}) > 1
    stacks = not inline and not is_map and _narrow_width(table) > _NARROW_COLUMNS
    kind = "heat" if is_map else "stack" if stacks else ""
    caption = f"<caption>{html.escape(table.title)}</caption>" if table.title else ""
    head = "".join(_head_cell(table, column, inline) for column in range(len(table.header)))
    starts = ['<tr class="muted">' if place in table.muted else "<tr>" for place in range(len(table.rows))]
    body = "\n".join(
        f"{start}{''.join(_cells(table, place, inline, stacks))}</tr>" for place, start in enumerate(starts)
    )
    start = f'<table class="{kind}">' if kind else "<table>"
    if inline:
        start = '<table style="border-collapse:collapse">'
        caption = caption.replace("<caption>", '<caption style="text-align:left;padding:0.2em 0.8em">')
    table_html = f"{start}{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return table_html if inline else f'<div class="scroll">{table_html}</div>'


def _head_cell(table: Table, column: int, inline: bool) -> str:
    name = table.header[column]
    hint = f' title="{html.escape(table.hints[name])}"' if name in table.hints else ""
    label = ' class="label"' if column < table.num_labels else ""
    style = f' style="{_INLINE};text-align:right;border-bottom:1px solid currentColor"' if inline else label
    return f'<th scope="col"{style}{hint}>{html.escape(name)}</th>'


def _cells(table: Table, place: int, inline: bool, stacks: bool) -> Iterator[str]:
    for column, text in enumerate(table.rows[place]):
        styles = [f"{_INLINE};text-align:right"] if inline else []
        if (place, column) in table.tints:
            strength = min(max(table.tints[place, column], 0.0), 1.0)
            styles.append(f"background:rgba({_TINT},{_MAX_TINT * strength:.2f})")
        if (place, column) in table.marked:
            styles.append(_MARK)
        style = f' style="{";".join(styles)}"' if styles else ""
        label = f' data-label="{html.escape(table.header[column])}"' if stacks else ""
        tag, scope = ("th", ' scope="row"') if column < table.num_labels else ("td", "")
        yield f"<{tag}{scope}{label}{style}>{html.escape(text)}</{tag}>"


# Text, Markdown, LaTeX


def _text_lines(table: Table) -> Iterator[str]:
    widths = _wrapped_widths(table)
    for row in (table.header, *table.rows):
        cells = [textwrap.wrap(text, size) or [""] for text, size in zip(row, widths, strict=True)]
        for line in range(max(map(len, cells))):
            texts = [cell[line] if line < len(cell) else "" for cell in cells]
            aligned = [
                text.ljust(size) if column < table.num_labels else text.rjust(size)
                for column, (text, size) in enumerate(zip(texts, widths, strict=True))
            ]
            yield "   ".join(aligned).rstrip()


def _markdown_table(table: Table) -> str:
    rule = ["---" if column < table.num_labels else "---:" for column in range(len(table.header))]
    return "\n".join(_bar(row) for row in (table.header, rule, *table.rows))


def _bar(texts: Sequence[str]) -> str:
    return "| " + " | ".join(map(_in_markdown, texts)) + " |"


def _in_markdown(text: str) -> str:
    """Return the text on one line, without cell borders and tags.

    >>> _in_markdown("a | <b>, p < 0.05")
    'a \\\\| \\\\<b>, p < 0.05'
    """
    return re.sub(r"\||<(?=[A-Za-z/!?])", r"\\\g<0>", " ".join(text.splitlines()))


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


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _latex_row(row: Sequence[str]) -> str:
    return " & ".join(map(_latex, row)) + r" \\"
