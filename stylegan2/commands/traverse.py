"""`topdis-gan traverse`: more pictures of directions that were found before."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, RunFolderError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.devices import choose_device
from ganspace_topdis.runs.files import sha256_of
from ganspace_topdis.runs.folder import read_run
from ganspace_topdis.traversal.gallery import write_traversal
from stylegan2.commands.pictures import PictureOptions, labels_of
from stylegan2.commands.ranges import parse_layers
from stylegan2.loading import load, locate
from stylegan2.space import WSpace, codes_of_seeds

__all__ = ["checkpoint_of_run", "traverse"]


def traverse(
    run: Path,
    *,
    chosen: Sequence[int] | None,
    layers: str | None,
    picture_format: str,
    pictures: PictureOptions,
    ckpt: str | None = None,
    label: int | None = None,
    out: Path | None = None,
    device: str = "auto",
) -> list[Path]:
    """Draw walks along the `chosen` directions (all by default) of `run`, a run folder or a directions file.

    Args:
        run: where the directions are.
        chosen: their numbers.
        layers: layers that move, as typed; by default those that the directions were found in.
        picture_format: "png", "webp" or "gif".
        pictures: seeds, extent, steps, truncation.
        ckpt: the checkpoint; by default the one that the run names.
        label: the class of a conditional generator; by default the run's.
        out: folder for the pictures; by default `traversals` beside the directions.
        device: where to draw.

    Raises:
        CheckpointError: directions or checkpoint cannot be used, or do not belong together.
        InvalidArgumentError: a direction or layer does not exist.
        RunFolderError: a picture cannot be written.
    """
    directions = Directions.load(run)
    path = locate(ckpt or checkpoint_of_run(run))
    require_same_checkpoint(directions, path)
    generator = load(path, choose_device(device))
    found_in = directions.metadata.get("layers")
    moving = parse_layers(layers, generator.num_ws) if layers else (None if found_in is None else tuple(found_in))
    space = WSpace(
        generator=generator, layers=moving, label=directions.metadata.get("label") if label is None else label
    )
    indices = range(directions.num_directions) if chosen is None else chosen
    missing = [index for index in indices if not 0 <= index < directions.num_directions]
    if missing:
        raise InvalidArgumentError(
            f"--direction {missing[0]} does not exist: {run} holds 0 to {directions.num_directions - 1}"
        )
    folder = _folder_for(run, out)
    codes = codes_of_seeds(generator, pictures.seeds, label=space.label, truncation_psi=pictures.truncation_psi)
    labels, names = labels_of(directions), [f"seed {seed}" for seed in pictures.seeds]
    suffix = "" if layers is None else f"_layers_{layers.replace(',', '_')}"
    seeds = f"seeds_{pictures.seeds[0]}-{pictures.seeds[-1]}"
    with torch.no_grad():
        return [
            write_traversal(
                folder / f"direction_{index:02d}_{seeds}{suffix}.{picture_format}",
                space.images,
                codes,
                directions,
                labels[index],
                names,
                walk=pictures.walk(moving),
            )
            for index in indices
        ]


def checkpoint_of_run(run: Path) -> str:
    """The checkpoint that a run folder names.

    Raises:
        CheckpointError: `run` is no run folder, so a checkpoint must be given.
    """
    try:
        return str(read_run(run if run.is_dir() else run.parent).config["ckpt"])
    except (RunFolderError, KeyError) as error:
        raise CheckpointError(f"{run} does not say which checkpoint it belongs to; give it with --ckpt") from error


def require_same_checkpoint(directions: Directions, path: Path) -> None:
    """Refuse directions that were found in another checkpoint than the file at `path`.

    Raises:
        CheckpointError: the SHA-256 differ.
    """
    expected, actual = directions.metadata.get("checkpoint_sha256"), sha256_of(path)
    if expected is not None and expected != actual:
        raise CheckpointError(
            f"these directions were found in a checkpoint with SHA-256 {expected[:12]}..., {path} has "
            f"{actual[:12]}...; give the checkpoint they belong to with --ckpt"
        )


def _folder_for(run: Path, out: Path | None) -> Path:
    folder = out if out is not None else (run if run.is_dir() else run.parent) / "traversals"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot make {folder}: {error.strerror}; choose another --out") from error
    return folder
