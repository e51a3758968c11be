"""The W space of a generator as discovery sees it: codes, the features they give, and their images.

A code is one style w (w_dim numbers), given to chosen layers; the other layers keep the mean style, so that
what a search sees is what those layers control. Noise is the file's constant noise, the same before and after.
"""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.errors import InvalidArgumentError
from stylegan2.generator import Generator

__all__ = ["LARGEST_POOLED_IMAGE", "WSpace", "codes_of_seeds"]

LARGEST_POOLED_IMAGE = 64
"""Images are averaged down to this side, px, before they are compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WSpace:
    """Codes w (N, w_dim) of `generator`, with what a search needs of them.

    Attributes:
        generator: in evaluation mode.
        resolution: the block whose activations are the features; None takes images, pooled to 64 px.
        layers: the layers that get the code, None for all.
        label: the class, for a conditional generator.
    """

    generator: Generator
    resolution: int | None = None
    layers: tuple[int, ...] | None = None
    label: int | None = None

    def __post_init__(self) -> None:
        num_ws, size = self.generator.num_ws, self.generator.img_resolution
        blocks = [4 * 2**k for k in range((size // 4).bit_length())]
        if self.resolution is not None and self.resolution not in blocks:
            raise InvalidArgumentError(f"features at {self.resolution} px: this generator has blocks at {blocks} px")
        outside = [layer for layer in self.layers or () if not 0 <= layer < num_ws]
        if outside:
            raise InvalidArgumentError(
                f"layers {outside} are out of range: this generator has layers 0 to {num_ws - 1}"
            )
        if self.layers is not None and not self.layers:
            raise InvalidArgumentError(f"no layer was named: this generator has layers 0 to {num_ws - 1}")
        class_labels(self.generator, self.label, 1)

    def sample_codes(self, num_codes: int, rng: torch.Generator) -> Tensor:
        """`num_codes` styles w (n, w_dim) of random z, without truncation."""
        z = torch.randn(num_codes, self.generator.z_dim, generator=rng).to(self.generator.mapping.w_avg.device)
        chunks = [
            self.generator.mapping(part, class_labels(self.generator, self.label, len(part)))[:, 0]
            for part in z.split(4096)
        ]
        return torch.cat(chunks)

    def features(self, codes: Tensor) -> Tensor:
        """What the clouds are made of: activations of a block, or pooled images; codes (N, w_dim) -> (N, C, r, r)."""
        styles = self.spread(codes)
        if self.resolution is not None:
            return self.generator.synthesis.features(styles, resolution=self.resolution)
        images = self.generator.synthesis(styles)
        excess = images.shape[-1] // LARGEST_POOLED_IMAGE
        return F.avg_pool2d(images, excess) if excess > 1 else images

    def images(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) of codes (N, w_dim) or (N, num_ws, w_dim)."""
        return self.generator.synthesis(codes if codes.ndim == 3 else self.spread(codes))

    def spread(self, codes: Tensor) -> Tensor:
        """Codes (N, w_dim) as one style a layer, (N, num_ws, w_dim)."""
        num_ws = self.generator.num_ws
        if self.layers is None:
            return codes[:, None].expand(-1, num_ws, -1)
        moving = torch.zeros(num_ws, 1, dtype=torch.bool, device=codes.device)
        moving[list(self.layers)] = True
        return torch.where(moving, codes[:, None], self.generator.mapping.w_avg)


def codes_of_seeds(
    generator: Generator,
    seeds: Sequence[int],
    *,
    label: int | None = None,
    truncation_psi: float = 1.0,
    truncation_cutoff: int | None = None,
) -> Tensor:
    """Styles (num_seeds, num_ws, w_dim) of z drawn with each seed: a seed gives the same image in any company."""
    z = torch.cat([torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    z = z.to(generator.mapping.w_avg.device)
    with torch.no_grad():
        return generator.mapping(z, class_labels(generator, label, len(z)), truncation_psi, truncation_cutoff)


def class_labels(generator: Generator, label: int | None, count: int) -> Tensor | None:
    """One-hot classes (count, c_dim) for a conditional generator, None for another.

    Raises:
        InvalidArgumentError: a class is missing, not wanted, or out of range.
    """
    if generator.c_dim == 0:
        if label is not None:
            raise InvalidArgumentError(f"class {label} was given, but this generator is not conditional; leave it out")
        return None
    if label is None or not 0 <= label < generator.c_dim:
        given = "none was given" if label is None else f"{label} is not one"
        raise InvalidArgumentError(
            f"this generator is conditional and needs a class 0 to {generator.c_dim - 1}; {given}"
        )
    one_hot = F.one_hot(torch.full((count,), label), generator.c_dim).float()
    return one_hot.to(generator.mapping.w_avg.device)
