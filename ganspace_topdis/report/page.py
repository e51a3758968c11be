"""The skeleton of every report: one self-contained HTML file with a heading, a verdict, sections and figures.

Style and pictures are inside the file, so that it opens anywhere and requests nothing. The style sheet has a light
and a dark scheme; the explorer page uses it, too.
"""

import base64
import html
import re
from collections.abc import Iterable
from importlib import resources

__all__ = ["build_page", "figure", "paragraph", "section", "style_sheet"]


def build_page(title: str, parts: Iterable[str], *, subtitle: str = "", verdict: str = "") -> str:
    """Return the HTML of a report.

    Args:
        title: the heading.
        parts: HTML, such as what `section`, `paragraph`, `figure` and `table.to_html` return; empty ones are left out.
        subtitle: a line of text under the heading: what was measured, on what.
        verdict: the result, shown before everything else: text, of which several lines become a list.
    """
    head = f"<h1>{html.escape(title)}</h1>"
    body = [head, paragraph(subtitle, kind="subtitle"), _verdict(verdict), *parts]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f"<title>{html.escape(title)}</title>",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">',
            f"<style>{style_sheet()}</style>\n</head>\n<body>\n<main>",
            *(part for part in body if part),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _verdict(text: str) -> str:
    """Return a paragraph, or a list of several lines."""
    lines = text.splitlines()
    if len(lines) < 2:
        return paragraph(text, kind="verdict")
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f'<ul class="verdict">{items}</ul>'


def section(title: str, *parts: str) -> str:
    """Return a heading followed by `parts` (HTML); an empty text if all of them are empty."""
    shown = [part for part in parts if part]
    return "\n".join([f"<h2>{html.escape(title)}</h2>", *shown]) if shown else ""


def paragraph(text: str, *, kind: str = "") -> str:
    """Return a paragraph of text, in which words in backquotes are code.

    Args:
        text: plain text; empty for no paragraph.
        kind: "note", "verdict", "warning", "subtitle" or empty.
    """
    attribute = f' class="{kind}"' if kind else ""
    shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return f"<p{attribute}>{shown}</p>" if text else ""


def figure(picture: bytes, alt: str, *, caption: str = "") -> str:
    """Return a PNG picture with a caption, inside the page; a wide one can be opened in full by scrolling sideways.

    Args:
        picture: bytes of a PNG file.
        alt: what it shows, for readers who cannot see it.
        caption: text under it; `alt` by default.
    """
    source = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
    return (
        f'<figure><div class="scroll"><img alt="{html.escape(alt)}" src="{source}"></div>'
        f"<figcaption>{html.escape(caption or alt)}</figcaption></figure>"
    )


def style_sheet() -> str:
    """Return the one style sheet, CSS."""
    return resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
