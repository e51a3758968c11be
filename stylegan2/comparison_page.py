"""The page of `topdis-gan compare`: verdict, scores, matches and matched walks of several runs, in one file."""

from collections.abc import Mapping, Sequence
from typing import Any

from ganspace_topdis.report.page import build_page, figure, section
from ganspace_topdis.report.table import Table, to_html
from ganspace_topdis.report.values import MISSING, format_number, score_name, score_note

__all__ = ["comparison_page", "scores_table"]

_WEAK = 0.35
"""Below this similarity, a match gets a question mark."""

Row = Mapping[str, Any]
"""The entry of a run in comparison.json."""


def comparison_page(rows: Sequence[Row], sheets: Sequence[bytes]) -> str:
    """Return the HTML of a comparison.

    Args:
        rows: the entries of comparison.json, the first run first.
        sheets: a PNG for each direction of the first run.
    """
    first = rows[0]["run"]
    return build_page(
        f"{len(rows)} runs compared",
        [
            section("Scores", to_html(scores_table(rows))),
            section("Matched directions", to_html(_matches(rows))),
            section(
                "Matched walks",
                *(
                    figure(
                        sheet,
                        f"Walks along direction {index} of {first} and its matches in the other runs",
                        caption=f"Direction {index} of {first} and its matches",
                    )
                    for index, sheet in enumerate(sheets)
                ),
            ),
        ],
        subtitle=f"Checkpoint {rows[0].get('checkpoint', 'unknown')}. Each direction of the first run is matched with "
        "the direction of every other run that changes images most similarly.",
        verdict=" ".join(_verdict(row, first) for row in rows[1:]),
    )


def _verdict(row: Row, first: str) -> str:
    partners, similarities = row["images"]["partner"], row["images"]["similarity"]
    matched = [
        (similarity, index, partner)
        for index, (partner, similarity) in enumerate(zip(partners, similarities, strict=True))
        if partner >= 0
    ]
    if not matched:
        return f"No direction of {row['run']} matches one of {first}."
    best, index, partner = max(matched)
    return (
        f"{row['run']}: mean similarity to {first} {format_number(row['images']['mean'])}; the best match is direction "
        f"{partner} with direction {index} of {first} ({format_number(best)})."
    )


def scores_table(rows: Sequence[Row]) -> Table:
    """The mean scores of each run, and its mean similarity to the first."""
    names = list(dict.fromkeys(name for row in rows for name in row["means"]))
    body = [
        (
            row["run"],
            str(row["method"]),
            row["space"],
            str(row["num_directions"]),
            *(format_number(row["means"][name]) if name in row["means"] else MISSING for name in names),
            MISSING if place == 0 else format_number(row["images"]["mean"]),
        )
        for place, row in enumerate(rows)
    ]
    return Table(
        header=("run", "method", "space", "directions", *map(score_name, names), "Similarity"),
        rows=tuple(body),
        note="Scores are means over the directions of a run that have one. Similarity: mean cosine of the image "
        "changes of matched directions; 1 is the same change. "
        + " ".join(f"{score_name(name)}: {note}." for name in names if (note := score_note(name))),
        num_labels=3,
        hints={score_name(name): note for name in names if (note := score_note(name))},
    )


def _matches(rows: Sequence[Row]) -> Table:
    body = [
        (f"direction {index}", *(_match(row, index) for row in rows[1:]))
        for index in range(len(rows[0]["images"]["partner"]))
    ]
    return Table(
        header=(rows[0]["run"], *(row["run"] for row in rows[1:])),
        rows=tuple(body),
        note="The matching direction and the similarity of their image changes. In parentheses: the match by "
        "displacements of the codes, and their |cos|, for runs in the same space. "
        f"A question mark: below {_WEAK}, which is hardly the same direction.",
    )


def _match(row: Row, index: int) -> str:
    partner = row["images"]["partner"][index]
    if partner < 0:
        return "none"
    similarity = row["images"]["similarity"][index]
    text = f"{partner}{'?' if similarity < _WEAK else ''}: {format_number(similarity)}"
    other = row["displacements"]
    if other is None or other["partner"][index] < 0:
        return text
    return f"{text} ({other['partner'][index]}: {format_number(other['similarity'][index])})"
