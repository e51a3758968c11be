from pathlib import Path

import numpy as np
import pytest

from tests.vae.data.published import (
    grid_codes,
    random_images,
    small_info,
    write_dsprites_hdf5,
    write_dsprites_npz,
    write_npz,
    write_shapes3d,
)
from vae.data.grid_readers import require_grid_order, require_length
from vae.data.opening import open_set
from vae.data.source_files import DataFileError

ORDERED = small_info("3dfaces", (2, 3, 1, 2))
PATH = Path("file")


def test_classes_and_values_that_grow_with_them_are_in_order():
    require_grid_order(PATH, ORDERED, grid_codes(ORDERED))
    require_grid_order(PATH, ORDERED, grid_codes(ORDERED) * 0.25 - 3)


@pytest.mark.parametrize("change", ["swap", "columns", "fewer"])
def test_any_other_order_is_refused(change):
    labels = grid_codes(ORDERED)
    if change == "swap":
        labels[[3, 4]] = labels[[4, 3]]
    labels = {"swap": labels, "columns": labels[:, ::-1], "fewer": np.minimum(labels, [1, 1, 1, 1])}[change]
    with pytest.raises(DataFileError, match="are not"):
        require_grid_order(PATH, ORDERED, labels)


def test_the_number_of_images_must_be_the_sets():
    require_length(PATH, ORDERED, 12)
    with pytest.raises(DataFileError, match="file has 11 images, 3dfaces has 12"):
        require_length(PATH, ORDERED, 11)


SIZES = (3, 2, 2, 3, 2)
NPZ, HDF5 = small_info("dsprites-npz", SIZES), small_info("dsprites-hdf5", SIZES)
SPRITES = random_images(NPZ)


def test_the_npz_gives_its_images_in_order(tmp_path, store):
    path = write_dsprites_npz(tmp_path / "a.npz", NPZ, SPRITES)
    data = open_set(NPZ, root=path, store=store)
    assert np.array_equal(data.images(np.arange(len(data))), 255 * SPRITES)
    assert np.array_equal(data.codes(np.arange(len(data))), grid_codes(NPZ))
    assert data.image_shape == (64, 64, 1)


def test_the_hdf5_gives_the_same(tmp_path, store):
    data = open_set(HDF5, root=write_dsprites_hdf5(tmp_path / "a.hdf5", HDF5, SPRITES), store=store)
    assert np.array_equal(data.images(np.arange(len(data))), 255 * SPRITES)


def test_the_fingerprint_follows_the_file(tmp_path, memory):
    path = write_dsprites_npz(tmp_path / "a.npz", NPZ, SPRITES)
    first, again = (open_set(NPZ, root=path, store=memory).fingerprint for _ in range(2))
    other = write_dsprites_npz(tmp_path / "b.npz", NPZ, 1 - SPRITES)
    assert first == again
    assert open_set(NPZ, root=other, store=memory).fingerprint != first


SHAPES = small_info("3dshapes", (2, 1, 1, 2, 2, 3))
SHAPE_IMAGES = random_images(SHAPES)


def test_images_come_in_the_order_of_the_labels_values(tmp_path, store):
    data = open_set(SHAPES, root=write_shapes3d(tmp_path / "3dshapes.h5", SHAPES, SHAPE_IMAGES), store=store)
    assert np.array_equal(data.images(np.arange(len(data))), SHAPE_IMAGES)
    assert np.array_equal(data.codes(np.arange(len(data))), grid_codes(SHAPES))


MPI3D = small_info("mpi3d-toy", (6, 6, 1, 1, 1, 2, 2))
MPI3D_IMAGES = random_images(MPI3D)


@pytest.mark.parametrize("compress", [False, True])
def test_images_come_in_the_files_order(tmp_path, store, compress):
    path = write_npz(tmp_path / "mpi3d_toy.npz", compress=compress, images=MPI3D_IMAGES)
    data = open_set(MPI3D, root=tmp_path, store=store)
    assert path.exists()
    assert np.array_equal(data.images(np.arange(len(data))), MPI3D_IMAGES)
    assert data.codes([5]).tolist() == [[0, 1, 0, 0, 0, 0, 1]]


def test_an_archive_that_is_not_compressed_is_mapped_and_not_copied(tmp_path, store):
    write_npz(tmp_path / "mpi3d_toy.npz", compress=False, images=MPI3D_IMAGES)
    array = open_set(MPI3D, root=tmp_path, store=store).array
    assert isinstance(array, np.memmap)
    assert store.folder is None or not store.folder.exists()


def test_the_earlier_release_with_four_colors_and_shapes_is_recognised(tmp_path, memory):
    write_npz(tmp_path / "mpi3d_toy.npz", images=MPI3D_IMAGES[: 4 * 4 * 4])
    data = open_set(MPI3D, root=tmp_path, store=memory)
    assert data.factor_sizes == (4, 4, 1, 1, 1, 2, 2)


def test_the_set_of_complex_shapes_is_read_alike(tmp_path, memory):
    info = small_info("mpi3d-complex", (4, 4, 1, 1, 1, 2, 2))
    images = random_images(info)
    write_npz(tmp_path / "real3d_complicated_shapes_ordered.npz", images=images)
    assert np.array_equal(open_set(info, root=tmp_path, store=memory).images(np.arange(64)), images)
