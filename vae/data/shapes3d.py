"""3D Shapes from its published HDF5 file: images (N, 64, 64, 3), labels (N, 6) as values, not classes.

The file is compressed in chunks, so that drawing single images from it is slow: the images are unpacked once.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vae.data import hdf5
from vae.data.array_store import ArrayStore
from vae.data.catalogue import SetInfo
from vae.data.dataset import Images
from vae.data.order import require_grid_order, require_length
from vae.data.stored import StoredSet
from vae.data.sums import fingerprint_of

__all__ = ["read"]


def read(info: SetInfo, files: tuple[Path, ...], store: ArrayStore) -> StoredSet:
    """3D Shapes.

    Raises:
        DataFileError: it is another file, or a damaged one.
        MissingDependencyError: h5py is not installed.
    """
    (path,) = files

    def blocks() -> Iterator[Images]:
        with hdf5.open_dataset(path, "labels", (np.float64,), (len(info.factors),)) as labels:
            require_length(path, info, labels.shape[0])
            require_grid_order(path, info, labels[:])
        with hdf5.open_dataset(path, "images", (np.uint8,), info.image_shape) as images:
            require_length(path, info, images.shape[0])
            yield from hdf5.blocks_of(images)

    source = fingerprint_of(path)
    return StoredSet(info, store.array(source, info, blocks), source=source)
