"""Whether a file that is not the published one byte by byte holds the published images: a sample is compared.

A file that was unpacked and packed again has another checksum and the same content. Its reader has checked types,
shapes, counts and the order of the labels; this module compares 256 images, spread over the grid, with what is known:

    dSprites   the drawing of `vae.data.dsprites`, which differs from a published image in a few pixels at most
    3D Shapes  the color of the sky in the top row, and the hue of the floor at the bottom (Burgess and Kim 2018)

Other data sets have no known pixels; their files must be the published ones, unless they are not verified.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vae.data import dsprites, scenes
from vae.data.dataset import DataSet, Images, Integers

__all__ = ["content_error", "has_known_pixels"]

_NUM_SAMPLED = 256
_MAX_WRONG_PX = 12
_MIN_EXACT = 0.6
_SKY_TOLERANCE = 4
_HUE_TOLERANCE = 0.04


def has_known_pixels(name: str) -> bool:
    """Whether the images of a data set can be compared with known ones."""
    return name in _CHECKS


def content_error(name: str, data: DataSet) -> str | None:
    """Return how a sample of `data` differs from the data set `name`; None if it does not.

    Args:
        name: a name for which `has_known_pixels` is true.
        data: the data set that was read from the file.
    """
    indices = np.unique(np.linspace(0, len(data) - 1, _NUM_SAMPLED).astype(np.int64))
    return _CHECKS[name](data.codes(indices), data.images(indices))


def _sprites_error(codes: Integers, images: Images) -> str | None:
    wrong = ((images[..., 0] > 0) != dsprites.draw(codes).astype(bool)).sum(axis=(1, 2))
    if not np.isin(images, (0, 255)).all():
        return "its images hold other values than black and white"
    if wrong.max() > _MAX_WRONG_PX or (wrong == 0).mean() < _MIN_EXACT:
        return f"{(wrong > 0).sum()} of {len(wrong)} sampled images differ from dSprites, by up to {wrong.max()} pixels"
    return None


def _shapes_error(codes: Integers, images: Images) -> str | None:
    sky = np.abs(images[:, 0].astype(np.int64) - scenes.SKY_RGB).max(axis=(1, 2))
    if (sky > _SKY_TOLERANCE).any():
        return f"{(sky > _SKY_TOLERANCE).sum()} of {len(sky)} sampled images have another sky than 3D Shapes"
    off = np.abs(_hue(images[:, -1, images.shape[2] // 2]) - codes[:, 0] / 10)
    wrong = np.minimum(off, 1 - off) > _HUE_TOLERANCE
    return f"{wrong.sum()} of {len(wrong)} sampled images have another floor than their labels" if wrong.any() else None


def _hue(colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the hues (n,), on a circle of length 1, of colors (n, 3)."""
    angle = np.exp(2j * np.pi * np.arange(3) / 3)
    return np.asarray(np.angle(colors.astype(np.float64) @ angle) / (2 * np.pi) % 1)


_CHECKS: dict[str, Callable[[Integers, Images], str | None]] = {
    "dsprites-npz": _sprites_error,
    "dsprites-hdf5": _sprites_error,
    "3dshapes": _shapes_error,
}
