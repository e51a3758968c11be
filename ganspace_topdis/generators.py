"""The interface of a generator, two plain functions, and a small generator whose directions are known."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["Generate", "HandBuiltGenerator", "SampleCodes", "checked_codes", "checked_outputs"]

Generate = Callable[[Tensor], Tensor]
"""Maps codes (N, D) or (N, num_layers, D) to images (N, C, H, W), nominally in [-1, 1], or to features (N, ...)."""

SampleCodes = Callable[[int, torch.Generator], Tensor]
"""Maps a number n and a random generator to codes (n, D)."""


def checked_outputs(generate: Generate) -> Generate:
    """`generate`, which raises `InvalidArgumentError` where it returns anything but what a search can use.

    Refused are lists and arrays, other numbers of rows than codes, integers, values that are not finite and, where a
    gradient is needed, tensors without one.
    """

    def run(codes: Tensor) -> Tensor:
        outputs = _tensor(generate(codes), "generate", f"({len(codes)}, ...)")
        if outputs.ndim < 2 or len(outputs) != len(codes):
            raise InvalidArgumentError(
                f"`generate` returned shape {tuple(outputs.shape)} for {len(codes)} codes; return one row per code, "
                f"({len(codes)}, ...)",
                field="generate",
            )
        if torch.is_grad_enabled() and codes.requires_grad and not outputs.requires_grad:
            raise InvalidArgumentError(
                "`generate` returned a tensor without gradient; do not detach it, convert it to numpy, or compute it "
                "under torch.no_grad",
                field="generate",
            )
        return outputs

    return run


def checked_codes(sample_codes: SampleCodes) -> SampleCodes:
    """`sample_codes`, which raises `InvalidArgumentError` where it returns anything but finite codes (n, D)."""

    def run(num_codes: int, rng: torch.Generator) -> Tensor:
        codes = _tensor(sample_codes(num_codes, rng), "sample_codes", f"({num_codes}, D)")
        if codes.ndim != 2 or len(codes) != num_codes:
            raise InvalidArgumentError(
                f"`sample_codes` returned shape {tuple(codes.shape)}; return ({num_codes}, D) for {num_codes} codes",
                field="sample_codes",
            )
        return codes

    return run


def _tensor(value: object, name: str, shape: str) -> Tensor:
    if not isinstance(value, Tensor):
        kind = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
        raise InvalidArgumentError(f"`{name}` returned {kind}; return a torch.Tensor {shape}", field=name)
    if not value.is_floating_point():
        raise InvalidArgumentError(f"`{name}` returned {value.dtype}; return floating-point numbers", field=name)
    if not bool(value.detach().isfinite().all()):
        raise InvalidArgumentError(
            f"`{name}` returned values that are not finite (NaN or infinity); check the codes and the precision of the "
            "generator",
            field=name,
        )
    return value


class HandBuiltGenerator(nn.Module):
    """A differentiable generator whose directions are known, for exact tests of every method.

    It maps latents (N, 6), standard normal, to images (N, 3, resolution, resolution) in [-1, 1]: one soft ellipse with
    six independent factors (x, y, size, color, background, aspect), each a smooth function of one standard normal
    number. The latents are a rotation of these numbers, hence isotropic: principal components carry no information,
    and the true directions are the rows of the rotation.

    Args:
        seed: seed of the rotation.
        resolution: side of the images, px.

    Attributes:
        true_directions: (6, 6), row k is the unit direction of factor k in latent space.
    """

    true_directions: Tensor
    pixels: Tensor

    def __init__(self, *, seed: int = 0, resolution: int = 32) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(seed)))
        self.register_buffer("true_directions", rotation)
        axis = (torch.arange(resolution) + 0.5) / resolution * 2 - 1
        self.register_buffer("pixels", torch.stack(torch.meshgrid(axis, axis, indexing="xy")))

    def sample_codes(self, num_codes: int, rng: torch.Generator) -> Tensor:
        """`num_codes` latents (n, 6)."""
        return torch.randn(num_codes, 6, generator=rng)

    def factors(self, latents: Tensor) -> Tensor:
        """The six factors (N, 6), each in (0, 1) and uniform for normal latents."""
        return torch.special.ndtr(latents @ self.true_directions.T)

    def forward(self, latents: Tensor) -> Tensor:
        """Images (N, 3, H, W) of `latents` (N, 6)."""
        return self.draw(self.factors(latents))

    def draw(self, factors: Tensor) -> Tensor:
        """Images (N, 3, H, W) of `factors` (N, 6) in (0, 1)."""
        x, y, size, color, background, aspect = (factor[:, None, None] for factor in factors.unbind(1))
        radius = 0.2 + 0.25 * size
        stretch = torch.exp(0.8 * (aspect - 0.5))
        across = (self.pixels[0] - (x - 0.5)) / (radius * stretch)
        down = (self.pixels[1] - (y - 0.5)) / (radius / stretch)
        inside = torch.sigmoid(8 * (1 - torch.sqrt(across**2 + down**2 + 1e-6)))
        paint = torch.stack([color, 0.5 + 0 * color, 1 - color], dim=1)
        ground = torch.stack([0.3 * background, background, 0.3 + 0 * background], dim=1)
        return 2 * (ground + (paint - ground) * inside[:, None]) - 1
