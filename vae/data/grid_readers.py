"""Readers of the data sets that are published as one array in grid order: dSprites, 3D Shapes, MPI3D and 3D Faces.

    dSprites   .npz: imgs (N, 64, 64) of 0 and 1, latents_classes (N, 6), and a pickled `metadata` that is never opened;
               .hdf5: the same as imgs and latents/classes. The first of the six classes is the color, always white.
    3D Shapes  HDF5: images (N, 64, 64, 3), labels (N, 6), which are values, not classes.
    MPI3D      .npz: images (N, 64, 64, 3) without labels. The toy, realistic and real sets have six colors and six
               shapes. An earlier release of the toy set, made for a challenge, has four of each, and another length.
    3D Faces   torch.save: a tensor (50, 21, 11, 11, 64, 64) of bytes.

Labels, where a file has them, must run through the factor grid in order, the last factor fastest. Compressed images
are unpacked once into the cache, because reading single images from compressed chunks is slow.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vae.data.array_dataset import ArrayDataSet, ArrayStore, pack_bits
from vae.data.catalog import DataSetInfo
from vae.data.dataset import Images
from vae.data.source_files import DataFileError, file_fingerprint
from vae.data.untrusted_files import hdf5_blocks, load_tensor, open_hdf5_dataset, open_npz_member

__all__ = [
    "read_dsprites_hdf5",
    "read_dsprites_npz",
    "read_faces3d",
    "read_mpi3d",
    "read_shapes3d",
    "require_grid_order",
    "require_length",
]

_CHALLENGE_SIZES = (4, 4)
"""Object colors and shapes of MPI3D's earlier release."""


def read_dsprites_npz(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> ArrayDataSet:
    """Read dSprites from its .npz; the first opening takes seconds to inflate it.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    (path,) = files
    images = open_npz_member(path, "imgs", np.uint8, info.image_shape[:2])
    classes = open_npz_member(path, "latents_classes", np.int64, (1 + len(info.factors),))
    require_length(path, info, images.shape[0])
    require_length(path, info, classes.shape[0])

    def blocks() -> Iterator[Images]:
        require_grid_order(path, info, np.concatenate(list(classes.blocks(1 << 16)))[:, 1:])
        yield from _pack_blocks(path, images.blocks(4096))

    source = file_fingerprint(path)
    return ArrayDataSet(info, store.array(source, info, blocks), source=source)


def read_dsprites_hdf5(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> ArrayDataSet:
    """Read dSprites from its .hdf5.

    Raises:
        DataFileError: it is another file, or a damaged one.
        MissingDependencyError: h5py is not installed.
    """
    (path,) = files

    def blocks() -> Iterator[Images]:
        with open_hdf5_dataset(path, "latents/classes", (np.int64,), (1 + len(info.factors),)) as classes:
            require_length(path, info, classes.shape[0])
            require_grid_order(path, info, classes[:][:, 1:])
        with open_hdf5_dataset(path, "imgs", (np.uint8,), info.image_shape[:2]) as images:
            require_length(path, info, images.shape[0])
            yield from _pack_blocks(path, hdf5_blocks(images))

    source = file_fingerprint(path)
    return ArrayDataSet(info, store.array(source, info, blocks), source=source)


def read_shapes3d(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> ArrayDataSet:
    """Read 3D Shapes.

    Raises:
        DataFileError: it is another file, or a damaged one.
        MissingDependencyError: h5py is not installed.
    """
    (path,) = files

    def blocks() -> Iterator[Images]:
        with open_hdf5_dataset(path, "labels", (np.float64,), (len(info.factors),)) as labels:
            require_length(path, info, labels.shape[0])
            require_grid_order(path, info, labels[:])
        with open_hdf5_dataset(path, "images", (np.uint8,), info.image_shape) as images:
            require_length(path, info, images.shape[0])
            yield from hdf5_blocks(images)

    source = file_fingerprint(path)
    return ArrayDataSet(info, store.array(source, info, blocks), source=source)


def read_mpi3d(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> ArrayDataSet:
    """Read one of the four MPI3D sets; an uncompressed archive is memory-mapped in place.

    Raises:
        DataFileError: it is another file, or a damaged one.
    """
    (path,) = files
    images = open_npz_member(path, "images", np.uint8, info.image_shape)
    challenge = _challenge_release(info)
    if images.shape[0] == challenge.num_images:
        info = challenge
    require_length(path, info, images.shape[0])
    source = file_fingerprint(path)
    array = images.mapped() if images.offset is not None else store.array(source, info, images.blocks)
    return ArrayDataSet(info, array, source=source)


def read_faces3d(info: DataSetInfo, files: tuple[Path, ...], store: ArrayStore) -> ArrayDataSet:
    """Read 3D Faces, memory-mapped if the container of torch.save allows it.

    Raises:
        DataFileError: it is another file, or a damaged or hostile one.
    """
    (path,) = files
    shape = (*(factor.size for factor in info.factors), *info.image_shape[:2])
    array = load_tensor(path, np.uint8, shape).reshape(info.num_images, *info.image_shape)
    return ArrayDataSet(info, array, source=file_fingerprint(path))


def require_length(path: Path, info: DataSetInfo, num_found: int) -> None:
    """Raise if a file has another number of images than the data set.

    Raises:
        DataFileError: it has.
    """
    if num_found != info.num_images:
        raise DataFileError(
            f"{path} has {num_found:,} images, {info.name} has {info.num_images:,}; give the published file"
        )


def require_grid_order(path: Path, info: DataSetInfo, labels: npt.NDArray) -> None:
    """Raise unless labels (N, K), classes or values increasing with them, are those of the factor grid in order.

    Raises:
        DataFileError: they are not.
    """
    codes = np.indices([factor.size for factor in info.factors], dtype=np.int16).reshape(len(info.factors), -1)
    for k, factor in enumerate(info.factors):
        values, ranks = np.unique(labels[:, k], return_inverse=True)
        if len(values) != factor.size or not np.array_equal(ranks.ravel(), codes[k]):
            raise DataFileError(
                f"{path}: the labels of {factor.name} are not {factor.size} values in the published order; "
                "give the published file"
            )


def _pack_blocks(path: Path, blocks: Iterable[npt.NDArray]) -> Iterator[Images]:
    for block in blocks:
        if block.max() > 1:
            raise DataFileError(f"{path}: imgs holds {block.max()}, but must hold 0 and 1; give the published file")
        yield pack_bits(block)


def _challenge_release(info: DataSetInfo) -> DataSetInfo:
    fewer = [dataclasses.replace(info.factors[k], size=size) for k, size in enumerate(_CHALLENGE_SIZES)]
    return dataclasses.replace(info, factors=(*fewer, *info.factors[2:]))
