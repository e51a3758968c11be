import numpy as np
from PIL import Image

from vae.data.pictures import centre_crop, resized


def test_images_of_the_right_size_are_left_alone():
    images = np.zeros((2, 8, 8, 3), np.uint8)
    assert resized(images, 8, 8) is images


def test_grey_and_colour_images_are_reduced_one_by_one():
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    assert resized(images, 8, 8).shape == (3, 8, 8, 3)
    assert resized(images[..., 0], 8, 4).shape == (3, 8, 4)
    assert np.array_equal(resized(images, 8, 8)[1], resized(images[1:2], 8, 8)[0])


def test_an_even_picture_stays_even():
    assert np.array_equal(resized(np.full((1, 96, 96), 77, np.uint8), 64, 64), np.full((1, 64, 64), 77))


def test_the_crop_is_the_middle():
    pixels = np.zeros((10, 8), np.uint8)
    pixels[3:7, 2:6] = 1
    assert np.asarray(centre_crop(Image.fromarray(pixels), 4)).all()
