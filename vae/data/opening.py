"""Open a data set by name, with its variations: "dsprites", "3dshapes:scale=4,px=16", "dsprites:posX~posY=0.1".

A name is one of the catalog's, optionally followed by a colon and variations separated by commas:

    FACTOR=NUMBER           keep this many values of a factor, evenly spread
    FACTOR=0+5+9            keep these values
    FACTOR~FACTOR=SIGMA     correlate two factors with this strength
    px=SIDE                 average blocks of pixels, so that an image has SIDE x SIDE of them

To add a data set, describe it in `vae.data.catalog`, and either list its drawing in `_DRAWINGS`, or its reader in
`_READERS` and what is known of its images in `vae.data.content`.

A file with the published checksum is read silently. One with another checksum, or of which no valid checksum is known,
is read with a warning if its form and a sample of its images are right, and refused otherwise.
"""

import difflib
import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.downloads import cache_folder
from ganspace_topdis.runs.progress import Progress
from vae.data import celeba, dsprites, grid_readers, object_readers, scenes
from vae.data.array_dataset import ArrayDataSet, ArrayStore
from vae.data.catalog import CATALOG, DataSetInfo
from vae.data.content import content_error, content_facts
from vae.data.dataset import DataSet, Images, Integers, ProceduralDataSet
from vae.data.source_files import CACHE_KIND, DataFileError, checksum_difference, find_files
from vae.data.variations import apply_variations, parse_variations

__all__ = [
    "check_name",
    "draw_to_array",
    "find_info",
    "names",
    "open_data",
    "open_set",
    "procedural_dsprites",
    "procedural_scenes",
    "store_view",
]

_BLOCK = 8192
_REMEDY = "get the published file, or read this one anyway with --no-verify (in Python verify=False)"


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


def check_name(name: str) -> DataSet:
    """Return what is known of a data set, variations included, without opening it: it has no images.

    Raises:
        InvalidArgumentError: the data set is unknown, or has no such variations.
    """
    return apply_variations(_Unread(find_info(name)), parse_variations(name))


class _Unread(DataSet):
    """A data set of the catalog without its images."""

    def __init__(self, info: DataSetInfo) -> None:
        super().__init__(
            name=info.name,
            factors=info.factors,
            image_shape=info.image_shape,
            num_images=info.num_images,
            fingerprint="",
        )

    def _read(self, indices: Integers) -> Images:
        raise NotImplementedError


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
        verify: whether files are compared with their published checksums. A file with another checksum, or without a
            known one, is read with a warning if a sample of its content is right (`vae.data.content`).
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
    doubts = "; ".join(_doubts(info, files, store)) if verify else ""
    if not doubts:
        return _READERS[info.name](info, files, store)
    data = _read_doubtful(info, files, store, doubts)
    warnings.warn(
        f"{doubts}; read nevertheless: the number of images is right, and {content_facts(info.name)}",
        stacklevel=3,
    )
    return data


def _doubts(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> tuple[str, ...]:
    """Return why files may not be the published ones: another size or checksum, or none to compare with."""
    memory = cache_folder() / CACHE_KIND / "verified" if store.folder is not None else None
    found = (checksum_difference(path, published, memory) for path, published in zip(files, info.files, strict=True))
    return tuple(doubt for doubt in found if doubt is not None)


def _read_doubtful(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore, doubts: str) -> DataSet:
    """Read files that may be others, and compare a sample of their content.

    Raises:
        DataFileError: the files cannot be read, or their content differs.
    """
    try:
        data = _READERS[info.name](info, files, store)
        error = content_error(info.name, files, data)
    except DataFileError as failure:
        raise DataFileError(f"{doubts}; {failure}") from failure
    if error is not None:
        raise DataFileError(f"{doubts}; {error}; {_REMEDY}")
    return data


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
