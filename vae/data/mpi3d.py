"""MPI3D from its published .npz files: one array `images` (N, 64, 64, 3), in the grid's order, without labels.

The published toy, realistic and real sets have six colours and six shapes. An earlier release of the toy set, made
for a challenge, has four of each; its length tells it apart.
"""

import dataclasses
from pathlib import Path

import numpy as np

from vae.data.array_store import ArrayStore
from vae.data.catalogue import SetInfo
from vae.data.npz import open_member
from vae.data.order import require_length
from vae.data.stored import StoredSet
from vae.data.sums import fingerprint_of

__all__ = ["read"]

_CHALLENGE_SIZES = (4, 4)
"""Object colours and shapes of the earlier release."""


def read(info: SetInfo, files: tuple[Path, ...], store: ArrayStore) -> StoredSet:
    """One of the four MPI3D sets; mapped from the archive itself where that is not compressed.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    (path,) = files
    images = open_member(path, "images", np.uint8, info.image_shape)
    challenge = _challenge(info)
    if images.shape[0] == challenge.num_images:
        info = challenge
    require_length(path, info, images.shape[0])
    source = fingerprint_of(path)
    array = images.mapped() if images.offset is not None else store.array(source, info, images.blocks)
    return StoredSet(info, array, source=source)


def _challenge(info: SetInfo) -> SetInfo:
    fewer = [dataclasses.replace(info.factors[k], size=size) for k, size in enumerate(_CHALLENGE_SIZES)]
    return dataclasses.replace(info, factors=(*fewer, *info.factors[2:]))
