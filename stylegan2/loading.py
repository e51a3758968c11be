"""Loads what commands work on: a generator, the directions of a run with their generator, a network that reads factors.

A generator comes from a weight file, an address, or the name of a packaged or published network (`stylegan2.zoo`).
Factors of variation are known for generators of scenes and of pebbles, by the description in their file, and for any
generator for which the user gives a factor network.

>>> import tempfile, torch
>>> from stylegan2 import Generator, load, save
>>> generator = Generator(z_dim=8, w_dim=8, img_resolution=8, num_mapping_layers=1, channel_base=32).eval()
>>> with tempfile.TemporaryDirectory() as folder:
...     again = load(save(generator, f"{folder}/small.safetensors"))
>>> torch.equal(generator(torch.ones(1, 8)), again(torch.ones(1, 8)))
True
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import torch

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, RunFolderError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.checksummed import load_checksummed
from ganspace_topdis.runs.devices import choose_device, torch_defaults
from ganspace_topdis.runs.files import sha256_of
from ganspace_topdis.runs.hub import HubAddress, fetch_from_hub, is_hub_address
from ganspace_topdis.runs.records import read_run
from stylegan2.checkpoints.key_mapping import GeneratorWeights
from stylegan2.checkpoints.recognition import read_checkpoint
from stylegan2.generator import Generator
from stylegan2.settings import RunSettings, parse_layers, written_short
from stylegan2.space import LatentSpace
from stylegan2.zoo import ASSETS, is_published, locate

__all__ = [
    "CHECKPOINT_KEY",
    "LoadedRun",
    "checkpoint_of_run",
    "factor_network_for",
    "known_data",
    "load",
    "load_run",
    "locate_checkpoint",
    "read",
    "require_same_checkpoint",
]

TF32_VARIABLE = "TOPDIS_TF32"
CHECKPOINT_KEY = "checkpoint"
"""Where the metadata of shared directions name their checkpoint (`stylegan2.runs.model_card`)."""
_KNOWN = {f"{name} of continuous factors (vae.data.{name})": name for name in ("scenes", "pebbles")}
"""What the file of a generator says of its data -> the data."""
_FACTORS_PX = 32
"""Side of the images that the packaged factor networks read; larger ones are reduced to it."""


@torch_defaults()
def load(path_or_name: str | os.PathLike[str], device: str | torch.device = "cpu") -> Generator:
    """Load the generator in a weight file, in evaluation mode and with frozen parameters.

    Args:
        path_or_name: a checkpoint of any kind in docs/checkpoints.md, detected from its content; an https or hf
            address; a name of the zoo; or "scenes", "scenes-64", "scenes-fitted" or "pebbles", the packaged
            networks.
        device: the device of the generator.

    Raises:
        CheckpointError: the file is missing, damaged, hostile, or of an unsupported kind.
        InvalidArgumentError: there is no such device.
    """
    weights = read(path_or_name)
    if str(device).startswith("cuda"):
        _choose_tf32()
    generator = _build(weights, path_or_name)
    try:
        return generator.requires_grad_(False).to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidArgumentError(
            f"device={str(device)!r} cannot be used ({reason}); give cpu, cuda or mps", field="device"
        ) from error


def _choose_tf32() -> None:
    """Make single precision mean single precision on a GPU.

    By default, torch lets convolutions round their inputs to TF32, which keeps 10 bits of the mantissa: about three
    digits. TOPDIS_TF32=1 allows it, for convolutions and matrix products.
    """
    allowed = os.environ.get(TF32_VARIABLE, "0") == "1"
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def read(path_or_name: str | os.PathLike[str]) -> GeneratorWeights:
    """Return the weights in a file, before a generator is built.

    Raises:
        CheckpointError: as `load`.
    """
    path = locate(path_or_name)
    try:
        return read_checkpoint(path)
    except CheckpointError as error:
        raise _at(path_or_name, error) from error


def _build(weights: GeneratorWeights, path_or_name: str | os.PathLike[str]) -> Generator:
    try:
        return Generator.from_checkpoint(weights.state_dict, **weights.overrides)
    except CheckpointError as error:
        raise _at(path_or_name, error) from error


def _at(path_or_name: str | os.PathLike[str], error: CheckpointError) -> CheckpointError:
    text = str(error)
    return CheckpointError(text if os.fspath(path_or_name) in text else f"{os.fspath(path_or_name)}: {text}")


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
    path = locate_checkpoint(run, settings.ckpt or _published_checkpoint(directions))
    if not tuned:
        require_same_checkpoint(directions, path)
    generator = load(path, choose_device(settings.device))
    changes: dict[str, Any] = {} if settings.label is None else {"label": settings.label}
    if layers is not None:
        changes["layers"] = _overlapping(parse_layers(layers, generator.num_ws), directions, layers)
    space = LatentSpace.of(directions, generator, **changes)
    return LoadedRun(folder=folder, directions=space.placed(directions), space=space)


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
        record = read_run(run if run.is_dir() else run.parent)
        if record.command == "train-vae":
            raise CheckpointError(
                f"{run} is a run of train-vae and has no generator; `topdis-gan evaluate-vae {record.path}` draws its "
                "pictures and explorer.html"
            )
        named = record.config["ckpt"]
        if not isinstance(named, str):
            raise KeyError("ckpt")
        return named
    except (RunFolderError, KeyError) as error:
        raise CheckpointError(f"{run} does not name its checkpoint; give `ckpt`") from error


def locate_checkpoint(run: Path, given: str | None) -> Path:
    """The file of the `given` checkpoint, or of the one that the run folder names.

    Raises:
        CheckpointError: there is no such file, or `run` names none.
        DownloadError: the download failed or the SHA-256 differs.
    """
    named = given or checkpoint_of_run(run)
    if given is None and not is_published(named) and not Path(named).is_file():
        raise CheckpointError(f"{run} was made with the checkpoint {named}, which is not there; give it as `ckpt`")
    return locate(named)


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


def factor_network_for(ckpt: Path, *, given: Path | None, wanted: bool | None) -> Path | None:
    """The file of the network that reads the factors of `ckpt`, or None where no truth is wanted or known.

    Args:
        ckpt: the checkpoint.
        given: the user's network; the packaged one by default, for generators of scenes and of pebbles.
        wanted: whether scores against factors are wanted; None where factors are known.

    Raises:
        InvalidArgumentError: truth is wanted and no factors are known, or a network is given and none is wanted.
    """
    if wanted is False:
        if given is not None:
            raise InvalidArgumentError(
                f"`factor_network` {given} needs truth, which is switched off; leave one of them out",
                field="factor_network",
            )
        return None
    if given is not None:
        return given
    if (data := known_data(ckpt)) is not None:
        return ASSETS / f"{data}_factors.safetensors"
    if wanted:
        raise InvalidArgumentError(
            f"the factors of {ckpt} are not known: give `factor_network`, which reads them from "
            "images, or leave `truth` out for the scores that need none",
            field="truth",
        )
    return None


def known_data(ckpt: Path) -> str | None:
    """The data of `ckpt`, "scenes" or "pebbles" of a size that the packaged networks read, or None."""
    if ckpt.suffix != ".safetensors":
        return None
    try:
        _, description = load_checksummed(ckpt)
    except CheckpointError:
        return None
    source, config = description.get("source", {}), description.get("config", {})
    is_read = (side := config.get("img_resolution", 0)) >= _FACTORS_PX and not side % _FACTORS_PX
    named = source.get("data") if isinstance(source, dict) else None
    return _KNOWN.get(named) if is_read and isinstance(named, str) else None
