"""Open a data set by name, with its variations: "dsprites", "3dshapes:scale=4,px=16", "dsprites:posX~posY=0.1".

A name is one of the catalog's, optionally followed by a colon and variations separated by commas:

    FACTOR=NUMBER           keep this many values of a factor, evenly spread
    FACTOR=0+5+9            keep these values
    FACTOR~FACTOR=SIGMA     correlate two factors with this strength
    px=SIDE                 average blocks of pixels, so that an image has SIDE x SIDE of them

To add a data set, describe it in `vae.data.catalog` and list its reader in `_READERS`, or its drawing in `_DRAWINGS`.

A file that was unpacked and packed again has another checksum and the same content. Its reader has checked types,
shapes, counts and the order of the labels; here 256 images, spread over the grid, are compared with what is known:

    dSprites   the drawing of `vae.data.dsprites`, which differs from a published image in a few pixels at most
    3D Shapes  the color of the sky in the top row, and the hue of the floor at the bottom (Burgess and Kim 2018)

Other data sets have no known pixels; their files must be the published ones, unless they are not verified.
"""

import difflib
import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.downloads import cache_folder
from ganspace_topdis.runs.progress import Progress
from vae.data import celeba, dsprites, grid_readers, object_readers, scenes
from vae.data.array_dataset import ArrayDataSet, ArrayStore
from vae.data.catalog import CATALOG, DataSetInfo
from vae.data.dataset import DataSet, Images, Integers, ProceduralDataSet
from vae.data.source_files import CACHE_KIND, DataFileError, find_files, require_checksum
from vae.data.variations import apply_variations, parse_variations

__all__ = [
    "content_error",
    "draw_to_array",
    "find_info",
    "has_known_pixels",
    "names",
    "open_data",
    "open_set",
    "procedural_dsprites",
    "procedural_scenes",
    "store_view",
]


_BLOCK = 8192


def names() -> tuple[str, ...]:
    """Return the names that `open_data` accepts, without variations."""
    return tuple(CATALOG)


def find_info(name: str) -> DataSetInfo:
    """Return the catalog's entry of a data set, ignoring variations.

    Raises:
        InvalidArgumentError: the data set is unknown.
    """
    base = name.partition(":")[0]
    if base not in CATALOG:
        nearest = difflib.get_close_matches(base, CATALOG, n=3, cutoff=0.3)
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else ";"
        raise InvalidArgumentError(f"data set {base!r} is unknown{hint} `topdis-gan data list` lists all of them")
    return CATALOG[base]


def open_data(
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    cache: bool = True,
    verify: bool = True,
    progress: Progress | None = None,
) -> DataSet:
    """Open the data set called `name`, variations included.

    Args:
        name: see the module.
        root: file of the data set, or the folder that holds its files; None searches TOPDIS_DATA's folder, then the
            cache. Procedural data sets need none.
        cache: whether compressed data sets are unpacked once into the cache folder and memory-mapped from there;
            otherwise they are unpacked into memory.
        verify: whether files are compared with their published checksums, if known. A file with another checksum is
            read with a warning if a sample of its images is known to be right (`vae.data.opening`).
        progress: called with the number of images while a data set is unpacked or drawn.

    Raises:
        InvalidArgumentError: the data set, a factor or a value is unknown.
        DataFileError: a file is missing, damaged, hostile or another file.
        MissingDependencyError: an optional package is needed to read it.
        RunFolderError: the cache cannot be written.
    """
    info = find_info(name)
    store = ArrayStore.in_cache(progress) if cache else ArrayStore(progress=progress)
    variations = parse_variations(name)
    return apply_variations(open_set(info, root=root, store=store, verify=verify), variations)


def open_set(
    info: DataSetInfo, *, store: ArrayStore, root: str | os.PathLike[str] | None = None, verify: bool = True
) -> DataSet:
    """Open the data set that `info` describes; a modified copy of a catalog entry reads files of other sizes.

    Raises:
        InvalidArgumentError: a file is given for a procedural data set.
        DataFileError: see `open_data`.
    """
    if drawing := _DRAWINGS.get(info.name):
        if root is not None:
            raise InvalidArgumentError(
                f"{info.name} is procedural and reads no file; omit {os.fspath(root)}, or name the data set it holds"
            )
        return drawing(info, store)
    files = find_files(info, root)
    difference = _difference(info, files, store) if verify else None
    if difference is not None and not has_known_pixels(info.name):
        raise difference
    data = _READERS[info.name](info, files, store)
    if difference is not None:
        _compare_content(info, files[0], data, difference)
    return data


