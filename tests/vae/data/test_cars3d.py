import tarfile

import numpy as np
import pytest

from tests.vae.data.published import add_to_tar, small_info, write_cars
from vae.data.errors import DataFileError
from vae.data.opening import open_set

INFO = small_info("cars3d", (2, 3, 2))


def car(value):
    """Every view of a car is filled with one number: value + 10 azimuth + elevation."""
    views = value + 10 * np.arange(3)[:, None] + np.arange(2)
    return np.broadcast_to(views, (128, 128, 3, 3, 2)).astype(np.uint8)


CARS = {"car_001_mesh": car(100), "car_002_mesh": car(200)}


def test_views_come_in_the_order_elevation_azimuth_car_of_the_list(tmp_path, store):
    path = write_cars(tmp_path / "a.tar.gz", CARS, order=["car_002_mesh", "car_001_mesh"])
    data = open_set(INFO, root=path, store=store)
    values = [
        value + 10 * azimuth + elevation for elevation in range(2) for azimuth in range(3) for value in (200, 100)
    ]
    images = data.images(np.arange(12))
    assert images.shape == (12, 64, 64, 3)
    assert images[:, 5, 5, 0].tolist() == values


def test_pictures_are_halved(tmp_path, memory):
    views = np.zeros((128, 128, 3, 3, 2), np.uint8)
    views[:64] = 255
    data = open_set(INFO, root=write_cars(tmp_path / "a.tar.gz", {"a": views, "b": views}), store=memory)
    rows = data.images([0])[0, :, 0, 0]
    assert (rows[:30] > 250).all()
    assert (rows[34:] < 5).all()


def test_missing_cars_are_said(tmp_path, memory):
    path = write_cars(tmp_path / "a.tar.gz", {"car_001_mesh": car(1)})
    with pytest.raises(DataFileError, match="has 1 cars and lists 1, cars3d has 2"):
        open_set(INFO, root=path, store=memory)


def test_an_array_of_another_shape_is_refused_before_it_is_unpacked(tmp_path, memory):
    path = write_cars(tmp_path / "a.tar.gz", {"a": car(1)[:64], "b": car(1)})
    with pytest.raises(DataFileError, match=r"im of a is uint8 of shape \(64, 128, 3, 3, 2\)"):
        open_set(INFO, root=path, store=memory)


def test_files_that_are_no_matlab_files_are_refused(tmp_path, memory):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        add_to_tar(archive, "data/cars/a.mat", b"MATLAB 5.0" + bytes(200))
    with pytest.raises(DataFileError, match="a is no MATLAB file or is damaged"):
        open_set(INFO, root=tmp_path / "a.tar.gz", store=memory)


def test_a_member_of_absurd_size_is_refused(tmp_path, memory):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        add_to_tar(archive, "data/cars/a.mat", bytes(33 << 20))
    with pytest.raises(DataFileError, match="which no car takes"):
        open_set(INFO, root=tmp_path / "a.tar.gz", store=memory)


@pytest.mark.parametrize("keep", [0, 20, 500])
def test_a_cut_archive_is_refused(tmp_path, memory, keep):
    path = write_cars(tmp_path / "a.tar.gz", CARS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataFileError):
        open_set(INFO, root=path, store=memory)
