"""The latent spaces of a generator: codes for a search, and their features and images.

    z    (z_dim,)           the input of the mapping network
    w    (w_dim,)           one style for all layers, or for some
    w+   (num_ws * w_dim,)  a style for each layer, one after the other (Abdal et al. 2019, arXiv:1904.03189)
    s    (channels,)        the style channels of all layers

Each convolution and each image layer scales its input channels by a style s = A w + b. All styles together, in the
order of use, are StyleSpace (Wu et al. 2021, arXiv:2011.12799): 9088 channels for a 1024 px generator.

A search uses codes with a single row of numbers. In a search, layers that are not chosen keep the mean style, so that
the search only sees the effect of the chosen ones; in an image, they keep the image's own style. The noise is the same
before and after a shift.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.options import MAX_SEED
from stylegan2.generator import Generator
from stylegan2.mapping import FullyConnected
from stylegan2.synthesis import SynthesisNetwork

__all__ = [
    "LARGEST_POOLED_IMAGE",
    "SPACES",
    "LatentSpace",
    "NoiseMode",
    "SpaceName",
    "StyleChannels",
    "codes_of_seed",
    "default_features",
]

SpaceName = Literal["z", "w", "w+", "s"]
SPACES: tuple[SpaceName, ...] = ("z", "w", "w+", "s")
NoiseMode = Literal["const", "random", "none"]

LARGEST_POOLED_IMAGE = 64
"""Images are averaged down to this length of the longer side, px, before they are compared."""

_MAPPED_AT_ONCE = 4096
_SMALL_PX = 32
_FEATURES_PX = 16
"""Generators up to the first size have their last block compared, which found more; larger ones a cheaper block."""


def default_features(generator: Generator) -> int:
    """The block whose activations are compared, unless another is asked for."""
    side = generator.img_resolution
    return side if side <= _SMALL_PX else _FEATURES_PX


class StyleChannels:
    """The affine layers of a synthesis network in the order of use.

    Attributes:
        layers: for each affine layer, the index (0 to num_ws - 1) of its style.
        sizes: for each affine layer, its number of channels.
        names: for each affine layer, its block and module, such as "b16.conv0".
    """

    def __init__(self, synthesis: SynthesisNetwork) -> None:
        found = list(_affines(synthesis))
        self._affines = [affine for _, affine, _ in found]
        self.names = [name for name, _, _ in found]
        self.layers = [layer for _, _, layer in found]
        self.sizes = [len(affine.bias) for affine in self._affines]

    @property
    def num_channels(self) -> int:
        """The length of a code s."""
        return sum(self.sizes)

    def of(self, ws: Tensor) -> Tensor:
        """Return the channels (N, num_channels) of styles ws (N, num_ws, w_dim)."""
        return torch.cat(
            [affine(ws[:, layer]) for affine, layer in zip(self._affines, self.layers, strict=True)], dim=1
        )

    @contextlib.contextmanager
    def replaced_by(self, codes: Tensor) -> Iterator[None]:
        """Within the block, the synthesis uses the channels `codes` (N, num_channels) and ignores w."""
        parts = codes.split(self.sizes, dim=1)
        with contextlib.ExitStack() as stack:
            for affine, part in zip(self._affines, parts, strict=True):
                stack.callback(affine.register_forward_hook(_returning(part)).remove)
            yield


def _affines(synthesis: SynthesisNetwork) -> Iterator[tuple[str, FullyConnected, int]]:
    first = 0
    for resolution in synthesis.resolutions:
        block = synthesis.block(resolution)
        names = ["conv1"] if block.num_conv == 1 else ["conv0", "conv1"]
        for place, name in enumerate([*names, *(["torgb"] if block.has_image else [])]):
            affine = block.get_submodule(name).get_submodule("affine")
            assert isinstance(affine, FullyConnected)
            yield f"b{resolution}.{name}", affine, first + place
        first += block.num_conv


def _returning(part: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    """Return a forward hook that replaces the output by `part`."""
    return lambda module, inputs, output: part.to(output.dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentSpace:
    """One latent space of `generator`: sampling, features and images of codes.

    Attributes:
        generator: in evaluation mode.
        name: "z", "w", "w+" or "s".
        resolution: the block whose activations are the features; None: images, pooled to 64 px (to 64 to 127
            px where 64 does not divide their size).
        layers: the layers that use the code; None: all.
        label: the class, for a conditional generator only.
        noise_mode: "const", "random" or "none", see `SynthesisNetwork.forward`.
        truncation_psi: truncation of sampled codes (in z, of the images); 1: none.
        truncation_cutoff: the number of layers, from the first, that are truncated; None: all.

    Raises:
        InvalidArgumentError: an attribute does not match the generator.
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
        _require("space", self.name in SPACES, f"`space` is {self.name!r}, allowed are {', '.join(SPACES)}")
        _require(
            "features",
            self.resolution is None or self.resolution in blocks,
            f"`features` is {self.resolution} px: this generator has blocks at {blocks} px",
        )
        outside = [layer for layer in self.layers or () if not 0 <= layer < num_ws]
        _require(
            "layers", not outside, f"`layers` has {outside}, out of range: this generator has layers 0 to {num_ws - 1}"
        )
        _require("layers", self.layers != (), f"`layers` has no layer: this generator has layers 0 to {num_ws - 1}")
        _require(
            "layers",
            self.layers is None or self.name != "z",
            "`layers` was given, but a code z has none: leave `layers` out, or search in space w or s",
        )
        cutoff = self.truncation_cutoff
        _require(
            "truncation_cutoff",
            cutoff is None or 0 <= cutoff <= num_ws,
            f"`truncation_cutoff` is {cutoff}, allowed are 0 to {num_ws}, the number of layers",
        )
        class_labels(self.generator, self.label, 1)

    @classmethod
    def of(cls, directions: Directions, generator: Generator, **changes: Any) -> "LatentSpace":
        """Return the space in which `directions` were found, with `changes` of its attributes.

        Raises:
            CheckpointError: the directions do not record their space, or do not match this generator.
        """
        facts = directions.metadata
        if "space" not in facts:
            raise CheckpointError("these directions do not record their space; find them with discover")
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
                f"have {space.code_dim}; give the checkpoint in which they were found"
            )
        return space

    def facts(self) -> dict[str, Any]:
        """Return the attributes that `of` reads back, as JSON values."""
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
        generator = self.generator
        if self.name == "s":
            return self.styles.num_channels
        return {"z": generator.z_dim, "w": generator.w_dim, "w+": generator.num_ws * generator.w_dim}[self.name]

    def placed(self, directions: Directions) -> Directions:
        """Return directions of w+ or s that know the layer of each number of a code; others as they are."""
        if self.name == "w+":
            layer_of = torch.arange(self.generator.num_ws).repeat_interleave(self.generator.w_dim)
        elif self.name == "s":
            layer_of = torch.tensor(self.styles.layers).repeat_interleave(torch.tensor(self.styles.sizes))
        else:
            return directions
        return dataclasses.replace(directions, layer_of=layer_of)

    @cached_property
    def styles(self) -> StyleChannels:
        """The style channels."""
        return StyleChannels(self.generator.synthesis)

    def truncated(self, psi: float, cutoff: int | None = None) -> "LatentSpace":
        """Return the same space with another truncation."""
        return dataclasses.replace(self, truncation_psi=psi, truncation_cutoff=cutoff)

    def sample_codes(self, num_codes: int, rng: torch.Generator) -> Tensor:
        """Sample codes (num_codes, code_dim) from random z."""
        z = torch.randn(num_codes, self.generator.z_dim, generator=rng).to(self.generator.mapping.w_avg)
        if self.name == "z":
            return z
        chunks = [self._mapped(part) for part in z.split(_MAPPED_AT_ONCE)]
        if self.name == "w":
            return torch.cat([ws[:, 0] for ws in chunks])
        return torch.cat([self.codes_of_styles(self._mean_outside_layers(ws)) for ws in chunks])

    def codes_of_seeds(self, seeds: Sequence[int]) -> Tensor:
        """Return the codes of each seed, see `codes_of_seed`. A seed gives the same image in any list.

        Returns:
            (num_seeds, code_dim); in w, with a dimension for the layers, (num_seeds, num_ws, w_dim).

        Raises:
            InvalidArgumentError: a seed is negative or exceeds 32 bits.
        """
        rows = [codes_of_seed(seed, self.generator.z_dim) for seed in seeds]
        z = torch.cat(rows).to(self.generator.mapping.w_avg)
        with torch.no_grad():
            if self.name == "z":
                return z
            return self.codes_of_styles(self._mapped(z))

    def codes_of_styles(self, ws: Tensor) -> Tensor:
        """Return the codes of styles ws (N, num_ws, w_dim): as they are in w, (N, code_dim) in w+ and s; not for z."""
        if self.name == "s":
            return self.styles.of(ws)
        return ws if self.name == "w" else ws.flatten(1)

    def features(self, codes: Tensor) -> Tensor:
        """Return the features (N, C, H, W) of codes (N, code_dim): activations of a block, or pooled images."""
        if self.resolution is None:
            images = self.images(codes, force_fp32=True)  # in the precision of the search, which keeps gradients
            excess = max(images.shape[-2:]) // LARGEST_POOLED_IMAGE
            return F.avg_pool2d(images, excess) if excess > 1 else images
        synthesis, resolution = self.generator.synthesis, self.resolution
        if self.name != "s":
            return synthesis.features(self.broadcast_ws(codes), resolution, self.noise_mode)
        with self.styles.replaced_by(codes):
            return synthesis.features(self._unused_styles(len(codes)), resolution, self.noise_mode)

    def images(self, codes: Tensor, *, force_fp32: bool = False) -> Tensor:
        """Return images (N, C, H, W) of codes (N, code_dim), or in w also of (N, num_ws, w_dim)."""
        synthesis = self.generator.synthesis
        if self.name != "s":
            return synthesis(self.broadcast_ws(codes), self.noise_mode, force_fp32=force_fp32)
        with self.styles.replaced_by(codes):
            return synthesis(self._unused_styles(len(codes)), self.noise_mode, force_fp32=force_fp32)

    def broadcast_ws(self, codes: Tensor) -> Tensor:
        """Return the styles (N, num_ws, w_dim) of codes of z, w or w+."""
        if codes.ndim == 3:
            return codes
        if self.name == "w+":
            return codes.unflatten(1, (self.generator.num_ws, self.generator.w_dim))
        if self.name == "z":
            return self._mapped(codes)
        return self._mean_outside_layers(codes[:, None].expand(-1, self.generator.num_ws, -1))

    def _mapped(self, z: Tensor) -> Tensor:
        label = class_labels(self.generator, self.label, len(z))
        return self.generator.mapping(z, label, self.truncation_psi, self.truncation_cutoff)

    def _mean_outside_layers(self, ws: Tensor) -> Tensor:
        """Replace the style of layers that are not chosen by the mean style."""
        if self.layers is None:
            return ws
        moving = torch.zeros(self.generator.num_ws, 1, dtype=torch.bool, device=ws.device)
        moving[list(self.layers)] = True
        return torch.where(moving, ws, self.generator.mapping.w_avg)

    def _unused_styles(self, count: int) -> Tensor:
        return self.generator.mapping.w_avg.expand(count, self.generator.num_ws, -1)


