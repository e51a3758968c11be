import numpy as np
import pytest

from tests.vae.data.published import random_images, small_info, write_npz
from vae.data.errors import DataFileError
from vae.data.opening import open_set

INFO = small_info("mpi3d-toy", (6, 6, 1, 1, 1, 2, 2))
IMAGES = random_images(INFO)


@pytest.mark.parametrize("compress", [False, True])
def test_images_come_in_the_files_order(tmp_path, store, compress):
    path = write_npz(tmp_path / "mpi3d_toy.npz", compress=compress, images=IMAGES)
    data = open_set(INFO, root=tmp_path, store=store)
    assert path.exists()
    assert np.array_equal(data.images(np.arange(len(data))), IMAGES)
    assert data.codes([5]).tolist() == [[0, 1, 0, 0, 0, 0, 1]]


def test_an_archive_that_is_not_compressed_is_mapped_and_not_copied(tmp_path, store):
    write_npz(tmp_path / "mpi3d_toy.npz", compress=False, images=IMAGES)
    array = open_set(INFO, root=tmp_path, store=store).array
    assert isinstance(array, np.memmap)
    assert store.folder is None or not store.folder.exists()


def test_the_earlier_release_with_four_colours_and_shapes_is_recognised(tmp_path, memory):
    write_npz(tmp_path / "mpi3d_toy.npz", images=IMAGES[: 4 * 4 * 4])
    data = open_set(INFO, root=tmp_path, store=memory)
    assert data.factor_sizes == (4, 4, 1, 1, 1, 2, 2)


def test_the_set_of_complex_shapes_is_read_alike(tmp_path, memory):
    info = small_info("mpi3d-complex", (4, 4, 1, 1, 1, 2, 2))
    images = random_images(info)
    write_npz(tmp_path / "real3d_complicated_shapes_ordered.npz", images=images)
    assert np.array_equal(open_set(info, root=tmp_path, store=memory).images(np.arange(64)), images)


def test_another_number_of_images_is_refused(tmp_path, memory):
    write_npz(tmp_path / "mpi3d_toy.npz", images=IMAGES[:50])
    with pytest.raises(DataFileError, match="has 50 images, mpi3d-toy has 144"):
        open_set(INFO, root=tmp_path, store=memory)
