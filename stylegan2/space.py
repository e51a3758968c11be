"""The spaces of a generator in which codes move, and what a search and a picture need of them.

    z    (z_dim,)      the input of the mapping network
    w    (w_dim,)      one style for all layers or some; where every layer has its own, (num_ws, w_dim), that is W+
    s    (channels,)   the style channels of all layers (see `stylegan2.styles`)

A search draws codes of one row of numbers. Layers that are not chosen keep the mean style in it, so that it sees
what the chosen ones control; a picture keeps its own style there. Noise is the same before and after a shift.
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from stylegan2.generator import Generator
from stylegan2.styles import StyleChannels

__all__ = ["LARGEST_POOLED_IMAGE", "SPACES", "LatentSpace", "NoiseMode", "SpaceName"]

SpaceName = Literal["z", "w", "s"]
SPACES: tuple[SpaceName, ...] = ("z", "w", "s")
NoiseMode = Literal["const", "random", "none"]

LARGEST_POOLED_IMAGE = 64
"""Images are averaged down to this side, px, before they are compared."""

_MAPPED_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentSpace:
    """Codes of `generator`, with what a search and pictures need of them.

    Attributes:
        generator: in evaluation mode.
        name: "z", "w" or "s".
        resolution: the block whose activations are the features; None takes images, pooled to 64 px.
        layers: the layers that get the code, None for all.
        label: the class, for a conditional generator.
        noise_mode: of the images: "const", "random" or "none".
        truncation_psi: of the codes that are drawn (of the images, in z): 1 leaves them alone.
        truncation_cutoff: how many layers are truncated; None for all.

    Raises:
        InvalidArgumentError: an attribute does not fit the generator.
    """

    generator: Generator
    name: SpaceName = "w"
    resolution: int | None = None
    layers: tuple[int, ...] | None = None
    label: int | None = None
    noise_mode: NoiseMode = "const"
    truncation_psi: float = 1.0
    truncation_cutoff: int | None = None

    def __post_init__(self) -> None:
        num_ws, blocks = self.generator.num_ws, list(self.generator.synthesis.resolutions)
        _require(self.name in SPACES, f"space is {self.name!r}, allowed are {', '.join(SPACES)}")
        _require(
            self.resolution is None or self.resolution in blocks,
            f"features at {self.resolution} px: this generator has blocks at {blocks} px",
        )
        outside = [layer for layer in self.layers or () if not 0 <= layer < num_ws]
        _require(not outside, f"layers {outside} are out of range: this generator has layers 0 to {num_ws - 1}")
        _require(self.layers != (), f"no layer was named: this generator has layers 0 to {num_ws - 1}")
        _require(
            self.layers is None or self.name != "z",
            "layers were chosen, but a code z has none: leave them out, or search in space w or s",
        )
        cutoff = self.truncation_cutoff
        _require(
            cutoff is None or 0 <= cutoff <= num_ws,
            f"truncation cutoff is {cutoff}, allowed are 0 to {num_ws}, the number of layers that are truncated",
        )
        class_labels(self.generator, self.label, 1)

    @classmethod
    def of(cls, directions: Directions, generator: Generator, **changes: Any) -> "LatentSpace":
        """The space that `directions` were found in, with `changes` of the attributes.

        Raises:
            CheckpointError: the directions do not say their space, or are of codes that this generator lacks.
        """
        facts = directions.metadata
        if "space" not in facts:
            raise CheckpointError("these directions do not say the space that they are of; find them with discover")
        layers = facts.get("layers")
        attributes = {
            "name": str(facts["space"]).lower(),
            "resolution": facts.get("resolution"),
            "layers": None if layers is None else tuple(layers),
            "label": facts.get("label"),
            "noise_mode": facts.get("noise_mode", "const"),
        }
        space = cls(generator=generator, **{**attributes, **changes})
        if directions.code_dim != space.code_dim:
            raise CheckpointError(
                f"the directions move codes of {directions.code_dim} numbers, but codes {space.name} of this generator "
                f"have {space.code_dim}; give the checkpoint that they were found in"
            )
        return space

    def facts(self) -> dict[str, Any]:
        """What `of` reads back, as JSON."""
        return {
            "space": self.name,
            "resolution": self.resolution,
            "layers": None if self.layers is None else list(self.layers),
            "label": self.label,
            "noise_mode": self.noise_mode,
        }

    @property
    def code_dim(self) -> int:
        """The length of a code."""
        if self.name == "z":
            return self.generator.z_dim
        return self.generator.w_dim if self.name == "w" else self.styles.num_channels

    @property
    def moving_layers(self) -> tuple[int, ...] | None:
        """The layers to name when codes of `codes_of_seeds` move: w's alone, as directions of s name channels."""
        return self.layers if self.name == "w" else None

    @cached_property
    def styles(self) -> StyleChannels:
        """The style channels."""
        return StyleChannels(self.generator.synthesis)

    def truncated(self, psi: float, cutoff: int | None = None) -> "LatentSpace":
        """The same space with another truncation."""
        return dataclasses.replace(self, truncation_psi=psi, truncation_cutoff=cutoff)

    def sample_codes(self, num_codes: int, rng: torch.Generator) -> Tensor:
        """`num_codes` codes (n, code_dim) of random z."""
        z = torch.randn(num_codes, self.generator.z_dim, generator=rng).to(self.generator.mapping.w_avg)
        if self.name == "z":
            return z
        chunks = [self._mapped(part) for part in z.split(_MAPPED_AT_ONCE)]
        if self.name == "w":
            return torch.cat([ws[:, 0] for ws in chunks])
        return torch.cat([self.styles.of(self._with_mean_elsewhere(ws)) for ws in chunks])

    def codes_of_seeds(self, seeds: Sequence[int]) -> Tensor:
        """Codes of z drawn with each seed, ready to move: a seed gives the same image in any company.

        Returns:
            (num_seeds, code_dim), and in w one a layer, (num_seeds, num_ws, w_dim).
        """
        rows = [torch.randn(1, self.generator.z_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        z = torch.cat(rows).to(self.generator.mapping.w_avg)
        with torch.no_grad():
            if self.name == "z":
                return z
            return self._mapped(z) if self.name == "w" else self.styles.of(self._mapped(z))

    def features(self, codes: Tensor) -> Tensor:
        """What the clouds are made of: activations of a block, or pooled images; (N, code_dim) -> (N, C, r, r)."""
        if self.resolution is None:
            images = self.images(codes)
            excess = images.shape[-1] // LARGEST_POOLED_IMAGE
            return F.avg_pool2d(images, excess) if excess > 1 else images
        synthesis, resolution = self.generator.synthesis, self.resolution
        if self.name != "s":
            return synthesis.features(self.spread(codes), resolution, self.noise_mode)
        with self.styles.replaced_by(codes):
            return synthesis.features(self._any_styles(len(codes)), resolution, self.noise_mode)

    def images(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) of codes (N, code_dim), in w also (N, num_ws, w_dim)."""
        synthesis = self.generator.synthesis
        if self.name != "s":
            return synthesis(self.spread(codes), self.noise_mode)
        with self.styles.replaced_by(codes):
            return synthesis(self._any_styles(len(codes)), self.noise_mode)

    def spread(self, codes: Tensor) -> Tensor:
        """The styles (N, num_ws, w_dim) of codes of z or w."""
        if codes.ndim == 3:
            return codes
        if self.name == "z":
            return self._mapped(codes)
        return self._with_mean_elsewhere(codes[:, None].expand(-1, self.generator.num_ws, -1))

    def _mapped(self, z: Tensor) -> Tensor:
        label = class_labels(self.generator, self.label, len(z))
        return self.generator.mapping(z, label, self.truncation_psi, self.truncation_cutoff)

    def _with_mean_elsewhere(self, ws: Tensor) -> Tensor:
        """`ws` with the mean style in the layers that are not chosen."""
        if self.layers is None:
            return ws
        moving = torch.zeros(self.generator.num_ws, 1, dtype=torch.bool, device=ws.device)
        moving[list(self.layers)] = True
        return torch.where(moving, ws, self.generator.mapping.w_avg)

    def _any_styles(self, count: int) -> Tensor:
        return self.generator.mapping.w_avg.expand(count, self.generator.num_ws, -1)


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


def _require(allowed: bool, message: str) -> None:
    if not allowed:
        raise InvalidArgumentError(message)