def _difference(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> DataFileError | None:
    """Return how a file differs from the published one in size or checksum; None if none does."""
    memory = cache_folder() / CACHE_KIND / "verified" if store.folder is not None else None
    try:
        for path, published in zip(files, info.files, strict=True):
            require_checksum(path, published, memory)
    except DataFileError as difference:
        return difference
    return None


def _compare_content(info: DataSetInfo, path: Path, data: DataSet, difference: DataFileError) -> None:
    """Warn that a file was packed again, or raise if its images are others."""
    error = content_error(info.name, data)
    if error is not None:
        raise DataFileError(f"{difference}; {error}") from difference
    warnings.warn(
        f"{path} is not the published file byte by byte, but a sample of its images, their number and their order are "
        f"those of {info.name}",
        stacklevel=4,
    )


def procedural_dsprites(info: DataSetInfo) -> ProceduralDataSet:
    """Return dSprites, drawn on demand; a batch takes microseconds."""

    def draw(codes: Integers) -> Images:
        pixels = dsprites.draw(codes)
        return np.negative(pixels, out=pixels)[..., None]  # 1 becomes 255

    return ProceduralDataSet(info, draw, version="drawn-2", draw_rows=dsprites.draw_bits)


def procedural_scenes(info: DataSetInfo) -> ProceduralDataSet:
    """Return the scenes of `vae.data.scenes`, composited on demand."""
    resolution = info.image_shape[0]
    return ProceduralDataSet(info, lambda codes: scenes.draw(codes, resolution), version="drawn-1")


def draw_to_array(info: DataSetInfo, data: ProceduralDataSet, store: ArrayStore) -> ArrayDataSet:
    """Draw the whole grid of a procedural data set into an array."""

    def blocks() -> Iterator[Images]:
        for start in range(0, len(data), _BLOCK):
            yield data.draw_rows(data.codes(np.arange(start, min(len(data), start + _BLOCK))))

    return ArrayDataSet(info, store.array(data.version, info, blocks), source=data.version)


def store_view(info: DataSetInfo, store: ArrayStore) -> ArrayDataSet:
    """Store the variation of a procedural data set that `info.view` names in an array."""
    base = find_info(info.view)
    data = apply_variations(open_set(base, store=store), parse_variations(info.view))
    source = hashlib.sha256(data.fingerprint.encode()).hexdigest()[:16]

    def blocks() -> Iterator[Images]:
        for start in range(0, len(data), _BLOCK):
            yield data.images(np.arange(start, min(len(data), start + _BLOCK)))

    return ArrayDataSet(info, store.array(source, info, blocks), source=source)


_Drawing = Callable[[DataSetInfo, ArrayStore], DataSet]
_Reader = Callable[[DataSetInfo, tuple[Path, ...], ArrayStore], DataSet]

_DRAWINGS: dict[str, _Drawing] = {
    "dsprites": lambda info, _: procedural_dsprites(info),
    "dsprites-cached": lambda info, store: draw_to_array(info, procedural_dsprites(info), store),
    "dsprites-16": store_view,
    "scenes": lambda info, _: procedural_scenes(info),
    "scenes-32": lambda info, _: procedural_scenes(info),
    "scenes-cached": lambda info, store: draw_to_array(info, procedural_scenes(info), store),
    "scenes-16": store_view,
}
_READERS: dict[str, _Reader] = {
    "dsprites-npz": grid_readers.read_dsprites_npz,
    "dsprites-hdf5": grid_readers.read_dsprites_hdf5,
    "3dshapes": grid_readers.read_shapes3d,
    "mpi3d-toy": grid_readers.read_mpi3d,
    "mpi3d-realistic": grid_readers.read_mpi3d,
    "mpi3d-real": grid_readers.read_mpi3d,
    "mpi3d-complex": grid_readers.read_mpi3d,
    "3dfaces": grid_readers.read_faces3d,
    "celeba": celeba.read_squash,
    "celeba-crop": celeba.read_crop,
    "cars3d": object_readers.read_cars3d,
    "smallnorb": object_readers.read_smallnorb,
}


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
