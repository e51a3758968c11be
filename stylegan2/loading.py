"""Loads a generator from a weight file, an address, or the name of a packaged or published network.

>>> import tempfile, torch
>>> from stylegan2 import Generator, load, save
>>> generator = Generator(z_dim=8, w_dim=8, img_resolution=8, num_mapping_layers=1, channel_base=32).eval()
>>> with tempfile.TemporaryDirectory() as folder:
...     again = load(save(generator, f"{folder}/small.safetensors"))
>>> torch.equal(generator(torch.ones(1, 8)), again(torch.ones(1, 8)))
True
"""

import difflib
import os
from pathlib import Path

import torch

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.runs.downloads import cached_file
from ganspace_topdis.runs.hub import is_cached, is_hub_address
from ganspace_topdis.runs.progress import Progress
from stylegan2.checkpoints.key_mapping import GeneratorWeights
from stylegan2.checkpoints.recognition import read_checkpoint
from stylegan2.generator import Generator
from stylegan2.zoo import ZOO, resolve

__all__ = ["PACKAGED", "is_on_this_machine", "is_published", "load", "locate", "read"]

ASSETS = Path(__file__).parent / "assets"
PACKAGED = ("scenes", "scenes-fitted", "pebbles")
TF32_VARIABLE = "TOPDIS_TF32"


def load(path_or_name: str | os.PathLike[str], device: str | torch.device = "cpu") -> Generator:
    """Load the generator in a weight file, in evaluation mode and with frozen parameters.

    Args:
        path_or_name: a checkpoint of any kind in docs/checkpoints.md, detected from its content; an https or hf
            address; a name of the zoo; or "scenes", "scenes-fitted" or "pebbles", the packaged networks.
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


def locate(path_or_name: str | os.PathLike[str], progress: Progress | None = None) -> Path:
    """Return the local file of a path, an address, or the name of a packaged or published network."""
    if path_or_name in PACKAGED:
        return ASSETS / f"{str(path_or_name).replace('-', '_')}.safetensors"
    near = difflib.get_close_matches(os.fspath(path_or_name), PACKAGED, n=1, cutoff=0.7)
    if near and path_or_name not in ZOO and not Path(path_or_name).exists():
        raise CheckpointError(
            f"{os.fspath(path_or_name)!r} is neither a file nor a known network; did you mean {near[0]!r}?"
        )
    return resolve(path_or_name, progress=progress)


def is_published(name: str) -> bool:
    """Whether `name` is an https or hf address or a packaged or published network, thus no file of this machine."""
    return name in PACKAGED or name in ZOO or name.startswith("https://") or is_hub_address(name)


def is_on_this_machine(name: str) -> bool:
    """Whether `name` is loaded without a download."""
    if Path(name).is_file() or name in PACKAGED:
        return True
    url = ZOO[name].url if name in ZOO else name
    if is_hub_address(url):
        return is_cached(url)
    return not url.startswith("https://") or cached_file(url) is not None


def _build(weights: GeneratorWeights, path_or_name: str | os.PathLike[str]) -> Generator:
    try:
        return Generator.from_checkpoint(weights.state_dict, **weights.overrides)
    except CheckpointError as error:
        raise _at(path_or_name, error) from error


def _at(path_or_name: str | os.PathLike[str], error: CheckpointError) -> CheckpointError:
    text = str(error)
    return CheckpointError(text if os.fspath(path_or_name) in text else f"{os.fspath(path_or_name)}: {text}")
