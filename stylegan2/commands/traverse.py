"""`topdis-gan traverse`: more pictures of directions that were found before."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.files import make_folder
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.traversal.gallery import write_page, write_traversal
from ganspace_topdis.traversal.names import DirectionLabel
from stylegan2.commands.found import Found, checkpoint_of_run, open_found, require_same_checkpoint
from stylegan2.commands.pictures import PictureOptions, labels_of, names_of, page_text

__all__ = ["checkpoint_of_run", "require_same_checkpoint", "traverse"]


def traverse(
    run: Path,
    *,
    chosen: Sequence[int] | None,
    layers: str | None,
    picture_format: str,
    pictures: PictureOptions,
    ckpt: str | None = None,
    label: int | None = None,
    names: Path | None = None,
    out: Path | None = None,
    device: str = "auto",
) -> list[Path]:
    """Draw walks along the `chosen` directions (all by default) of `run`, a run folder or a directions file.

    Args:
        run: where the directions are.
        chosen: their numbers.
        layers: layers that move, as typed; by default those that the directions were found in.
        picture_format: "png", "webp", "gif", or "html" for one page of all.
        pictures: seeds, extent, steps, truncation, mixes.
        ckpt: the checkpoint; by default the one that the run names.
        label: the class of a conditional generator; by default the run's.
        names: names that were saved from a page; by default those in the run folder.
        out: folder for the pictures; by default `traversals` beside the directions.
        device: where to draw.

    Raises:
        CheckpointError: directions or checkpoint cannot be used, or do not belong together.
        InvalidArgumentError: a direction or layer does not exist, or the names belong to other directions.
        RunFolderError: a picture cannot be written.
    """
    found = open_found(run, ckpt=ckpt, layers=layers, label=label, device=device)
    labels = labels_of(found.directions, names_of(found.folder, found.directions, names))
    labels = labels if chosen is None else [labels[index] for index in _existing(chosen, len(labels), run)]
    folder = make_folder(found.folder / "traversals" if out is None else out)
    space = found.space.truncated(pictures.truncation_psi, pictures.truncation_cutoff)
    found = dataclasses.replace(found, space=space)
    codes = space.codes_of_seeds(pictures.seeds)
    suffix = "" if layers is None else f"_layers_{layers.replace(',', '_')}"
    ending = f"seeds_{pictures.seeds[0]}-{pictures.seeds[-1]}{suffix}.{picture_format}"
    with torch.no_grad():
        if picture_format == "html":
            return [_page(folder / f"explorer_{ending}", found, codes, labels, pictures)]
        return [
            _walk(folder / f"direction_{label.index:02d}_{ending}", found, codes, label, pictures) for label in labels
        ]


def _walk(path: Path, found: Found, codes: Tensor, label: DirectionLabel, pictures: PictureOptions) -> Path:
    seeds, walk = [f"seed {seed}" for seed in pictures.seeds], pictures.walk(found.space.moving_layers)
    return write_traversal(path, found.space.images, codes, found.directions, label, seeds, walk=walk)


def _page(path: Path, found: Found, codes: Tensor, labels: Sequence[DirectionLabel], pictures: PictureOptions) -> Path:
    with ProgressReporter("pictures") as progress:
        return write_page(
            path,
            found.space.images,
            codes,
            found.directions,
            labels,
            [f"seed {seed}" for seed in pictures.seeds],
            walk=pictures.walk(found.space.moving_layers),
            text=page_text(found.directions, pictures),
            num_mixed=pictures.mix(len(labels), found.space.generator.img_resolution),
            progress=progress,
        )


def _existing(chosen: Sequence[int], num_directions: int, run: Path) -> Sequence[int]:
    missing = [index for index in chosen if not 0 <= index < num_directions]
    if missing:
        raise InvalidArgumentError(f"--direction {missing[0]} does not exist: {run} holds 0 to {num_directions - 1}")
    return chosen
