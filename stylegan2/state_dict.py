"""Which generator a state dict belongs to: every size read off the shapes, in NVIDIA's PyTorch naming.

R is the highest block; the width at r is the row count of its conv1; w_dim the columns of an affine layer; z_dim
the columns of the first mapping layer less the class embedding; "resnet" has shortcuts, "skip" an image layer in
every block, "orig" only in the last.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from stylegan2.config import BINOMIAL_TAPS, GeneratorConfig
from stylegan2.ops.fir import outer_filter

__all__ = ["complete", "infer_config"]

MAX_RESOLUTION = 4096
MAX_WIDTH = 2048
_FILTER = "resample_filter"
_BLOCK = re.compile(r"synthesis\.b(\d{1,5})\.")
_LAYER = re.compile(r"mapping\.fc(\d{1,3})\.weight")


def infer_config(state_dict: Mapping[str, Tensor], **overrides: Any) -> GeneratorConfig:
    """The configuration that the tensors' names and shapes tell, with `overrides` put in.

    Raises:
        CheckpointError: the tensors are not those of a StyleGAN2 generator.
    """
    _refuse_relatives(state_dict)
    resolutions = sorted({int(match[1]) for match in map(_BLOCK.match, state_dict) if match})
    layers = sorted({int(match[1]) for match in map(_LAYER.fullmatch, state_dict) if match})
    if not resolutions or not layers:
        raise CheckpointError("these are not a StyleGAN2 generator's tensors: no synthesis.b* or no mapping.fc*")
    if resolutions != [2**power for power in range(2, 2 + len(resolutions))]:
        raise CheckpointError(f"the blocks are {resolutions}; a StyleGAN2 generator has every power of two from 4 up")
    if layers != list(range(len(layers))):
        raise CheckpointError(f"the mapping layers are {layers}; they must be numbered from 0 without a gap")
    top = resolutions[-1]
    if top > MAX_RESOLUTION:
        raise CheckpointError(f"the highest block is {top} px; {MAX_RESOLUTION} is the most that can be used")
    embedding = state_dict.get("mapping.embed.weight")
    embed_features, c_dim = (0, 0) if embedding is None else _shape(state_dict, "mapping.embed.weight", 2)
    hidden = _shape(state_dict, "mapping.fc0.weight", 2)[0]
    fields: dict[str, Any] = {
        "z_dim": _shape(state_dict, "mapping.fc0.weight", 2)[1] - embed_features,
        "c_dim": c_dim,
        "w_dim": _shape(state_dict, "synthesis.b4.conv1.affine.weight", 2)[1],
        "img_resolution": top,
        "img_channels": _shape(state_dict, f"synthesis.b{top}.torgb.weight", 4)[0],
        "num_mapping_layers": len(layers),
        "mapping_features": hidden if len(layers) > 1 else None,
        "embed_features": embed_features or None,
        "channels": tuple(_shape(state_dict, f"synthesis.b{res}.conv1.weight", 4)[0] for res in resolutions),
        "architecture": _architecture(state_dict, resolutions),
        "use_noise": "synthesis.b4.conv1.noise_strength" in state_dict,
        "resample_taps": _taps(state_dict),
    }
    widths = {name: fields[name] for name in ("z_dim", "w_dim", "mapping_features", "embed_features")}
    for name, width in widths.items():
        if width is not None and width > MAX_WIDTH:
            raise CheckpointError(f"its {name} is {width:,}; {MAX_WIDTH:,} is the most that can be used")
    try:
        return GeneratorConfig(**{**fields, **overrides})
    except InvalidArgumentError as error:
        raise CheckpointError(f"the tensors do not describe a StyleGAN2 generator: {error}") from error


def complete(
    state_dict: Mapping[str, Tensor], expected: Mapping[str, Tensor], config: GeneratorConfig
) -> dict[str, Tensor]:
    """The tensors of `expected`'s names out of `state_dict`, every shape checked.

    Filters, of which all layers repeat the same, may be missing and are then filled in.

    Raises:
        CheckpointError: a tensor is missing, unknown, or of another shape.
    """
    unknown = sorted(set(state_dict) - set(expected))
    absent = {name for name in expected if name not in state_dict}
    filters = {name for name in absent if name.endswith(_FILTER)}
    missing = sorted(absent - filters)
    if unknown or missing:
        kind, names = ("unknown", unknown) if unknown else ("missing", missing)
        raise CheckpointError(f"{len(names)} tensors are {kind} for this architecture, among them {names[0][:80]!r}")
    for name, tensor in state_dict.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{name} has shape {tuple(tensor.shape)}; the other tensors ask for {tuple(expected[name].shape)}"
            )
    return {**{name: outer_filter(config.resample_taps) for name in filters}, **state_dict}


def _refuse_relatives(state_dict: Mapping[str, Tensor]) -> None:
    if any(name.startswith(("synthesis.input.", "synthesis.L0_")) for name in state_dict):
        raise CheckpointError("this is a StyleGAN3 (or StyleGAN-XL) network; only StyleGAN2 generators can be used")


def _shape(state_dict: Mapping[str, Tensor], name: str, ndim: int) -> tuple[int, ...]:
    if name not in state_dict:
        raise CheckpointError(f"the tensor {name} is missing; this is not a whole StyleGAN2 generator")
    shape = tuple(state_dict[name].shape)
    if len(shape) != ndim:
        raise CheckpointError(f"{name} has shape {shape}; {ndim} axes are expected")
    return shape


def _architecture(state_dict: Mapping[str, Tensor], resolutions: list[int]) -> str:
    if any(f"synthesis.b{res}.skip.weight" in state_dict for res in resolutions):
        return "resnet"
    if "synthesis.b4.torgb.weight" in state_dict:
        return "skip"
    return "orig"


def _taps(state_dict: Mapping[str, Tensor]) -> tuple[float, ...]:
    """The factor of the filters, all of which must be the outer product of four taps with themselves."""
    filters = [tensor for name, tensor in state_dict.items() if name.endswith(_FILTER)]
    if not filters:
        return BINOMIAL_TAPS
    kernel = filters[0].float()
    same = all(other.shape == kernel.shape and torch.allclose(other.float(), kernel) for other in filters)
    if not same or kernel.shape != (4, 4) or not torch.isfinite(kernel).all():
        raise CheckpointError("the resample filters differ or are not 4 x 4; such a generator cannot be used")
    row = kernel.sum(dim=0)
    if not torch.allclose(torch.outer(row, row), kernel, atol=1e-5):
        raise CheckpointError("the resample filter is not the product of four taps with themselves; it cannot be used")
    return BINOMIAL_TAPS if torch.allclose(row, torch.tensor(BINOMIAL_TAPS), atol=1e-6) else tuple(row.tolist())