def codes_of_seed(seed: int, z_dim: int) -> Tensor:
    """Return the code z (1, z_dim) of a seed as NVIDIA's generate.py and its galleries define it.

    That is `numpy.random.RandomState(seed).randn(1, z_dim)`, rounded to single precision.

    Raises:
        InvalidArgumentError: the seed is negative or exceeds 32 bits.
    """
    if not 0 <= seed <= MAX_SEED:
        raise InvalidArgumentError(f"seed {seed} is not allowed; give 0 to {MAX_SEED}", field="seeds")
    return torch.from_numpy(np.random.RandomState(seed).randn(1, z_dim)).float()


def class_labels(generator: Generator, label: int | None, count: int) -> Tensor | None:
    """Return one-hot classes (count, c_dim) for a conditional generator, None for an unconditional one.

    Raises:
        InvalidArgumentError: a class is missing, not applicable, or out of range.
    """
    if generator.c_dim == 0:
        if label is not None:
            raise InvalidArgumentError(
                f"`label` is {label}, but this generator is not conditional; leave `label` out", field="label"
            )
        return None
    if label is None or not 0 <= label < generator.c_dim:
        given = "`label` was not given" if label is None else f"`label` is {label}"
        raise InvalidArgumentError(
            f"this generator is conditional and needs a class 0 to {generator.c_dim - 1}; {given}", field="label"
        )
    one_hot = F.one_hot(torch.full((count,), label), generator.c_dim).float()
    return one_hot.to(generator.mapping.w_avg.device)


def _require(field: str, allowed: bool, message: str) -> None:
    if not allowed:
        raise InvalidArgumentError(message, field=field)
