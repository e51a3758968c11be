"""Loads the directions of a run together with the generator that they belong to."""

import dataclasses
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, RunFolderError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.devices import choose_device
from ganspace_topdis.runs.files import sha256_of
from ganspace_topdis.runs.hub import HubAddress, fetch_from_hub, is_hub_address
from ganspace_topdis.runs.records import read_run
from stylegan2.loading import is_published, load, locate
from stylegan2.picture_settings import parse_layers, written_short
from stylegan2.run_settings import RunSettings
from stylegan2.space import LatentSpace

__all__ = ["CHECKPOINT_KEY", "LoadedRun", "checkpoint_of_run", "load_run", "require_same_checkpoint"]

CHECKPOINT_KEY = "checkpoint"
"""Where the metadata of shared directions name their checkpoint (`stylegan2.model_card`)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """Directions of a run, ready to be drawn.

    Attributes:
        folder: the run folder, or the folder of the directions file; where pictures are written.
        directions: the directions.
        space: the generator's space that they live in, with the layers that move and the class.
    """

    folder: Path
    directions: Directions
    space: LatentSpace


def load_run(run: Path, settings: RunSettings | None = None, *, tuned: bool = False) -> LoadedRun:
    """Load the directions of `run`, a run folder or a directions file, and their generator.

    Args:
        run: where the directions are; an hf:// address of a directions file as a path (runs/REPO is then its folder).
        settings: checkpoint, layers, class and device; by default the run's own, on any device.
        tuned: the checkpoint is not the run's but one of the same kind, tuned to an image.

    Raises:
        CheckpointError: directions or checkpoint cannot be used, or do not belong together.
        InvalidArgumentError: a layer, class or device does not exist.
    """
    settings = RunSettings() if settings is None else settings
    layers, folder = settings.layers, run if run.is_dir() else run.parent
    if is_hub_address(run):
        folder = Path("runs") / HubAddress.parse(run.as_posix()).repo
        run = fetch_from_hub(run)
    directions = Directions.load(run)
    path = locate(settings.ckpt or _published_checkpoint(directions) or checkpoint_of_run(run))
    if not tuned:
        require_same_checkpoint(directions, path)
    generator = load(path, choose_device(settings.device))
    changes: dict[str, Any] = {} if settings.label is None else {"label": settings.label}
    if layers is not None:
        if (named := directions.metadata.get("space")) in ("w+", "s"):
            what = "layers" if named == "w+" else "channels"
            raise InvalidArgumentError(
                f"`layers` is {layers!r}, but directions of space {named} name their {what}; leave `layers` out",
                field="layers",
            )
        changes["layers"] = _overlapping(parse_layers(layers, generator.num_ws), directions, layers)
    space = LatentSpace.of(directions, generator, **changes)
    return LoadedRun(folder=folder, directions=directions, space=space)


def _overlapping(chosen: tuple[int, ...] | None, directions: Directions, typed: str) -> tuple[int, ...] | None:
    """`chosen`, unless the directions were found in other layers altogether."""
    found_in = directions.metadata.get("layers")
    if chosen is not None and found_in is not None and not set(chosen) & set(found_in):
        raise InvalidArgumentError(
            f"`layers` is {typed!r}, but these directions were found in layers {written_short(found_in)}; "
            "give some of those",
            field="layers",
        )
    return chosen


def _published_checkpoint(directions: Directions) -> str | None:
    """The checkpoint that shared directions name: an address or the name of a published network, never a local file."""
    named = directions.metadata.get(CHECKPOINT_KEY)
    return named if isinstance(named, str) and is_published(named) else None


def checkpoint_of_run(run: Path) -> str:
    """The checkpoint that a run folder names.

    Raises:
        CheckpointError: `run` is no run folder, so a checkpoint must be given.
    """
    try:
        named = read_run(run if run.is_dir() else run.parent).config["ckpt"]
        if not isinstance(named, str):
            raise KeyError("ckpt")
        return named
    except (RunFolderError, KeyError) as error:
        raise CheckpointError(f"{run} does not name its checkpoint; give `ckpt`") from error


def require_same_checkpoint(directions: Directions, path: Path) -> None:
    """Refuse directions that were found in another checkpoint than the file at `path`.

    Raises:
        CheckpointError: the SHA-256 differ.
    """
    expected, actual = directions.metadata.get("checkpoint_sha256"), sha256_of(path)
    if expected is not None and expected != actual:
        raise CheckpointError(
            f"these directions were found in a checkpoint with SHA-256 {expected[:12]}..., {path} has "
            f"{actual[:12]}...; give the checkpoint that they belong to as `ckpt`"
        )
