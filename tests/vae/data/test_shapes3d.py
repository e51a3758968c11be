import numpy as np
import pytest

from tests.vae.data.published import grid_codes, random_images, shapes3d_labels, small_info, write_shapes3d
from vae.data.errors import DataFileError
from vae.data.opening import open_set

pytest.importorskip("h5py", reason="h5py is not installed")
INFO = small_info("3dshapes", (2, 1, 1, 2, 2, 3))
IMAGES = random_images(INFO)


def test_images_come_in_the_order_of_the_labels_values(tmp_path, store):
    data = open_set(INFO, root=write_shapes3d(tmp_path / "3dshapes.h5", INFO, IMAGES), store=store)
    assert np.array_equal(data.images(np.arange(len(data))), IMAGES)
    assert np.array_equal(data.codes(np.arange(len(data))), grid_codes(INFO))


def test_labels_in_another_order_are_refused(tmp_path, memory):
    path = write_shapes3d(tmp_path / "a.h5", INFO, IMAGES, labels=shapes3d_labels(INFO)[::-1])
    with pytest.raises(DataFileError, match="labels of floor_hue do not run through"):
        open_set(INFO, root=path, store=memory)


def test_fewer_images_are_refused(tmp_path, memory):
    path = write_shapes3d(tmp_path / "a.h5", INFO, IMAGES[:-1])
    with pytest.raises(DataFileError, match="has 23 images, 3dshapes has 24"):
        open_set(INFO, root=path, store=memory)
