"""The published files of dSprites: the .npz and the .hdf5, read into bits.

The .npz holds imgs (N, 64, 64) of 0 and 1, latents_classes (N, 6) and a pickled `metadata`, which is never opened;
the .hdf5 holds the same as imgs and latents/classes. The first of the six classes is the colour, always white.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vae.data import hdf5
from vae.data.array_store import ArrayStore
from vae.data.catalogue import SetInfo
from vae.data.dataset import Images
from vae.data.errors import DataFileError
from vae.data.npz import open_member
from vae.data.order import require_grid_order, require_length
from vae.data.stored import StoredSet, packed
from vae.data.sums import fingerprint_of

__all__ = ["read_hdf5", "read_npz"]


def read_npz(info: SetInfo, files: tuple[Path, ...], store: ArrayStore) -> StoredSet:
    """dSprites from its .npz, seconds of inflating at the first opening.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    (path,) = files
    num_classes = 1 + len(info.factors)
    images = open_member(path, "imgs", np.uint8, info.image_shape[:2])
    classes = open_member(path, "latents_classes", np.int64, (num_classes,))
    require_length(path, info, images.shape[0])
    require_length(path, info, classes.shape[0])

    def blocks() -> Iterator[Images]:
        _require_order(path, info, np.concatenate(list(classes.blocks(1 << 16))))
        yield from _packed_blocks(path, images.blocks(4096))

    source = fingerprint_of(path)
    return StoredSet(info, store.array(source, info, blocks), source=source)


def read_hdf5(info: SetInfo, files: tuple[Path, ...], store: ArrayStore) -> StoredSet:
    """dSprites from its .hdf5.

    Raises:
        DataFileError: it is another file, or a damaged one.
        MissingDependencyError: h5py is not installed.
    """
    (path,) = files
    num_classes = 1 + len(info.factors)

    def blocks() -> Iterator[Images]:
        with hdf5.open_dataset(path, "latents/classes", (np.int64,), (num_classes,)) as classes:
            require_length(path, info, classes.shape[0])
            _require_order(path, info, classes[:])
        with hdf5.open_dataset(path, "imgs", (np.uint8,), info.image_shape[:2]) as images:
            require_length(path, info, images.shape[0])
            yield from _packed_blocks(path, hdf5.blocks_of(images))

    source = fingerprint_of(path)
    return StoredSet(info, store.array(source, info, blocks), source=source)


def _require_order(path: Path, info: SetInfo, classes: npt.NDArray) -> None:
    require_grid_order(path, info, classes[:, 1:])


def _packed_blocks(path: Path, blocks: Iterable[npt.NDArray]) -> Iterator[Images]:
    for block in blocks:
        if block.max() > 1:
            raise DataFileError(f"{path}: imgs holds {block.max()}, allowed are 0 and 1; give the published file")
        yield packed(block)
