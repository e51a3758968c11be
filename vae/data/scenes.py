"""Scenes: a procedural look-alike of 3D Shapes, drawn on demand from six known factors.

The factors, their sizes and their order are those of 3D Shapes (Burgess and Kim 2018): floor hue, wall hue and object
hue (10 each, k / 10 of the color circle at full saturation), scale (8, from 0.75 to 1.25), shape (4) and orientation
(15, camera azimuth from -30 to 30 degrees); the last one varies fastest in the grid of 480,000. Images are composited
from cached coefficient maps (see `scenes_geometry`), so a grid image takes microseconds.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.factors import Factor, check_indices
from vae.data.scenes_geometry import SHAPES, coefficient_maps, coefficient_maps_of

__all__ = [
    "FACTORS",
    "FACTOR_VALUES",
    "ORIENTATION_RANGE_DEG",
    "RESOLUTIONS",
    "SCALE_RANGE",
    "SIZES",
    "SKY_RGB",
    "draw",
    "draw_values",
    "hue_to_rgb",
    "values_of",
]

FACTORS = (
    Factor("floor_hue", 10, "circular"),
    Factor("wall_hue", 10, "circular"),
    Factor("object_hue", 10, "circular"),
    Factor("scale", 8, "linear"),
    Factor("shape", 4, "categorical"),
    Factor("orientation", 15, "linear"),
)
SIZES = tuple(factor.size for factor in FACTORS)
RESOLUTIONS = (32, 64, 128)
SCALE_RANGE = (0.75, 1.25)
ORIENTATION_RANGE_DEG = (-30.0, 30.0)
SKY_RGB = (153, 226, 249)
FACTOR_VALUES: tuple[npt.NDArray[np.float64], ...] = (
    *(np.arange(10) / 10 for _ in range(3)),
    np.linspace(*SCALE_RANGE, 8),
    np.arange(4.0),
    np.linspace(*ORIENTATION_RANGE_DEG, 15),
)


def values_of(indices: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the factor values of grid indices: (n, 6) ints -> hues in [0, 1), scale, shape index, degrees.

    Raises:
        InvalidArgumentError: `indices` has another shape, is not integer, or is out of range.

    >>> values_of([[0, 5, 9, 7, 2, 0]]).tolist()
    [[0.0, 0.5, 0.9, 1.25, 2.0, -30.0]]
    """
    rows = check_indices(indices, FACTORS)
    return np.stack([FACTOR_VALUES[k][rows[:, k]] for k in range(len(FACTORS))], axis=1)


def hue_to_rgb(hue: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return the fully saturated colors of hues (any real, the circle has length 1): (...,) -> (..., 3) in [0, 1].

    >>> hue_to_rgb([0.0, 1 / 3, 0.5]).round(3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]]
    """
    sector = np.asarray(hue, np.float64)[..., None] * 6 + np.array([0.0, 4.0, 2.0])
    return np.clip(np.abs(sector % 6 - 3) - 1, 0, 1).astype(np.float32)


def draw(indices: npt.ArrayLike, resolution: int = 64) -> npt.NDArray[np.uint8]:
    """Draw scenes of the grid: (n, 6) factor indices -> (n, resolution, resolution, 3) uint8.

    Raises:
        InvalidArgumentError: the indices are out of range, or the resolution is not one of `RESOLUTIONS`.
    """
    rows = check_indices(indices, FACTORS)
    _check_resolution(resolution)
    which = np.ravel_multi_index(tuple(rows[:, 3:].T), SIZES[3:]).astype(np.int64)
    table = _table(resolution)
    table.fill(which)
    return _composite(table.maps, which, _HUES_RGB[rows[:, :3]], _SKY)


def draw_values(values: npt.ArrayLike, resolution: int = 64) -> npt.NDArray[np.uint8]:
    """Draw scenes of continuous factor values by ray casting: (n, 6) -> (n, resolution, resolution, 3) uint8.

    Hues may be any real number (the circle has length 1), the shape is rounded to an index; scale and orientation
    are in the units of `FACTOR_VALUES` and may slightly exceed their ranges.

    Raises:
        InvalidArgumentError: wrong shape, a value that is not finite, an unknown shape, or another resolution.
    """
    rows = np.asarray(values, np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(FACTORS) or not np.isfinite(rows).all():
        raise InvalidArgumentError(
            f"values has shape {rows.shape} or holds values that are not finite; "
            f"give finite numbers of shape (n, {len(FACTORS)}), one column per factor"
        )
    _check_resolution(resolution)
    shapes = np.rint(rows[:, 4]).astype(np.int64)
    if len(rows) and (shapes.min() < 0 or shapes.max() >= len(SHAPES)):
        raise InvalidArgumentError(
            f"column 4 of values (shape) ranges from {rows[:, 4].min():g} to {rows[:, 4].max():g}, "
            f"but must be 0 to {len(SHAPES) - 1} ({', '.join(SHAPES)})"
        )
    maps = coefficient_maps_of(shapes, rows[:, 3], rows[:, 5], resolution)
    return _composite(maps, np.arange(len(rows)), hue_to_rgb(rows[:, :3]), _SKY)


_SKY = np.array(SKY_RGB, np.float32)
_HUES_RGB = hue_to_rgb(np.arange(10) / 10)


class _Table:
    """The maps of every geometry of the grid (scale, shape, orientation) at one resolution, ray-cast on demand."""

    def __init__(self, resolution: int) -> None:
        self.maps = np.zeros((int(np.prod(SIZES[3:])), 4, resolution, resolution), np.float32)
        self._known = np.zeros(len(self.maps), bool)

    def fill(self, which: npt.NDArray[np.int64]) -> None:
        """Ray-cast the missing maps of the geometries `which` (n,)."""
        for geometry in np.unique(which[~self._known[which]]):
            scale, shape, orientation = (int(k) for k in np.unravel_index(geometry, SIZES[3:]))
            values = FACTOR_VALUES[3][scale], FACTOR_VALUES[5][orientation]
            self.maps[geometry] = coefficient_maps(shape, *values, self.maps.shape[-1])
            self._known[geometry] = True


@lru_cache(maxsize=len(RESOLUTIONS))
def _table(resolution: int) -> _Table:
    return _Table(resolution)


@njit(cache=True)
def _composite(
    maps: npt.NDArray[np.float32],
    which: npt.NDArray[np.int64],
    colors: npt.NDArray[np.float32],
    sky: npt.NDArray[np.float32],
) -> npt.NDArray[np.uint8]:
    """Color the maps (g, 4, R, R), selected by `which` (n,), with colors (n, 3, 3) of floor, wall and object."""
    n, resolution = len(which), maps.shape[2]
    images = np.empty((n, resolution, resolution, 3), np.uint8)
    for i in range(n):
        layers = maps[which[i]]
        for row in range(resolution):
            for column in range(resolution):
                for c in range(3):
                    tint = (
                        layers[1, row, column] * colors[i, 0, c]
                        + layers[2, row, column] * colors[i, 1, c]
                        + layers[3, row, column] * colors[i, 2, c]
                    )
                    value = np.float32(255.0) * tint + layers[0, row, column] * sky[c]
                    images[i, row, column, c] = np.uint8(min(value + np.float32(0.5), np.float32(255.0)))
    return images


def _check_resolution(resolution: int) -> None:
    if resolution not in RESOLUTIONS:
        raise InvalidArgumentError(
            f"resolution={resolution} is not available; choose one of {', '.join(map(str, RESOLUTIONS))}"
        )
