"""dSprites drawn from its geometry: white shapes on black, 64 x 64, no anti-aliasing, no download.

A pixel is on if its center lies inside the shape's outline. The published images (Matthey et al. 2017, dSprites:
disentanglement testing sprites, Apache-2.0) came from a vector drawing of a rectangle, an ellipse and a custom heart;
the outlines below were fitted to published frames and reproduce most of them bit for bit. With scale s in 0.5 .. 1,
orientation theta = 2 pi k / 39 counter-clockwise on screen, and positions p in 0 .. 1 in 32 steps:

    outline = center + s * rotation(theta) * shape,   center = 16 + 32 p pixels on both axes, y downward

The 40 orientations include both 0 and 2 pi, so the first and the last are the same images, as published.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from ganspace_topdis.factors import Factor, check_indices

__all__ = ["FACTORS", "SHAPES", "SIDE_PX", "draw", "draw_bits"]

FACTORS = (
    Factor("shape", 3, "categorical"),
    Factor("scale", 6, "linear"),
    Factor("orientation", 40, "circular"),
    Factor("posX", 32, "linear"),
    Factor("posY", 32, "linear"),
)
SHAPES = ("square", "ellipse", "heart")
SIDE_PX = 64
_SIZES = tuple(factor.size for factor in FACTORS)
_SCALES = np.linspace(0.5, 1.0, 6)
_TIE_PX = 0.001
"""Added to the center to decide pixels whose center lies on an outline."""
_HALF_SQUARE_PX = 9.598
"""The published squares allow 9.5979 to 9.5985."""
_ELLIPSE_PX, _ELLIPSE_CORNERS = (12.8, 7.225), 46
_HEART_ORIGIN_PX = -1.5
_HEART_DEGREES = (
    *(0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60),
    *(64, 68, 72, 76, 80, 84, 88, 92, 96, 100, 104, 108, 112, 116, 120, 124, 128, 132, 136, 140),
    *(144, 148, 152, 156, 160, 164, 168, 170, 172, 174, 175, 176, 177, 178, 179, 180),
)
_HEART_RADII_PX = (
    *(11.185, 10.628, 10.197, 9.893, 9.609, 9.462, 9.284, 8.839, 8.607, 8.344, 7.941),
    *(7.667, 7.432, 7.246, 7.137, 7.064, 7.007, 7.002, 7.018, 7.086, 7.163, 7.286),
    *(7.422, 7.609, 7.795, 8.042, 8.282, 8.577, 8.875, 9.144, 9.401, 9.683, 9.873, 10.095, 10.192),
    *(10.328, 10.332, 10.333, 10.289, 10.177, 10.040, 9.831),
    *(9.577, 9.242, 8.856, 8.361, 7.799, 7.114, 6.385, 5.926, 5.548, 5.071, 4.691, 4.555),
    *(4.345, 4.062, 3.714, 3.366),
)


def draw(factor_indices: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Draw sprites: (n, 5) indices of shape, scale, orientation, posX and posY -> (n, 64, 64) uint8 of 0 and 1.

    Raises:
        InvalidArgumentError: the indices have another shape, are not integers, or are out of range.

    >>> int(draw([[0, 5, 0, 0, 0]]).sum())  # a square of 20 by 20 pixels
    400
    """
    return np.unpackbits(draw_bits(factor_indices), axis=1).reshape(-1, SIDE_PX, SIDE_PX)


def draw_bits(factor_indices: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Like `draw`, with eight pixels per byte, the first in the highest bit: (n, 5) -> (n, 512) uint8."""
    rows = check_indices(factor_indices, FACTORS, "factor_indices")
    return _fill(rows, _OUTLINES, _CORNERS, _SCALES)


def _square() -> npt.NDArray[np.float64]:
    return _HALF_SQUARE_PX * np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])


def _ellipse() -> npt.NDArray[np.float64]:
    angles = 2 * np.pi * np.arange(_ELLIPSE_CORNERS) / _ELLIPSE_CORNERS
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * _ELLIPSE_PX


def _heart() -> npt.NDArray[np.float64]:
    """Mirror radii about a point above the center, from straight down (the tip) to straight up (the notch)."""
    angles, radii = np.radians(_HEART_DEGREES), np.array(_HEART_RADII_PX)
    right = np.stack([radii * np.sin(angles), radii * np.cos(angles) + _HEART_ORIGIN_PX], axis=1)
    return np.concatenate([right, right[-2:0:-1] * (-1, 1)])


def _rotated(outlines: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return the outlines at scale 1, padded to the same length: (shape, orientation, corner, xy)."""
    table = np.zeros((len(outlines), _SIZES[2], max(map(len, outlines)), 2))
    for k in range(_SIZES[2]):
        theta = 2 * math.pi * (k % (_SIZES[2] - 1)) / (_SIZES[2] - 1)
        cos, sin = math.cos(theta), math.sin(theta)
        for shape, outline in enumerate(outlines):
            table[shape, k, : len(outline)] = outline @ np.array([[cos, -sin], [sin, cos]])
    return table


_SHAPE_OUTLINES = [_square(), _ellipse(), _heart()]
_OUTLINES = _rotated(_SHAPE_OUTLINES)
_CORNERS = np.array([len(outline) for outline in _SHAPE_OUTLINES])


@njit(cache=True)
def _fill(
    rows: npt.NDArray[np.int64],
    outlines: npt.NDArray[np.float64],
    corners: npt.NDArray[np.int64],
    scales: npt.NDArray[np.float64],
) -> npt.NDArray[np.uint8]:
    """Even-odd scan conversion: every edge toggles the pixels to its right in the rows whose centers it crosses."""
    bits = np.zeros((len(rows), 512), np.uint8)
    lines = np.empty(64, np.uint64)
    ones = np.uint64(0xFFFFFFFFFFFFFFFF)
    for i in range(len(rows)):
        outline = outlines[rows[i, 0], rows[i, 2]]
        num = corners[rows[i, 0]]
        scale = scales[rows[i, 1]]
        cx = 16.0 + 32.0 * rows[i, 3] / 31.0 + _TIE_PX
        cy = 16.0 + 32.0 * rows[i, 4] / 31.0 + _TIE_PX
        lines[:] = np.uint64(0)
        x0, y0 = cx + scale * outline[num - 1, 0], cy + scale * outline[num - 1, 1]
        for k in range(num):
            x1, y1 = cx + scale * outline[k, 0], cy + scale * outline[k, 1]
            first, last = math.ceil(min(y0, y1) - 0.5), math.ceil(max(y0, y1) - 0.5)
            for line in range(first, last):
                x = x0 + (line + 0.5 - y0) * (x1 - x0) / (y1 - y0)
                lines[line] ^= ones >> np.uint64(math.ceil(x - 0.5))
            x0, y0 = x1, y1
        for line in range(64):
            for byte in range(8):
                bits[i, line * 8 + byte] = np.uint8((lines[line] >> np.uint64(56 - 8 * byte)) & np.uint64(255))
    return bits
