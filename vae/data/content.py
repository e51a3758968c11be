"""Compare the content of files with their data set, if checksums do not show that they are the published ones.

A file that was unpacked and packed again has another checksum and the same content, and of some files no valid
checksum is known. The readers check types, shapes, counts, names and the order of the labels; here a sample of images
is compared with what is known of the data set:

    dSprites    the drawing of `vae.data.dsprites`, which differs from a published image in a few pixels at most
    3D Shapes   the sky's RGB in the top row, and the hues of floor, wall and object at one pixel each
    CelebA      JPEG pictures of 178 x 218, and the mean color that classifiers of CelebA normalize with
    the others  no pixel is known: no image is blank, nearly all differ, and most are more like their neighbor along a
                smooth factor than like a random image

The sky and the hues k / 10 were read from the 50 images in the notebook of github.com/google-deepmind/3d-shapes: the
top rows have exactly this color, and the three hues are within 0.0144 of a multiple of 0.1. The share of neighbors,
75 %, is a choice between the 50 % of an arbitrary order and 100 %; it was not measured on published files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vae.data import celeba, dsprites, scenes
from vae.data.dataset import DataSet, Images

__all__ = ["CHECKED_SETS", "content_error", "content_facts"]

_NUM_SAMPLED = 256
_NUM_PAIRS = 128
_MAX_WRONG_PX = 12
_MIN_EXACT = 0.6
_SKY_TOLERANCE = 4
_HUE_TOLERANCE = 0.04
_HUE_PIXELS = {"floor": (63, 32), "wall": (28, 2), "object": (46, 32)}
"""Row and column of a pixel that shows the hue of each of the first three factors of 3D Shapes in every image."""
_CELEBA_MEAN = (129.1, 108.6, 97.7)
"""Mean RGB, published as 0.5063, 0.4258, 0.3832 of 255 in many training codes."""
_MEAN_TOLERANCE = 12.75
_MIN_DISTINCT = 0.9
_MIN_NEARER = 0.75
_MPI3D_SMOOTH = ("horizontal_axis", "vertical_axis")
_SMOOTH = {
    "mpi3d-toy": _MPI3D_SMOOTH,
    "mpi3d-realistic": _MPI3D_SMOOTH,
    "mpi3d-real": _MPI3D_SMOOTH,
    "mpi3d-complex": _MPI3D_SMOOTH,
    "3dfaces": ("azimuth", "elevation", "lighting"),
    "cars3d": ("azimuth",),
    "smallnorb": ("elevation", "azimuth"),
}
"""Factors whose steps are small, so that neighbors along them are alike."""


def content_error(name: str, files: tuple[Path, ...], data: DataSet) -> str | None:
    """Return how a sample of `data` differs from the data set `name`; None if it does not.

    Args:
        name: one of `CHECKED_SETS`.
        files: the files of the data set, in the catalog's order.
        data: the data set that was read from them.

    Raises:
        DataFileError: a sampled image cannot be read.
    """
    return _CHECKS[name].error(name, files, data)


def content_facts(name: str) -> str:
    """Return what `content_error` found to be right when it returned None."""
    return _CHECKS[name].facts


def _sampled(data: DataSet) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, len(data) - 1, _NUM_SAMPLED).astype(np.int64))


def _sprites_error(name: str, files: tuple[Path, ...], data: DataSet) -> str | None:
    indices = _sampled(data)
    images = data.images(indices)
    wrong = ((images[..., 0] > 0) != dsprites.draw(data.codes(indices)).astype(bool)).sum(axis=(1, 2))
    if not np.isin(images, (0, 255)).all():
        return "its images hold other values than black and white"
    if wrong.max() > _MAX_WRONG_PX or (wrong == 0).mean() < _MIN_EXACT:
        return f"{(wrong > 0).sum()} of {len(wrong)} sampled images differ from dSprites, by up to {wrong.max()} pixels"
    return None


def _shapes_error(name: str, files: tuple[Path, ...], data: DataSet) -> str | None:
    indices = _sampled(data)
    images, codes = data.images(indices), data.codes(indices)
    sky = np.abs(images[:, 0].astype(np.int64) - scenes.SKY_RGB).max(axis=(1, 2))
    if (sky > _SKY_TOLERANCE).any():
        return f"{(sky > _SKY_TOLERANCE).sum()} of {len(sky)} sampled images have another sky than 3D Shapes"
    for k, (part, (row, column)) in enumerate(_HUE_PIXELS.items()):
        off = np.abs(_hue(images[:, row, column]) - codes[:, k] / 10)
        wrong = np.minimum(off, 1 - off) > _HUE_TOLERANCE
        if wrong.any():
            return f"{wrong.sum()} of {len(wrong)} sampled images have another {part} hue than their labels"
    return None


def _hue(colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the hues (n,), on a circle of length 1, of colors (n, 3)."""
    angle = np.exp(2j * np.pi * np.arange(3) / 3)
    return np.asarray(np.angle(colors.astype(np.float64) @ angle) / (2 * np.pi) % 1)


