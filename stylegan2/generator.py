"""The StyleGAN2 generator in plain torch, and its construction from a state dict.

    w = mapping(z, c);  image = synthesis(w)

Parameters have the names of NVIDIA's PyTorch releases (`mapping.fc0.weight`, `synthesis.b8.conv0.affine.bias`), so a
state dict in that naming determines the network: the highest block gives the resolution, the learned constant the
aspect ratio, conv1 the width of each block, an affine layer w_dim, and the first mapping layer z_dim plus the class
embedding. "resnet" has shortcuts, "skip" an image layer in every block, "orig" only in the last.
Sources: Karras et al. 2020, arXiv:1912.04958 (StyleGAN2) and arXiv:2006.06676 (conditional models, clamping).

    >>> import torch
    >>> generator = Generator(z_dim=8, w_dim=8, img_resolution=16, num_mapping_layers=2, channel_base=64)
    >>> generator(torch.zeros(2, 8)).shape
    torch.Size([2, 3, 16, 16])
    >>> Generator.from_state_dict(generator.state_dict()).config.widths
    (16, 8, 4)
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from stylegan2.config import BINOMIAL_TAPS, GeneratorConfig
from stylegan2.mapping import MappingNetwork
from stylegan2.ops.upfirdn2d import outer_filter
from stylegan2.synthesis import SynthesisNetwork
from stylegan2.unsupported import refuse_unsupported

__all__ = ["Generator", "infer_config"]

MAX_RESOLUTION = 4096
MAX_WIDTH = 2048
_FILTER = "resample_filter"
_BLOCK = re.compile(r"synthesis\.b(\d{1,5})\.")
_LAYER = re.compile(r"mapping\.fc(\d{1,3})\.weight")


class Generator(nn.Module):
    """Maps codes z (B, z_dim) to images (B, img_channels, H, W).

    Args:
        options: the fields of `GeneratorConfig`. Weights are initialized as in StyleGAN2.

    Raises:
        InvalidArgumentError: an option is not allowed.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.config = config = GeneratorConfig(**options)
        self.z_dim, self.c_dim, self.w_dim, self.num_ws = config.z_dim, config.c_dim, config.w_dim, config.num_ws
        self.img_resolution, self.img_channels = config.img_resolution, config.img_channels
        self.architecture = config.architecture
        self.mapping = MappingNetwork(config)
        self.synthesis = SynthesisNetwork(config)

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        noise_mode: str = "const",
        *,
        force_fp32: bool = False,
    ) -> Tensor:
        """Generate images of codes z (B, z_dim). See `MappingNetwork.forward` and `SynthesisNetwork.forward`."""
        return self.synthesis(self.mapping(z, c, truncation_psi, truncation_cutoff), noise_mode, force_fp32=force_fp32)

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor], **overrides: Any) -> "Generator":
        """Build the generator that a state dict in NVIDIA's naming belongs to, in evaluation mode.

        Sizes, architecture and filter are inferred from the tensors. Settings that tensors do not determine
        (conv_clamp, joint_normalization, num_fp16_res) come from `overrides`, fields of `GeneratorConfig`.

        Raises:
            CheckpointError: the tensors are not those of a StyleGAN2 generator; the message names the tensor.
        """
        return cls.from_checkpoint({name: tensor.detach().clone() for name, tensor in state_dict.items()}, **overrides)

    @classmethod
    def from_checkpoint(cls, state_dict: Mapping[str, Tensor], **overrides: Any) -> "Generator":
        """Like `from_state_dict`, but the generator takes over the given tensors, which saves a copy."""
        config = infer_config(state_dict, **overrides)
        with torch.device("meta"):  # only shapes, so that no file can request more memory than it holds
            generator = cls(**config.to_dict())
        generator.load_state_dict(_complete(state_dict, generator.state_dict(), config), assign=True)
        return generator.eval()


def infer_config(state_dict: Mapping[str, Tensor], **overrides: Any) -> GeneratorConfig:
    """Return the configuration that the names and shapes of the tensors determine, updated with `overrides`.

    Raises:
        CheckpointError: the tensors are not those of a StyleGAN2 generator.
    """
    refuse_unsupported(state_dict)
    fields = _inferred_fields(state_dict, *_blocks_and_layers(state_dict))
    for name in ("z_dim", "w_dim", "mapping_features", "embed_features"):
        width = fields[name]
        if width is not None and width > MAX_WIDTH:
            raise CheckpointError(f"its {name} is {width:,}; the maximum is {MAX_WIDTH:,}")
    try:
        config = GeneratorConfig(**{**fields, **overrides})
    except InvalidArgumentError as error:
        raise CheckpointError(f"the tensors do not describe a StyleGAN2 generator: {error}") from error
    if max(config.image_size) > MAX_RESOLUTION:
        raise CheckpointError(f"its images are {config.image_size} px; the maximum is {MAX_RESOLUTION}")
    return config


