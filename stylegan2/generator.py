"""The StyleGAN2 generator in plain torch: mapping network, then synthesis network.

    w = mapping(z, c);  image = synthesis(w)

Parameters carry the names of NVIDIA's PyTorch releases (`mapping.fc0.weight`, `synthesis.b8.conv0.affine.bias`),
so a state dict in that naming, from whatever file, builds the whole network.
Source: Karras et al. 2020, arXiv:1912.04958 (StyleGAN2) and arXiv:2006.06676 (conditional models, clamping).

    >>> import torch
    >>> generator = Generator(z_dim=8, w_dim=8, img_resolution=16, num_mapping_layers=2, channel_base=64)
    >>> generator(torch.zeros(2, 8)).shape
    torch.Size([2, 3, 16, 16])
    >>> Generator.from_state_dict(generator.state_dict()).config.widths
    (16, 8, 4)
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from stylegan2.config import GeneratorConfig
from stylegan2.mapping import MappingNetwork
from stylegan2.state_dict import complete, infer_config
from stylegan2.synthesis import SynthesisNetwork

__all__ = ["Generator"]


class Generator(nn.Module):
    """z (B, z_dim) to images (B, img_channels, R, R).

    Args:
        options: the fields of `GeneratorConfig`. Weights start as StyleGAN2's do.

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
    ) -> Tensor:
        """Images of codes z (B, z_dim); see `MappingNetwork.forward` and `SynthesisNetwork.forward`."""
        return self.synthesis(self.mapping(z, c, truncation_psi, truncation_cutoff), noise_mode)

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor], **overrides: Any) -> "Generator":
        """Build the generator that a state dict in NVIDIA's naming belongs to, in evaluation mode.

        Sizes, architecture and filter are read off the tensors. What no shape tells (conv_clamp,
        joint_normalization, num_fp16_res) comes from `overrides`, which are fields of `GeneratorConfig`.

        Raises:
            CheckpointError: the tensors are not those of one StyleGAN2 generator; the message names which.
        """
        return cls.adopt({name: tensor.detach().clone() for name, tensor in state_dict.items()}, **overrides)

    @classmethod
    def adopt(cls, state_dict: Mapping[str, Tensor], **overrides: Any) -> "Generator":
        """As `from_state_dict`, but the generator uses the given tensors themselves, which saves a copy of them."""
        config = infer_config(state_dict, **overrides)
        with torch.device("meta"):  # shapes only, so that no file can ask for more memory than it holds
            generator = cls(**config.to_dict())
        generator.load_state_dict(complete(state_dict, generator.state_dict(), config), assign=True)
        return generator.eval()
