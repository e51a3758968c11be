"""Scenes of continuous factors as torch batches, fast enough to train on, and a known generator of their factors.

An image is linear in its three colors once its geometry is fixed (see `scenes_geometry`), so `SceneTable` holds the
coefficient maps of a fine grid of geometries, and a batch takes one lookup and one small product per pixel. Scale and
orientation are rounded to the nearest entry: by default 1/80 of the middle scale and half a degree, a displacement of
less than half a pixel at 64 px.

`CodeToFactors` is the ground truth of a generator that is fitted to the renderer:

    y = R z / rms(z),  u = Phi(y),  factor values = u scaled to the factors' ranges

R holds the first six rows of a random rotation and Phi is the standard normal distribution function, so factors are
independent and (nearly, for codes of 64 numbers) uniform, and hues wrap around continuously at infinity. The code is
divided by its root mean square because StyleGAN2's mapping network does so first.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.runs.files import write_bytes
from vae.data.scenes import FACTORS, ORIENTATION_RANGE_DEG, SCALE_RANGE, SKY_RGB
from vae.data.scenes_geometry import MAPS, SHAPES, coefficient_maps

__all__ = ["CodeToFactors", "SceneTable", "hues_to_rgb", "to_index_units", "uniform_to_values", "uniform_values"]


class SceneTable:
    """Coefficient maps of `num_scales` x `num_orientations` x 4 geometries, and the images composited from them.

    Args:
        resolution: side of the images, in pixels.
        num_scales: number of scales, evenly spaced over the data set's range, both ends included.
        num_orientations: number of orientations, likewise.
        samples: rays per pixel along each axis.
        cache: a file that stores the maps; read if it fits this table, written otherwise.
    """

    def __init__(
        self,
        resolution: int = 32,
        *,
        num_scales: int = 41,
        num_orientations: int = 121,
        samples: int = 4,
        cache: Path | None = None,
    ) -> None:
        self.resolution = resolution
        self.num_scales = num_scales
        self.num_orientations = num_orientations
        self.samples = samples
        maps = self._read(cache) if cache is not None and cache.exists() else None
        if maps is None:
            maps = self._render()
            if cache is not None:
                write_bytes(cache, maps.tobytes())
        self.maps = torch.from_numpy(maps)
        self._sky = torch.tensor(SKY_RGB) / 255

    def images(self, values: Tensor) -> Tensor:
        """Return images (N, 3, R, R) in [-1, 1], channels last, of factor values (N, 6); units as in `draw_values`."""
        maps = self.maps[self._rows(values)]
        colors = torch.cat([self._sky.expand(len(values), 1, 3), hues_to_rgb(values[:, :3])], dim=1)
        flat = maps.flatten(2).transpose(1, 2).float()
        images = torch.baddbmm(values.new_tensor(-1.0), flat, colors * (2 / 255)).unflatten(
            1, (self.resolution, self.resolution)
        )
        return images.permute(0, 3, 1, 2)

    def _rows(self, values: Tensor) -> Tensor:
        shape = values[:, 4].round().long().clamp(0, len(SHAPES) - 1)
        scale = _nearest(values[:, 3], SCALE_RANGE, self.num_scales)
        orientation = _nearest(values[:, 5], ORIENTATION_RANGE_DEG, self.num_orientations)
        return (shape * self.num_scales + scale) * self.num_orientations + orientation

    def _geometries(self) -> Iterator[tuple[int, float, float]]:
        for shape in range(len(SHAPES)):
            for scale in np.linspace(*SCALE_RANGE, self.num_scales):
                for orientation in np.linspace(*ORIENTATION_RANGE_DEG, self.num_orientations):
                    yield shape, float(scale), float(orientation)

    def _shape(self) -> tuple[int, ...]:
        count = len(SHAPES) * self.num_scales * self.num_orientations
        return count, len(MAPS), self.resolution, self.resolution

    def _render(self) -> np.ndarray:
        maps = np.empty(self._shape(), np.uint8)
        for row, geometry in enumerate(self._geometries()):
            maps[row] = np.rint(255 * coefficient_maps(*geometry, self.resolution, self.samples))
        return maps

    def _read(self, cache: Path) -> np.ndarray | None:
        data = np.fromfile(cache, np.uint8)
        return data.reshape(self._shape()) if data.size == np.prod(self._shape()) else None


def uniform_values(num: int, generator: torch.Generator | None = None) -> Tensor:
    """Sample factor values (num, 6), uniform and independent over their continuous ranges, shapes equally often."""
    u = torch.rand(num, len(FACTORS), generator=generator)
    return uniform_to_values(u)


def uniform_to_values(u: Tensor) -> Tensor:
    """Map coordinates (N, 6) in [0, 1) to factor values: hues unchanged, the others scaled to their ranges."""
    scale = SCALE_RANGE[0] + (SCALE_RANGE[1] - SCALE_RANGE[0]) * u[:, 3]
    shape = (u[:, 4] * len(SHAPES)).floor().clamp(0, len(SHAPES) - 1)
    low, high = ORIENTATION_RANGE_DEG
    return torch.stack([u[:, 0], u[:, 1], u[:, 2], scale, shape, low + (high - low) * u[:, 5]], dim=1)


def to_index_units(values: Tensor) -> Tensor:
    """Convert factor values (N, 6) to index units, as in `Factor`: 2.5 lies between the values 2 and 3.

    >>> to_index_units(torch.tensor([[0.25, 0.5, 0.9, 1.25, 3.0, 0.0]])).tolist()
    [[2.5, 5.0, 9.0, 7.0, 3.0, 7.0]]
    """
    low = torch.tensor([0, 0, 0, SCALE_RANGE[0], 0, ORIENTATION_RANGE_DEG[0]])
    high = torch.tensor([1, 1, 1, SCALE_RANGE[1], len(SHAPES) - 1, ORIENTATION_RANGE_DEG[1]])
    steps = torch.tensor([each.size - (each.kind != "circular") for each in FACTORS])
    return (values - low) / (high - low) * steps


def hues_to_rgb(hues: Tensor) -> Tensor:
    """Return fully saturated colors (..., 3) in [0, 1] of hues (...); the torch version of `scenes.hue_to_rgb`."""
    sector = hues[..., None] * 6 + hues.new_tensor([0.0, 4.0, 2.0])
    return ((sector.remainder(6) - 3).abs() - 1).clamp(0, 1)


def _nearest(values: Tensor, span: tuple[float, float], num: int) -> Tensor:
    position = (values - span[0]) / (span[1] - span[0]) * (num - 1)
    return position.round().long().clamp(0, num - 1)


class CodeToFactors:
    """A known function from Gaussian codes (N, z_dim) to factor values (N, 6), in the units of `scenes.draw_values`.

    Attributes:
        rotation: (6, z_dim), orthonormal rows; factor k depends on the direction of row k.

    >>> codes = CodeToFactors.random(z_dim=16, seed=0)
    >>> codes.values(torch.zeros(1, 16)).tolist()
    [[0.5, 0.5, 0.5, 1.0, 2.0, 0.0]]
    """

    def __init__(self, rotation: Tensor) -> None:
        assert rotation.ndim == 2, rotation.shape
        assert len(rotation) == len(FACTORS), rotation.shape
        self.rotation = rotation

    @classmethod
    def random(cls, z_dim: int, seed: int) -> "CodeToFactors":
        """Return the function whose rotation is drawn with `seed`."""
        square = torch.randn(z_dim, z_dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        q, r = torch.linalg.qr(square)
        return cls((q * r.diagonal().sign()).T[: len(FACTORS)].float().contiguous())

    def uniform(self, z: Tensor) -> Tensor:
        """Return coordinates (N, 6) in (0, 1), one per factor."""
        y = z @ self.rotation.to(z).T
        return torch.special.ndtr(y * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8))

    def values(self, z: Tensor) -> Tensor:
        """Return factor values (N, 6)."""
        return uniform_to_values(self.uniform(z))

    def to_metadata(self) -> dict[str, Any]:
        """Return the function as JSON values, to be stored with the weights of a generator."""
        return {"factors": [factor.name for factor in FACTORS], "rotation": self.rotation.tolist()}

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> "CodeToFactors":
        """Restore what `to_metadata` returned."""
        return cls(torch.tensor(metadata["rotation"]))