def _blocks_and_layers(state_dict: Mapping[str, Tensor]) -> tuple[list[int], int]:
    """Return the resolutions of the blocks, and the number of mapping layers."""
    resolutions = sorted({int(match[1]) for match in map(_BLOCK.match, state_dict) if match})
    layers = sorted({int(match[1]) for match in map(_LAYER.fullmatch, state_dict) if match})
    if not resolutions or not layers:
        raise CheckpointError("these tensors are not a StyleGAN2 generator's: synthesis.b* or mapping.fc* are missing")
    if resolutions != [2**power for power in range(2, 2 + len(resolutions))]:
        raise CheckpointError(f"the blocks are {resolutions}; a StyleGAN2 generator has every power of two from 4")
    if layers != list(range(len(layers))):
        raise CheckpointError(f"the mapping layers are {layers}; they must be numbered from 0 without gaps")
    if resolutions[-1] > MAX_RESOLUTION:
        raise CheckpointError(f"the highest block is {resolutions[-1]} px; the maximum is {MAX_RESOLUTION}")
    return resolutions, len(layers)


def _inferred_fields(state_dict: Mapping[str, Tensor], resolutions: list[int], num_layers: int) -> dict[str, Any]:
    """Return the fields of `GeneratorConfig` that the tensors determine."""
    embed_features, c_dim = 0, 0
    if "mapping.embed.weight" in state_dict:
        embed_features, c_dim = _shape(state_dict, "mapping.embed.weight", 2)
    hidden, inputs = _shape(state_dict, "mapping.fc0.weight", 2)
    return {
        "z_dim": inputs - embed_features,
        "c_dim": c_dim,
        "w_dim": _shape(state_dict, "synthesis.b4.conv1.affine.weight", 2)[1],
        "img_resolution": resolutions[-1],
        "base_size": _shape(state_dict, "synthesis.b4.const", 3)[1:],
        "img_channels": _shape(state_dict, f"synthesis.b{resolutions[-1]}.torgb.weight", 4)[0],
        "num_mapping_layers": num_layers,
        "mapping_features": hidden if num_layers > 1 else None,
        "embed_features": embed_features or None,
        "channels": tuple(_shape(state_dict, f"synthesis.b{res}.conv1.weight", 4)[0] for res in resolutions),
        "architecture": _architecture(state_dict, resolutions),
        "use_noise": "synthesis.b4.conv1.noise_strength" in state_dict,
        "resample_taps": _taps(state_dict),
    }


def _complete(
    state_dict: Mapping[str, Tensor], expected: Mapping[str, Tensor], config: GeneratorConfig
) -> dict[str, Tensor]:
    """Return the tensors of `state_dict` with missing filters filled in; names and shapes must match `expected`.

    Raises:
        CheckpointError: a tensor is missing, unknown, or of another shape.
    """
    unknown = sorted(set(state_dict) - set(expected))
    absent = {name for name in expected if name not in state_dict}
    filters = {name for name in absent if name.endswith(_FILTER)}
    missing = sorted(absent - filters)
    if unknown or missing:
        kind, names = ("unknown", unknown) if unknown else ("missing", missing)
        raise CheckpointError(f"{len(names)} tensors are {kind} for this architecture, for example {names[0][:80]!r}")
    for name, tensor in state_dict.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{name} has shape {tuple(tensor.shape)}; the other tensors require {tuple(expected[name].shape)}"
            )
    return {**{name: outer_filter(config.resample_taps) for name in filters}, **state_dict}


def _shape(state_dict: Mapping[str, Tensor], name: str, ndim: int) -> tuple[int, ...]:
    if name not in state_dict:
        raise CheckpointError(f"the tensor {name} is missing; this is not a complete StyleGAN2 generator")
    shape = tuple(state_dict[name].shape)
    if len(shape) != ndim:
        raise CheckpointError(f"{name} has shape {shape}; expected {ndim} axes")
    return shape


def _architecture(state_dict: Mapping[str, Tensor], resolutions: list[int]) -> str:
    if any(f"synthesis.b{res}.skip.weight" in state_dict for res in resolutions):
        return "resnet"
    if "synthesis.b4.torgb.weight" in state_dict:
        return "skip"
    return "orig"


def _taps(state_dict: Mapping[str, Tensor]) -> tuple[float, ...]:
    """Return the taps of the filters. All filters must be the same outer product of four taps."""
    filters = [tensor for name, tensor in state_dict.items() if name.endswith(_FILTER)]
    if not filters:
        return BINOMIAL_TAPS
    kernel = filters[0].float()
    same = all(other.shape == kernel.shape and torch.allclose(other.float(), kernel) for other in filters)
    if not same or kernel.shape != (4, 4) or not torch.isfinite(kernel).all():
        raise CheckpointError("the resample filters differ or are not 4 x 4, which is not supported")
    row = kernel.sum(dim=0)
    if not torch.allclose(torch.outer(row, row), kernel, atol=1e-5):
        raise CheckpointError("the resample filter is not an outer product of four taps, which is not supported")
    return BINOMIAL_TAPS if torch.allclose(row, torch.tensor(BINOMIAL_TAPS), atol=1e-6) else tuple(row.tolist())