def _celeba_error(name: str, files: tuple[Path, ...], data: DataSet) -> str | None:
    """Compare whole pictures, decoded from the archive: the mean is known of those only."""
    pictures = celeba.read_pictures(files[0], len(data), _sampled(data))
    if error := _sameness_error(pictures):
        return error
    mean = pictures.mean(axis=(0, 1, 2))
    if np.abs(mean - _CELEBA_MEAN).max() > _MEAN_TOLERANCE:
        found, expected = (", ".join(f"{value:.0f}" for value in color) for color in (mean, _CELEBA_MEAN))
        return f"the mean RGB of {len(pictures)} sampled pictures is {found}, that of CelebA is {expected}"
    return None


def _plausibility_error(name: str, files: tuple[Path, ...], data: DataSet) -> str | None:
    if error := _sameness_error(data.images(_sampled(data))):
        return error
    generator = np.random.default_rng(0)
    for k, factor in enumerate(data.factors):
        if factor.name not in _SMOOTH[name] or factor.size < 2:
            continue
        nearer = _share_of_nearer_neighbors(data, k, generator)
        if nearer < _MIN_NEARER:
            return (
                f"only {nearer:.0%} of {_NUM_PAIRS} sampled images are more like their neighbor along {factor.name} "
                "than like a random image, so they are not in the published order"
            )
    return None


def _sameness_error(images: Images) -> str | None:
    flat = images.reshape(len(images), -1)
    blank = (flat == flat[:, :1]).all(axis=1).sum()
    if blank:
        return f"{blank} of {len(flat)} sampled images are blank"
    num_distinct = len({image.tobytes() for image in flat})
    if num_distinct < _MIN_DISTINCT * len(flat):
        return f"only {num_distinct} of {len(flat)} sampled images are distinct"
    return None


def _share_of_nearer_neighbors(data: DataSet, k: int, generator: np.random.Generator) -> float:
    """Return the share of images that are nearer to the next one along factor `k` than to a random one."""
    codes = data.sample_codes(_NUM_PAIRS, generator)
    codes[:, k] = generator.integers(data.factors[k].size - 1, size=_NUM_PAIRS)
    instance = generator.integers(data.images_per_combination, size=_NUM_PAIRS)
    here = data.indices(codes) + instance
    codes[:, k] += 1
    near, far = data.indices(codes) + instance, data.sample(_NUM_PAIRS, generator)
    image, neighbor, other = (data.images(indices).astype(np.float32) for indices in (here, near, far))
    axes = (1, 2, 3)
    return float((np.abs(image - neighbor).mean(axis=axes) < np.abs(image - other).mean(axis=axes)).mean())


@dataclass(frozen=True)
class _Check:
    error: Callable[[str, tuple[Path, ...], DataSet], str | None]
    facts: str


_SPRITES = _Check(_sprites_error, f"{_NUM_SAMPLED} sampled images are those that dSprites' geometry gives")
_SHAPES = _Check(_shapes_error, f"{_NUM_SAMPLED} sampled images have the sky of 3D Shapes and the hues of their labels")
_CELEBA = _Check(
    _celeba_error,
    f"{_NUM_SAMPLED} sampled pictures are RGB of 178 x 218 with the mean color of CelebA; no pixel of it is known",
)
_CHECKS: dict[str, _Check] = {
    "dsprites-npz": _SPRITES,
    "dsprites-hdf5": _SPRITES,
    "3dshapes": _SHAPES,
    "celeba": _CELEBA,
    "celeba-crop": _CELEBA,
    **{
        name: _Check(
            _plausibility_error,
            f"of {_NUM_SAMPLED} sampled images none is blank, and neighbors along {' and '.join(factors)} are alike; "
            "no pixel of it is known",
        )
        for name, factors in _SMOOTH.items()
    },
}
CHECKED_SETS = tuple(_CHECKS)
"""The data sets whose content can be checked: all that are read from files."""
