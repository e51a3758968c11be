"""CelebA, Cars3D and SmallNORB: what is read from sound files. test_refused_files has the others."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ganspace_topdis.errors import InvalidArgumentError
from tests.vae.data.published import jpeg, small_info, write_cars, write_celeba, write_smallnorb
from vae.data.opening import open_set

SQUASH, CROP = (small_info(name, num_listed=4) for name in ("celeba", "celeba-crop"))
COLORS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (120, 120, 120)]


@pytest.fixture
def celeba_zip(tmp_path):
    return write_celeba(tmp_path / "img_align_celeba.zip", [jpeg(color=color) for color in COLORS])


@pytest.mark.parametrize("info", [SQUASH, CROP])
def test_celeba_pictures_come_in_the_order_of_their_names(celeba_zip, store, info):
    data = open_set(info, root=celeba_zip, store=store)
    assert len(data) == 4
    assert data.images([0, 1, 2, 3]).shape == (4, 64, 64, 3)
    assert np.abs(data.images([3, 1])[:, 30, 30].astype(int) - [COLORS[3], COLORS[1]]).max() <= 4


def test_the_squash_keeps_the_edges_and_the_crop_leaves_them_out(tmp_path, memory):
    picture = Image.new("RGB", (178, 218), (0, 0, 0))
    ImageDraw.Draw(picture).rectangle((15, 35, 162, 182), fill=(255, 255, 255))
    picture.save(tmp_path / "a.jpg", quality=100)
    celeba_zip = write_celeba(tmp_path / "a.zip", [(tmp_path / "a.jpg").read_bytes()] * 4)
    squashed, cropped = (open_set(info, root=celeba_zip, store=memory).images([0])[0] for info in (SQUASH, CROP))
    assert cropped.min() > 200
    assert squashed[0].max() < 50
    assert squashed[32, 32].min() > 200


def test_celeba_has_no_factors(celeba_zip, memory):
    data = open_set(SQUASH, root=celeba_zip, store=memory)
    assert data.factors == ()
    with pytest.raises(InvalidArgumentError, match="celeba has no known factors"):
        data.codes([0])


CARS3D = small_info("cars3d", (2, 3, 2))


def car(value):
    """Every view of a car is filled with one number: value + 10 azimuth + elevation."""
    views = value + 10 * np.arange(3)[:, None] + np.arange(2)
    return np.broadcast_to(views, (128, 128, 3, 3, 2)).astype(np.uint8)


CARS = {"car_001_mesh": car(100), "car_002_mesh": car(200)}


def test_views_come_in_the_order_elevation_azimuth_car_of_the_list(tmp_path, store):
    path = write_cars(tmp_path / "a.tar.gz", CARS, order=["car_002_mesh", "car_001_mesh"])
    data = open_set(CARS3D, root=path, store=store)
    values = [
        value + 10 * azimuth + elevation for elevation in range(2) for azimuth in range(3) for value in (200, 100)
    ]
    images = data.images(np.arange(12))
    assert images.shape == (12, 64, 64, 3)
    assert images[:, 5, 5, 0].tolist() == values


def test_car_pictures_are_halved(tmp_path, memory):
    views = np.zeros((128, 128, 3, 3, 2), np.uint8)
    views[:64] = 255
    data = open_set(CARS3D, root=write_cars(tmp_path / "a.tar.gz", {"a": views, "b": views}), store=memory)
    rows = data.images([0])[0, :, 0, 0]
    assert (rows[:30] > 250).all()
    assert (rows[34:] < 5).all()


NORB = small_info("smallnorb", (2, 3, 2, 2), images_per_combination=4)


def test_left_pictures_come_in_the_order_of_the_grid_with_the_toys_last(tmp_path, store):
    left = write_smallnorb(tmp_path, NORB)
    data = open_set(NORB, root=tmp_path, store=store)
    assert len(data) == 2 * 3 * 2 * 2 * 4
    assert data.images_per_combination == 4
    images = data.images(np.arange(len(data)))
    for index, code in enumerate(np.ndindex(2, 3, 2, 2, 4)):
        reduced = Image.fromarray(left[code]).resize((64, 64), Image.Resampling.LANCZOS)
        assert np.array_equal(images[index, ..., 0], np.asarray(reduced))
        assert data.codes([index])[0].tolist() == list(code[:4])
