"""`topdis-gan compare`: runs of several methods or seeds on one checkpoint, side by side.

scores of all runs -> match every run's directions to the first run's -> draw matched walks, row against row -> page
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.evaluation.matching import Matching, image_changes, match_changes, match_displacements
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.devices import choose_device
from ganspace_topdis.runs.files import make_folder, write_bytes, write_json, write_text
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.traversal.frames import Frames, traverse_all
from ganspace_topdis.traversal.grid import draw_overview, encode_png
from ganspace_topdis.traversal.names import DirectionLabel
from stylegan2.commands.found import checkpoint_of_run, require_same_checkpoint
from stylegan2.commands.pictures import PictureOptions, labels_of, names_of
from stylegan2.comparison_page import comparison_page
from stylegan2.loading import load, locate
from stylegan2.space import LatentSpace

__all__ = ["MEANS", "compare"]

MEANS = ("score", "rtd_before", "rtd_after", "effect", "share", "spearman", "recognised", "agreement")
"""The scores of directions whose means stand in the table."""

_NUM_CODES = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Side:
    """One run of a comparison."""

    name: str
    directions: Directions
    space: LatentSpace
    labels: list[DirectionLabel]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Pairing:
    """How a run's directions match the first run's: by images, and by displacements where the space is the same."""

    images: Matching
    displacements: Matching | None


def compare(
    runs: Sequence[Path],
    pictures: PictureOptions,
    out: Path | None = None,
    *,
    ckpt: str | None = None,
    device: str = "auto",
) -> tuple[dict[str, Any], list[Path]]:
    """Compare `runs`, run folders or directions files, with the first of them.

    Args:
        runs: two or more, of one checkpoint.
        pictures: the seed that walks (the first), extent and steps.
        out: the folder; by default `comparison` beside the first run.
        ckpt: the checkpoint; by default the one that the first run names.
        device: where to draw.

    Returns:
        What comparison.json holds, and the paths written: it, the page, and a sheet for each direction.

    Raises:
        CheckpointError: a run cannot be used, or is of another checkpoint.
        InvalidArgumentError: fewer than two runs, or one of them twice.
        RunFolderError: a file cannot be written.
    """
    sides = _sides(runs, ckpt, device)
    with ProgressReporter("compare") as progress:
        changes = []
        for done, side in enumerate(sides):
            changes.append(_changes(side, pictures))
            progress(done + 1, 2 * len(sides))
        pairings = [_pairing(sides[0], side, changes[0], each) for side, each in zip(sides, changes, strict=True)]
        frames = []
        for done, side in enumerate(sides):
            frames.append(_walks(side, pictures))
            progress(len(sides) + done + 1, 2 * len(sides))
    folder = make_folder(out if out is not None else runs[0].resolve().parent / "comparison")
    sheets = [
        _sheet(folder / f"direction_{index:02d}.png", index, sides, pairings, frames, pictures)
        for index in range(sides[0].directions.num_directions)
    ]
    table = [_row(side, pairing) for side, pairing in zip(sides, pairings, strict=True)]
    written = [
        write_json(folder / "comparison.json", {"runs": table}),
        write_text(folder / "comparison.html", comparison_page(table, [path.read_bytes() for path in sheets])),
    ]
    return {"runs": table}, [*written, *sheets]


def _sides(runs: Sequence[Path], ckpt: str | None, device: str) -> list[_Side]:
    if len(runs) < 2:
        raise InvalidArgumentError(f"compare was given {len(runs)} run; give two or more")
    resolved = [run.resolve() for run in runs]
    twice = [str(run) for place, run in enumerate(runs) if resolved.index(run.resolve()) < place]
    if twice:
        raise InvalidArgumentError(f"compare was given {twice[0]} twice; give each run once")
    found = [Directions.load(run) for run in runs]
    path = locate(ckpt or checkpoint_of_run(runs[0]))
    for run, directions in zip(runs, found, strict=True):
        _require_comparable(run, directions, path)
    generator = load(path, choose_device(device))
    names = _different([run.stem if run.is_file() else run.resolve().name for run in runs])
    folders = [run if run.is_dir() else run.parent for run in runs]
    return [
        _Side(
            name=name,
            directions=directions,
            space=LatentSpace.of(directions, generator),
            labels=labels_of(directions, names_of(folder, directions)),
        )
        for name, directions, folder in zip(names, found, folders, strict=True)
    ]


def _require_comparable(run: Path, directions: Directions, ckpt: Path) -> None:
    try:
        require_same_checkpoint(directions, ckpt)
    except CheckpointError as error:
        raise CheckpointError(f"{run} cannot be compared: {error}") from error


def _different(names: list[str]) -> list[str]:
    """The names, numbered where two are alike."""
    return [f"{name} ({place})" if names.count(name) > 1 else name for place, name in enumerate(names)]


def _changes(side: _Side, pictures: PictureOptions) -> Tensor:
    """How pooled images change along each direction, on codes that all sides share."""
    space = dataclasses.replace(side.space.truncated(pictures.truncation_psi), resolution=None)
    codes = space.codes_of_seeds(range(_NUM_CODES))
    return image_changes(
        space.features, side.directions, codes, layers=space.moving_layers, batch_size=pictures.batch_size
    )


def _pairing(first: _Side, side: _Side, first_changes: Tensor, changes: Tensor) -> _Pairing:
    same_space = (first.space.name, first.directions.code_dim) == (side.space.name, side.directions.code_dim)
    return _Pairing(
        images=match_changes(first_changes, changes),
        displacements=match_displacements(first.directions, side.directions) if same_space else None,
    )


def _walks(side: _Side, pictures: PictureOptions) -> Frames:
    """The walks of one seed along all directions, (K, num_steps, H, W, C)."""
    space = side.space.truncated(pictures.truncation_psi)
    return traverse_all(
        space.images,
        space.codes_of_seeds(pictures.seeds[:1]),
        side.directions,
        extent=pictures.extent,
        num_steps=pictures.num_steps,
        layers=space.moving_layers,
        batch_size=pictures.batch_size,
        max_size_px=256,
    )[:, 0]


def _sheet(
    path: Path,
    index: int,
    sides: Sequence[_Side],
    pairings: Sequence[_Pairing],
    frames: Sequence[Frames],
    pictures: PictureOptions,
) -> Path:
    """The walk along a direction of the first run, and under it those that match it, running the same way."""
    rows, labels = [], []
    for side, pairing, walks in zip(sides, pairings, frames, strict=True):
        partner, sign = pairing.images.partner[index], pairing.images.sign[index]
        if partner < 0:
            continue
        label = side.labels[partner]
        scores = {"alike": pairing.images.similarity[index]} if side is not sides[0] else {}
        labels.append(dataclasses.replace(label, name=f"{side.name}: {label.name}", scores={**scores, **label.scores}))
        rows.append(walks[partner][::sign])
    values = pictures.walk(None).values
    sheet = draw_overview(np.stack(rows), labels, values, subtitle=f"seed {pictures.seeds[0]}")
    return write_bytes(path, encode_png(sheet))


def _row(side: _Side, pairing: _Pairing) -> dict[str, Any]:
    """What the table says of one run."""
    facts, columns = side.directions.metadata, side.directions.columns
    means = {
        name: sum(numbers) / len(numbers)
        for name in MEANS
        if (numbers := [value for value in columns.get(name, []) if isinstance(value, int | float)])
    }
    return {
        "run": side.name,
        "method": facts.get("method"),
        "space": side.space.name,
        "seed": facts.get("seed"),
        "num_directions": side.directions.num_directions,
        "means": means,
        "images": pairing.images.as_dict(),
        "displacements": None if pairing.displacements is None else pairing.displacements.as_dict(),
    }
