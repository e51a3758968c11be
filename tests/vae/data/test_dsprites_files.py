import numpy as np
import pytest

from tests.vae.data.published import (
    grid_codes,
    random_images,
    small_info,
    write_dsprites_hdf5,
    write_dsprites_npz,
)
from vae.data.errors import DataFileError
from vae.data.opening import open_set

SIZES = (3, 2, 2, 3, 2)
NPZ, HDF5 = small_info("dsprites-npz", SIZES), small_info("dsprites-hdf5", SIZES)
IMAGES = random_images(NPZ)


def test_the_npz_gives_its_images_in_order(tmp_path, store):
    path = write_dsprites_npz(tmp_path / "a.npz", NPZ, IMAGES)
    data = open_set(NPZ, root=path, store=store)
    assert np.array_equal(data.images(np.arange(len(data))), 255 * IMAGES)
    assert np.array_equal(data.codes(np.arange(len(data))), grid_codes(NPZ))
    assert data.image_shape == (64, 64, 1)


def test_the_hdf5_gives_the_same(tmp_path, store):
    pytest.importorskip("h5py", reason="h5py is not installed")
    data = open_set(HDF5, root=write_dsprites_hdf5(tmp_path / "a.hdf5", HDF5, IMAGES), store=store)
    assert np.array_equal(data.images(np.arange(len(data))), 255 * IMAGES)


def test_the_fingerprint_follows_the_file(tmp_path, memory):
    path = write_dsprites_npz(tmp_path / "a.npz", NPZ, IMAGES)
    first, again = (open_set(NPZ, root=path, store=memory).fingerprint for _ in range(2))
    other = write_dsprites_npz(tmp_path / "b.npz", NPZ, 1 - IMAGES)
    assert first == again
    assert open_set(NPZ, root=other, store=memory).fingerprint != first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imgs": None}, "has no array 'imgs'"),
        ({"latents_classes": None}, "has no array 'latents_classes'"),
        ({"imgs": IMAGES[:-1, ..., 0]}, "has 71 images, dsprites-npz has 72"),
        ({"imgs": IMAGES[..., 0] * 7}, "imgs holds 7, allowed are 0 and 1"),
        ({"imgs": IMAGES[..., 0].astype(float)}, "imgs is float64"),
        ({"latents_classes": np.zeros((72, 6), np.int64)}, "labels of shape do not run through 3 values"),
    ],
)
def test_another_file_is_refused(tmp_path, memory, changes, message):
    path = write_dsprites_npz(tmp_path / "a.npz", NPZ, IMAGES, **changes)
    with pytest.raises(DataFileError, match=message):
        open_set(NPZ, root=path, store=memory)
