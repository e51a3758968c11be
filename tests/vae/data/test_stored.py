import numpy as np

from tests.vae.data.published import random_images, small_info
from vae.data.array_store import ArrayStore
from vae.data.stored import StoredSet, packed

INFO = small_info("3dshapes", (2, 1, 1, 2, 2, 3))
IMAGES = random_images(INFO)


def test_bits_come_back_as_0_and_255():
    info = small_info("dsprites-npz", (2, 1, 2, 2, 3))
    images = random_images(info)
    data = StoredSet(info, packed(images), source="x")
    assert np.array_equal(data.images(np.arange(24)), 255 * images)


def test_images_are_copies_that_may_be_changed(tmp_path):
    data = StoredSet(INFO, ArrayStore(folder=tmp_path).array("key", INFO, lambda: [IMAGES]), source="x")
    data.images([3])[:] = 0
    assert np.array_equal(data.images([3])[0], IMAGES[3])
