import numpy as np
from PIL import Image

from tests.vae.data.published import random_images, small_info
from vae.data import open_data
from vae.data.array_dataset import ArrayDataSet
from vae.data.pictures import center_crop, contact_sheet, resize_images


def test_images_of_the_right_size_are_left_alone():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    assert resize_images(images, 8, 8) is images


def test_grey_and_color_images_are_reduced_one_by_one():
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    assert resize_images(images, 8, 8).shape == (3, 8, 8, 3)
    assert resize_images(images[..., 0], 8, 4).shape == (3, 8, 4)
    assert np.array_equal(resize_images(images, 8, 8)[1], resize_images(images[1:2], 8, 8)[0])


def test_an_even_picture_stays_even():
    assert np.array_equal(resize_images(np.full((1, 96, 96), 77, np.uint8), 64, 64), np.full((1, 64, 64), 77))


def test_the_crop_is_the_middle():
    pixels = np.zeros((10, 8), np.uint8)
    pixels[3:7, 2:6] = 1
    assert np.asarray(center_crop(Image.fromarray(pixels), 4)).all()


def test_a_row_a_factor_with_as_many_images_as_it_has_values():
    sheet = np.asarray(contact_sheet(open_data("dsprites"), num_columns=8, cell_px=64))
    assert sheet.shape[0] == 2 * 16 + 5 * 64 + 4 * 4
    black = (sheet == 0).all(axis=2)
    filled = [black[16 + row * 68 + 32, -16 - 8 * 68 :].sum() for row in range(5)]
    assert filled[0] < filled[1] < filled[2]  # 3 shapes, 6 scales, 8 of 40 orientations


def test_a_set_without_factors_is_shown_at_random():
    info = small_info("celeba", num_listed=30)
    sheet = contact_sheet(ArrayDataSet(info, random_images(info), source="x"), num_columns=3)
    assert sheet.height == 2 * 16 + 5 * 64 + 4 * 4


def test_the_same_seed_gives_the_same_sheet():
    first, again = (contact_sheet(open_data("scenes-32"), num_columns=3, cell_px=32, seed=4) for _ in range(2))
    assert first.tobytes() == again.tobytes()
