"""Inspects weight files, writes generators, and converts files to other formats.

A generator is written bit for bit to our own safetensors file, or to rosinality's layout, which many editing tools
read. rosinality's networks have no classes, no clamp, and only the "skip" architecture.
"""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.checksummed import save_checksummed
from ganspace_topdis.runs.files import sha256_of, write_bytes
from stylegan2.checkpoints.recognition import KIND, VERSION
from stylegan2.generator import Generator
from stylegan2.loading import load, read
from stylegan2.zoo import locate

__all__ = ["FORMATS", "check_name", "convert", "inspect", "rosinality_tensors", "save"]

FORMATS = ("safetensors", "rosinality")
_ENDINGS = {"safetensors": (".safetensors",), "rosinality": (".pt", ".pth")}
_FOREIGN = (".pkl", ".npz", ".npy", ".onnx", ".ckpt", ".json")
"""Endings of formats that are not written at all."""


def inspect(path_or_name: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe a weight file as JSON values: format, sizes, layers, and notes on inferred or assumed values.

    Raises:
        CheckpointError: the file is not supported.
    """
    weights = read(path_or_name)
    generator = Generator.from_checkpoint(weights.state_dict, **weights.overrides)
    config = generator.config
    return {
        "format": weights.format,
        "sha256": sha256_of(locate(path_or_name)),
        "num_parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "image_size": list(config.image_size),
        "num_ws": config.num_ws,
        "conditional": config.c_dim > 0,
        **config.to_dict(),
        "channels": dict(zip(map(str, config.resolutions), config.widths, strict=True)),
        "notes": list(weights.notes),
    }


def save(
    generator: Generator,
    path: str | os.PathLike[str],
    *,
    half: bool = False,
    source: Mapping[str, Any] | None = None,
) -> Path:
    """Write a generator to `path`, atomically; `stylegan2.load` reads it back bit for bit.

    Args:
        generator: the generator to write.
        path: the file to write, usually `*.safetensors`.
        half: store in half precision: half the size, about three significant digits.
        source: the origin of the weights, JSON values, stored in the file.

    Raises:
        InvalidArgumentError: a weight is too large for half precision.
        RunFolderError: the file cannot be written.
    """
    tensors = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in generator.state_dict().items()}
    if half:
        tensors = {name: _halved(name, tensor) for name, tensor in tensors.items()}
    description = {"kind": KIND, "version": VERSION, "config": generator.config.to_dict(), "source": dict(source or {})}
    return save_checksummed(path, tensors, description)


def _halved(name: str, tensor: Tensor) -> Tensor:
    """A tensor in half precision, but filters, which must stay outer products of their taps."""
    if name.endswith("resample_filter"):
        return tensor
    if (most := tensor.abs().max()) > torch.finfo(torch.float16).max:
        raise InvalidArgumentError(
            f"`half` holds numbers up to 65504, but {name} has {most:g}; leave it out", field="half"
        )
    return tensor.half()


def check_name(out: str | os.PathLike[str], to: str) -> None:
    """Refuse a file name with the ending of another format than `to`; other endings are free.

    Raises:
        InvalidArgumentError: the ending is that of another format.

    Example:
        >>> check_name("ffhq.pt", "rosinality")
    """
    path, own = Path(out), _ENDINGS[to]
    other = next((name for name, endings in _ENDINGS.items() if name != to and path.suffix.lower() in endings), None)
    if path.suffix.lower() in own or (other is None and path.suffix.lower() not in _FOREIGN):
        return
    remedy = "" if other is None else f", or set `to` to {other}"
    raise InvalidArgumentError(
        f"`out` is {path}, but `to` is {to!r}; name it {path.with_suffix(own[0]).name}{remedy}", field="out"
    )


def convert(
    path_or_name: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    to: str = "safetensors",
    half: bool = False,
) -> Path:
    """Read a weight file of any kind and write it to `out`, atomically. Returns `out`.

    Args:
        path_or_name: as for `stylegan2.load`.
        out: the file to write.
        to: "safetensors" (our own) or "rosinality".
        half: store in half precision, for "safetensors" only.

    Raises:
        CheckpointError: the file is not supported.
        InvalidArgumentError: the format is unknown or cannot hold this generator, `out` is named as another one, or a
            weight is too large for `half`.
        RunFolderError: `out` cannot be written.
    """
    if to not in FORMATS:
        raise InvalidArgumentError(f"`to` is {to!r}; give one of {', '.join(FORMATS)}", field="to")
    if half and to != "safetensors":
        raise InvalidArgumentError(f"`half` is not allowed if `to` is {to!r}; set `to` to safetensors", field="half")
    check_name(out, to)
    generator = load(path_or_name)
    if to == "safetensors":
        return save(generator, out, half=half, source={"sha256": sha256_of(locate(path_or_name))})
    buffer = io.BytesIO()
    content = {"g_ema": rosinality_tensors(generator), "latent_avg": generator.mapping.w_avg.clone()}
    torch.save(content, buffer)
    return write_bytes(out, buffer.getvalue())


def rosinality_tensors(generator: Generator) -> dict[str, Tensor]:
    """Return the generator's tensors under rosinality's names. A clamp is dropped: that code has none.

    Raises:
        InvalidArgumentError: the generator is conditional or not of the "skip" architecture.
    """
    config = generator.config
    usual = config.architecture == "skip" and {config.activation, config.mapping_activation} == {"lrelu"}
    if not usual or config.c_dim > 0 or not config.use_noise:
        raise InvalidArgumentError(
            "`to` is 'rosinality', but that layout only holds unconditional generators of the skip architecture with "
            "leaky ReLU and noise; set `to` to safetensors",
            field="to",
        )
    state = {name: tensor.detach().cpu() for name, tensor in generator.state_dict().items()}
    tensors = {"input.input": state["synthesis.b4.const"][None].clone()}
    for index in range(config.num_mapping_layers):
        for part in ("weight", "bias"):
            tensors[f"style.{index + 1}.{part}"] = state[f"mapping.fc{index}.{part}"].clone()
    convolutions = [f"synthesis.b{side}.conv{half}" for side in config.resolutions for half in (0, 1)][1:]
    for index, source in enumerate(convolutions):
        target = "conv1" if index == 0 else f"convs.{index - 1}"
        tensors.update(_convolution(state, source, target))
        tensors[f"noises.noise_{index}"] = state[f"{source}.noise_const"][None, None].clone()
    for index, side in enumerate(config.resolutions):
        target = "to_rgb1" if index == 0 else f"to_rgbs.{index - 1}"
        tensors.update(_modulated(state, f"synthesis.b{side}.torgb", target))
        tensors[f"{target}.bias"] = state[f"synthesis.b{side}.torgb.bias"].reshape(1, -1, 1, 1).clone()
        if index > 0:
            tensors[f"{target}.upsample.kernel"] = 4 * state[f"synthesis.b{side}.resample_filter"]
    return tensors


def _convolution(state: dict[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    tensors = _modulated(state, source, target)
    tensors[f"{target}.noise.weight"] = state[f"{source}.noise_strength"].reshape(1).clone()
    tensors[f"{target}.activate.bias"] = state[f"{source}.bias"].clone()
    if source.endswith("conv0"):
        tensors[f"{target}.conv.blur.kernel"] = 4 * state[f"{source}.resample_filter"]
    return tensors


def _modulated(state: dict[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    return {
        f"{target}.conv.weight": state[f"{source}.weight"][None].clone(),
        f"{target}.conv.modulation.weight": state[f"{source}.affine.weight"].clone(),
        f"{target}.conv.modulation.bias": state[f"{source}.affine.bias"].clone(),
    }
