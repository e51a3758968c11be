"""From a file, or the name of a packaged network, to a generator ready for use.

>>> import tempfile, torch
>>> from stylegan2 import Generator, load, save
>>> generator = Generator(z_dim=8, w_dim=8, img_resolution=8, num_mapping_layers=1, channel_base=32).eval()
>>> with tempfile.TemporaryDirectory() as folder:
...     again = load(save(generator, f"{folder}/small.safetensors"))
>>> torch.equal(generator(torch.ones(1, 8)), again(torch.ones(1, 8)))
True
"""

import os
from pathlib import Path

import torch

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.runs.progress import Progress
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.recognition import read_checkpoint
from stylegan2.generator import Generator
from stylegan2.zoo import resolve

__all__ = ["PACKAGED", "load", "locate", "read"]

ASSETS = Path(__file__).parent / "assets"
PACKAGED = ("scenes", "scenes-fitted")


def load(path_or_name: str | os.PathLike[str], device: str | torch.device = "cpu") -> Generator:
    """The generator in a file of weights, in evaluation mode and without gradients of its parameters.

    Args:
        path_or_name: a checkpoint of any kind that docs/checkpoints.md lists, recognised by its content, or
            "scenes" or "scenes-fitted" for the packaged networks.
        device: where to put it.

    Raises:
        CheckpointError: the file is missing, damaged, hostile, or of a kind that cannot be used.
        InvalidArgumentError: there is no such device.
    """
    checkpoint = read(path_or_name)
    generator = _build(checkpoint, path_or_name)
    try:
        return generator.requires_grad_(False).to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidArgumentError(
            f"device={str(device)!r} cannot be used ({reason}); give cpu, cuda or mps"
        ) from error


def read(path_or_name: str | os.PathLike[str]) -> Checkpoint:
    """What is in a file of weights, before a generator is built of it.

    Raises:
        CheckpointError: as `load`.
    """
    path = locate(path_or_name)
    try:
        return read_checkpoint(path)
    except CheckpointError as error:
        raise _at(path_or_name, error) from error


def locate(path_or_name: str | os.PathLike[str], progress: Progress | None = None) -> Path:
    """The file that a path, an https address, or the name of a packaged or published network means."""
    if path_or_name in PACKAGED:
        return ASSETS / f"{str(path_or_name).replace('-', '_')}.safetensors"
    return resolve(path_or_name, progress=progress)


def _build(checkpoint: Checkpoint, path_or_name: str | os.PathLike[str]) -> Generator:
    try:
        return Generator.adopt(checkpoint.state_dict, **checkpoint.overrides)
    except CheckpointError as error:
        raise _at(path_or_name, error) from error


def _at(path_or_name: str | os.PathLike[str], error: CheckpointError) -> CheckpointError:
    text = str(error)
    return CheckpointError(text if os.fspath(path_or_name) in text else f"{os.fspath(path_or_name)}: {text}")
