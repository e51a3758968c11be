"""Open a data set by name, with its variations: "dsprites", "3dshapes:scale=4", "dsprites:posX~posY=0.1".

A name is one of the catalogue's, and after a colon, separated by commas, what is varied:

    FACTOR=NUMBER           keep so many values of a factor, evenly spread
    FACTOR=0+5+9            keep these values
    FACTOR~FACTOR=SIGMA     correlate two factors with that strength
"""

import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.downloads import cache_folder
from ganspace_topdis.runs.progress import Progress
from vae.data import cars3d, celeba, dsprites_files, faces3d, mpi3d, shapes3d, smallnorb
from vae.data.array_store import ArrayStore
from vae.data.catalogue import CATALOGUE, SetInfo
from vae.data.correlated import correlated
from vae.data.dataset import DataSet
from vae.data.drawn import draw_once, draw_scenes, draw_sprites
from vae.data.places import KIND, find_files
from vae.data.subset import subset
from vae.data.sums import require_published

__all__ = ["info_of", "names", "open_data", "open_set"]

_Drawer = Callable[[SetInfo, ArrayStore], DataSet]
_Reader = Callable[[SetInfo, tuple[Path, ...], ArrayStore], DataSet]

_DRAWERS: dict[str, _Drawer] = {
    "dsprites": lambda info, _: draw_sprites(info),
    "dsprites-cached": lambda info, store: draw_once(info, draw_sprites(info), store),
    "scenes": lambda info, _: draw_scenes(info),
    "scenes-32": lambda info, _: draw_scenes(info),
    "scenes-cached": lambda info, store: draw_once(info, draw_scenes(info), store),
}
_READERS: dict[str, _Reader] = {
    "dsprites-npz": dsprites_files.read_npz,
    "dsprites-hdf5": dsprites_files.read_hdf5,
    "3dshapes": shapes3d.read,
    "mpi3d-toy": mpi3d.read,
    "mpi3d-realistic": mpi3d.read,
    "mpi3d-real": mpi3d.read,
    "mpi3d-complex": mpi3d.read,
    "3dfaces": faces3d.read,
    "celeba": celeba.read_squash,
    "celeba-crop": celeba.read_crop,
    "cars3d": cars3d.read,
    "smallnorb": smallnorb.read,
}


def names() -> tuple[str, ...]:
    """The names that `open_data` knows, without variations."""
    return tuple(CATALOGUE)


def info_of(name: str) -> SetInfo:
    """What the catalogue knows of a set, variations left aside.

    Raises:
        InvalidArgumentError: there is no such set.
    """
    base = name.partition(":")[0]
    if base not in CATALOGUE:
        nearest = difflib.get_close_matches(base, CATALOGUE, n=3, cutoff=0.3)
        like = f"; the nearest are {', '.join(nearest)}" if nearest else ""
        raise InvalidArgumentError(f"data set {base!r} is unknown{like}; `topdis-gan data list` shows all of them")
    return CATALOGUE[base]


def open_data(
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    cache: bool = True,
    verify: bool = True,
    progress: Progress | None = None,
) -> DataSet:
    """The data set called `name`, variations included.

    Args:
        name: see the module.
        root: the set's file, or the folder that holds its files; None: TOPDIS_DATA's folder, then the cache. Drawn
            sets need none.
        cache: whether compressed sets are unpacked once into the cache folder and mapped from there; otherwise they
            are unpacked into memory.
        verify: whether files are compared with the published sums where these are known.
        progress: called with images while a set is unpacked or drawn.

    Raises:
        InvalidArgumentError: no such set, factor or value.
        DataFileError: its file is missing, damaged, hostile or another one.
        MissingDependencyError: an optional package is needed to read it.
        RunFolderError: the cache cannot be written.
    """
    info = info_of(name)
    store = ArrayStore.in_cache(progress) if cache else ArrayStore(progress=progress)
    kept, pairs = _variations(name)
    data = open_set(info, root=root, store=store, verify=verify)
    if kept:
        data = subset(data, kept)
    for first, second, strength in pairs:
        data = correlated(data, first, second, strength)
    return data


def open_set(
    info: SetInfo, *, store: ArrayStore, root: str | os.PathLike[str] | None = None, verify: bool = True
) -> DataSet:
    """The set that `info` describes; a changed copy of a catalogue row reads files of other sizes.

    Raises:
        InvalidArgumentError: a file is given for a set that is drawn.
        DataFileError: see `open_data`.
    """
    if drawer := _DRAWERS.get(info.name):
        if root is not None:
            raise InvalidArgumentError(
                f"{info.name} is drawn and read from no file: leave {os.fspath(root)} out, or name the set it holds"
            )
        return drawer(info, store)
    files = find_files(info, root)
    if verify:
        memory = cache_folder() / KIND / "verified" if store.folder is not None else None
        for path, published in zip(files, info.files, strict=True):
            require_published(path, published, memory)
    return _READERS[info.name](info, files, store)


def _variations(name: str) -> tuple[dict[str, int | Sequence[int]], list[tuple[str, str, float]]]:
    """What to keep of which factor, and the correlated pairs."""
    kept: dict[str, int | Sequence[int]] = {}
    pairs: list[tuple[str, str, float]] = []
    text = name.partition(":")[2]
    for part in text.split(",") if text else ():
        factor, sign, value = part.partition("=")
        first, tilde, second = factor.partition("~")
        try:
            if not sign:
                raise ValueError(part)
            if tilde:
                pairs.append((first, second, float(value)))
            elif "+" in value:
                kept[factor] = [int(number) for number in value.split("+")]
            else:
                kept[factor] = int(value)
        except ValueError as error:
            raise InvalidArgumentError(
                f"{part!r} in {name!r} is no variation: write FACTOR=NUMBER, FACTOR=0+5+9 or FACTOR~FACTOR=SIGMA"
            ) from error
    return kept, pairs
