"""Pebbles: a lit stone on a plain ground, whose factors share pixels; continuous values to torch batches.

In scenes most factors have pixels of their own. Here one outline holds shape, size and rotation, and every pixel of the
stone depends on all factors but the ground's hue. With x, y in the stone's frame, half axes a and b = 0.6 a, and
exponent n,

    r = (|x / a|^n + |y / b|^n)^(1 / n),  a superellipse (Lame) at r = 1, and the dome  r^2 + (z / c)^2 = 1  over it,

shaded by Lambert's law from one distant light, with a soft shadow on the ground away from it. Edges are smoothed over
one pixel. The range of rotation is less than half a turn and lopsided, so neither rotation nor light can be mistaken
for its mirror image.

| factor | range | |
|---|---|---|
| ground_hue | 0.35 to 0.95 of the color circle | green over blue to pink |
| stone_hue | 0 to 0.6 of the color circle | red over green to blue |
| size | 0.75 to 1.25 | |
| shape | 0 to 1 | n = 1.2 (a diamond) to 6 (a rectangle), geometric |
| rotation | -20 to 70 degrees | counterclockwise |
| light | 10 to 150 degrees | where it comes from, counterclockwise from the right |

Factors are independent and uniform over their ranges.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.factors import Factor
from vae.data.scenes_torch import hues_to_rgb

__all__ = ["FACTORS", "RANGES", "draw", "from_index_units", "to_index_units", "uniform_values"]

RANGES = {
    "ground_hue": (0.35, 0.95),
    "stone_hue": (0.0, 0.6),
    "size": (0.75, 1.25),
    "shape": (0.0, 1.0),
    "rotation": (-20.0, 70.0),
    "light": (10.0, 150.0),
}
"""Smallest and largest value of each factor, in order."""

FACTORS = tuple(Factor(name, 10) for name in RANGES)
"""The factors as a network reads them: ten evenly spaced values each, both ends included."""

_HALF_AXIS, _ASPECT, _HEIGHT = 0.62, 0.6, 0.32
_EXPONENTS = (1.2, 6.0)
_ELEVATION_DEG, _AMBIENT = 32.0, 0.2
_SHADOW_SHIFT, _SHADOW_SOFTNESS, _SHADOW_DEPTH = 0.24, 0.15, 0.6


def draw(values: Tensor, resolution: int = 32) -> Tensor:
    """Return images (N, 3, R, R) in [-1, 1] of factor values (N, 6), in the order and units of `RANGES`.

    >>> draw(torch.tensor([[0.5, 0.1, 1.0, 0.5, 25.0, 75.0]])).shape
    torch.Size([1, 3, 32, 32])
    """
    ground, stone, size, shape, rotation, light = values[:, :, None, None].unbind(1)
    axis = (torch.arange(resolution) + 0.5) * (2 / resolution) - 1
    x, y = axis.expand(resolution, resolution), -axis[:, None].expand(resolution, resolution)
    low, high = _EXPONENTS
    outline = _Outline(size, low * (high / low) ** shape, rotation.deg2rad())
    toward = torch.stack([light.deg2rad().cos(), light.deg2rad().sin()], dim=1)
    radius, normal = outline.dome(x, y)
    covered = outline.coverage(radius, normal, 2 / resolution)
    shift = _SHADOW_SHIFT * size[:, None] * toward
    distance = outline.dome(x + shift[:, 0], y + shift[:, 1])[0]
    shadow = torch.sigmoid((1 - distance) / _SHADOW_SOFTNESS)
    lit = _shading(normal, toward)
    on_ground = _tinted(ground, value=0.9, saturation=0.5) * (1 - _SHADOW_DEPTH * shadow)[:, None]
    on_stone = _tinted(stone, value=1.0, saturation=0.85) * lit[:, None]
    return 2 * torch.lerp(on_ground, on_stone, covered[:, None]) - 1


def uniform_values(num: int, generator: torch.Generator | None = None) -> Tensor:
    """Sample factor values (num, 6), uniform and independent over `RANGES`."""
    return from_index_units(torch.rand(num, len(FACTORS), generator=generator) * (FACTORS[0].size - 1))


def to_index_units(values: Tensor) -> Tensor:
    """Convert factor values (N, 6) to index units, as in `Factor`: 2.5 lies between the values 2 and 3.

    >>> to_index_units(torch.tensor([[0.35, 0.6, 1.0, 0.5, 25.0, 80.0]])).tolist()
    [[0.0, 9.0, 4.5, 4.5, 4.5, 4.5]]
    """
    low, high = torch.tensor(list(RANGES.values())).T
    return (values - low) / (high - low) * (FACTORS[0].size - 1)


def from_index_units(indices: Tensor) -> Tensor:
    """The factor values (N, 6) of indices (N, 6), integer or fractional; the inverse of `to_index_units`."""
    low, high = torch.tensor(list(RANGES.values())).T
    return low + (high - low) * indices / (FACTORS[0].size - 1)


class _Outline:
    """Superellipses (N, 1, 1) of half axes a and b, exponent n, turned by an angle in radians."""

    def __init__(self, size: Tensor, exponent: Tensor, angle: Tensor) -> None:
        self.exponent, self.cos, self.sin = exponent, angle.cos(), angle.sin()
        self.a, self.b, self.height = _HALF_AXIS * size, _HALF_AXIS * _ASPECT * size, _HEIGHT * size

    def dome(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """r (N, R, R) of points of the image, and the gradient (N, 3, R, R) of r^2 + (z / c)^2, over 2, at the dome.

        Outside of the outline z is 0.
        """
        along, across = (x * self.cos + y * self.sin) / self.a, (y * self.cos - x * self.sin) / self.b
        n = self.exponent
        radius = (along.abs().pow(n) + across.abs().pow(n)).clamp(min=1e-12).pow(1 / n)
        slope_a = radius * along.sign() * (along.abs() / radius).pow(n - 1) / self.a
        slope_b = radius * across.sign() * (across.abs() / radius).pow(n - 1) / self.b
        steep_x, steep_y = slope_a * self.cos - slope_b * self.sin, slope_a * self.sin + slope_b * self.cos
        up = (1 - radius.square()).clamp(min=0).sqrt() / self.height
        return radius, torch.stack([steep_x, steep_y, up], dim=1)

    def coverage(self, radius: Tensor, gradient: Tensor, pixel: float) -> Tensor:
        """The part (N, R, R) of each pixel that is inside, from the distance to the outline to first order."""
        steepness = gradient[:, :2].norm(dim=1) / radius
        return ((1 - radius) / (steepness * pixel) + 0.5).clamp(0, 1)


def _shading(gradient: Tensor, toward: Tensor) -> Tensor:
    """Lambert's law (N, R, R) at normals along `gradient` (N, 3, R, R), for light from `toward` (N, 2, 1, 1)."""
    elevation = math.radians(_ELEVATION_DEG)
    sideways = math.cos(elevation) * toward
    light = torch.cat([sideways, torch.full_like(sideways[:, :1], math.sin(elevation))], dim=1)
    return _AMBIENT + (1 - _AMBIENT) * (F.normalize(gradient, dim=1) * light).sum(1).clamp(min=0)


def _tinted(hue: Tensor, value: float, saturation: float) -> Tensor:
    """Colors (N, 3, 1, 1) in [0, 1] of hues (N, 1, 1)."""
    return value * (1 - saturation + saturation * hues_to_rgb(hue[:, 0, 0]))[:, :, None, None]
