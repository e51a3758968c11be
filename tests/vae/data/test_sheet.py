import numpy as np

from tests.vae.data.published import random_images, small_info
from vae.data import open_data
from vae.data.sheet import contact_sheet
from vae.data.stored import StoredSet


def test_a_row_a_factor_with_as_many_images_as_it_has_values():
    sheet = np.asarray(contact_sheet(open_data("dsprites"), num_columns=8, cell_px=64))
    assert sheet.shape[0] == 2 * 16 + 5 * 64 + 4 * 4
    black = (sheet == 0).all(axis=2)
    filled = [black[16 + row * 68 + 32, -16 - 8 * 68 :].sum() for row in range(5)]
    assert filled[0] < filled[1] < filled[2]  # 3 shapes, 6 scales, 8 of 40 orientations


def test_a_set_without_factors_is_shown_at_random():
    info = small_info("celeba", num_listed=30)
    sheet = contact_sheet(StoredSet(info, random_images(info), source="x"), num_columns=3)
    assert sheet.height == 2 * 16 + 5 * 64 + 4 * 4


def test_the_same_seed_gives_the_same_sheet():
    first, again = (contact_sheet(open_data("scenes-32"), num_columns=3, cell_px=32, seed=4) for _ in range(2))
    assert first.tobytes() == again.tobytes()
