"""Several runs on one checkpoint side by side: their directions matched, their walks drawn, their scores in a page."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.evaluation.matching import Matching, image_changes, match_changes, match_displacements
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.report.page import build_page, figure, section
from ganspace_topdis.report.table import Table, to_html
from ganspace_topdis.report.values import MISSING, format_number, score_name, score_note
from ganspace_topdis.runs.devices import choose_device
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.traversal.frames import Frames, traverse_all
from ganspace_topdis.traversal.grid import draw_overview, encode_png
from ganspace_topdis.traversal.names import DirectionLabel
from stylegan2.loading import checkpoint_of_run, load, locate_checkpoint, require_same_checkpoint
from stylegan2.runs.pictures import labels_of, names_of, walk_settings
from stylegan2.settings import PictureSettings
from stylegan2.space import LatentSpace

__all__ = [
    "MEANS",
    "Pairing",
    "Side",
    "changes_of",
    "comparison_page",
    "draw_sheet",
    "load_sides",
    "match",
    "scores_table",
    "table_row",
    "walks_of",
]


MEANS = (
    *("score", "rtd_before", "rtd_after", "mixed", "overlap", "effect"),
    *("share", "own_change", "spearman", "recognized", "agreement"),
)
"""The scores of directions whose means the table lists."""

_NUM_CODES = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """One run of a comparison, and the name of its checkpoint."""

    name: str
    checkpoint: str
    directions: Directions
    space: LatentSpace
    labels: list[DirectionLabel]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairing:
    """How a run's directions match the first run's: by images, and by displacements where the space is the same."""

    images: Matching
    displacements: Matching | None


def load_sides(runs: Sequence[Path], ckpt: str | None, device: str) -> list[Side]:
    """The runs with their directions and generator.

    Raises:
        CheckpointError: a run cannot be used, or is of another checkpoint.
        InvalidArgumentError: fewer than two runs, or one of them twice.
    """
    if len(runs) < 2:
        raise InvalidArgumentError(f"`runs` has {len(runs)} run, but comparing needs two or more", field="runs")
    files = [Directions.file_of(run).resolve() for run in runs]
    twice = [str(run) for place, run in enumerate(runs) if files.index(files[place]) < place]
    if twice:
        raise InvalidArgumentError(f"`runs` has {twice[0]} twice; give each run once", field="runs")
    found = [Directions.load(run) for run in runs]
    named = ckpt or checkpoint_of_run(runs[0])
    path = locate_checkpoint(runs[0], ckpt)
    for run, directions in zip(runs, found, strict=True):
        _require_comparable(run, directions, path)
    generator = load(path, choose_device(device))
    names = _different([run.stem if run.is_file() else run.resolve().name for run in runs])
    folders = [run if run.is_dir() else run.parent for run in runs]
    spaces = [LatentSpace.of(directions, generator) for directions in found]
    return [
        Side(
            name=name,
            checkpoint=Path(named).name,
            directions=space.placed(directions),
            space=space,
            labels=labels_of(directions, names_of(folder, directions)),
        )
        for name, directions, space, folder in zip(names, found, spaces, folders, strict=True)
    ]


def _require_comparable(run: Path, directions: Directions, ckpt: Path) -> None:
    try:
        require_same_checkpoint(directions, ckpt)
    except CheckpointError as error:
        raise CheckpointError(f"{run} cannot be compared: {error}") from error


def _different(names: list[str]) -> list[str]:
    """The names, numbered where two are equal."""
    return [f"{name} ({place})" if names.count(name) > 1 else name for place, name in enumerate(names)]


def changes_of(side: Side, pictures: PictureSettings) -> Tensor:
    """How pooled images change along each direction, on codes that all runs share."""
    space = dataclasses.replace(side.space.truncated(pictures.truncation_psi), resolution=None)
    codes = space.codes_of_seeds(range(_NUM_CODES))
    return image_changes(space.features, side.directions, codes, layers=space.layers, batch_size=pictures.batch_size)


def match(first: Side, side: Side, first_changes: Tensor, changes: Tensor) -> Pairing:
    """Match the directions of `side` to those of `first`."""
    same_space = (first.space.name, first.directions.code_dim) == (side.space.name, side.directions.code_dim)
    return Pairing(
        images=match_changes(first_changes, changes),
        displacements=match_displacements(first.directions, side.directions) if same_space else None,
    )


def walks_of(side: Side, pictures: PictureSettings) -> Frames:
    """The walks of one seed along all directions, (K, num_frames, H, W, C)."""
    space = side.space.truncated(pictures.truncation_psi)
    return traverse_all(
        space.images,
        space.codes_of_seeds(pictures.seeds[:1]),
        side.directions,
        extent=pictures.extent,
        num_steps=pictures.num_frames,
        layers=space.layers,
        batch_size=pictures.batch_size,
        max_size_px=256,
    )[:, 0]


def draw_sheet(
    path: Path,
    index: int,
    sides: Sequence[Side],
    pairings: Sequence[Pairing],
    frames: Sequence[Frames],
    pictures: PictureSettings,
) -> Path:
    """Draw the walk along a direction of the first run, and below it those that match it, in the same sense."""
    rows, labels = [], []
    for side, pairing, walks in zip(sides, pairings, frames, strict=True):
        partner, sign = pairing.images.partner[index], pairing.images.sign[index]
        if partner < 0:
            continue
        label = side.labels[partner]
        scores = {"similarity": pairing.images.similarity[index]} if side is not sides[0] else {}
        method = side.directions.metadata.get("method")
        run = side.name if method is None or method in side.name else f"{side.name} ({method})"
        scores |= {key: value for key, value in label.scores.items() if key != "rank"}  # a rank holds within its run
        labels.append(dataclasses.replace(label, name=f"{run}: {label.name}", scores=scores))
        rows.append(walks[partner][::sign])
    values = walk_settings(pictures, None).values
    where = f"checkpoint {sides[0].checkpoint}, seed {pictures.seeds[0]}, truncation {pictures.truncation_psi:g}"
    sheet = draw_overview(np.stack(rows), labels, values, subtitle=where)
    return write_bytes(path, encode_png(sheet))


def table_row(side: Side, pairing: Pairing) -> dict[str, Any]:
    """The row of one run in the table."""
    facts, columns = side.directions.metadata, side.directions.columns
    means = {
        name: sum(numbers) / len(numbers)
        for name in MEANS
        if (numbers := [value for value in columns.get(name, []) if isinstance(value, int | float)])
    }
    return {
        "run": side.name,
        "checkpoint": side.checkpoint,
        "method": facts.get("method"),
        "space": side.space.name,
        "seed": facts.get("seed"),
        "num_directions": side.directions.num_directions,
        "marks": [label.marks for label in side.labels],
        "means": means,
        "images": pairing.images.as_dict(),
        "displacements": None if pairing.displacements is None else pairing.displacements.as_dict(),
    }


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
        subtitle=f"Checkpoint {rows[0].get('checkpoint', 'unknown')}. The directions of every other run are "
        "matched one to one with those of the first, so that the sum of the similarities of image changes is largest.",
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
        (", ".join([f"direction {index}", *rows[0]["marks"][index]]), *(_match(row, index) for row in rows[1:]))
        for index in range(len(rows[0]["images"]["partner"]))
    ]
    return Table(
        header=(rows[0]["run"], *(row["run"] for row in rows[1:])),
        rows=tuple(body),
        note="The matching direction, its marks in its run (factor, chance level), and the similarity of their image "
        "changes. In parentheses: the match by displacements of the codes, and their |cos|, for runs in the same "
        "space. "
        f"A question mark: below {_WEAK}, which is hardly the same direction.",
    )


def _match(row: Row, index: int) -> str:
    partner, text = row["images"]["partner"][index], "none"
    if partner >= 0:
        similarity = row["images"]["similarity"][index]
        named = ", ".join([f"{partner}{'?' if similarity < _WEAK else ''}", *row["marks"][partner]])
        text = f"{named}: {format_number(similarity)}"
    other = row["displacements"]
    if other is None or other["partner"][index] < 0:
        return text
    return f"{text} ({other['partner'][index]}: {format_number(other['similarity'][index])})"
