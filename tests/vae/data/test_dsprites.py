from pathlib import Path

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.data.dsprites import FACTORS, draw, draw_bits

FRAMES = Path(__file__).parents[3] / ".." / "shared" / "reference" / "dsprites" / "frames.npz"
SIZES = [factor.size for factor in FACTORS]


def random_codes(num, seed=0):
    return np.random.default_rng(seed).integers(SIZES, size=(num, len(SIZES)))


def center_of(image):
    return np.argwhere(image).mean(axis=0)[::-1] + 0.5


@pytest.mark.skipif(not FRAMES.exists(), reason="the published frames are not on this machine")
def test_nearly_all_published_frames_are_drawn_bit_for_bit_and_the_rest_to_a_few_pixels():
    published = np.load(FRAMES, allow_pickle=False)
    wrong = (draw(published["latents"]) != published["images"]).sum(axis=(1, 2))
    assert (wrong == 0).sum() >= 294
    assert wrong.max() <= 2
    assert (wrong[published["latents"][:, 0] == 0] == 0).all(), "every published square"


def test_pixels_are_zero_or_one_and_every_image_has_some_of_both():
    images = draw(random_codes(500))
    assert images.dtype == np.uint8
    assert set(np.unique(images)) == {0, 1}
    assert images.any(axis=(1, 2)).all()


def test_areas_are_those_of_the_outlines():
    codes = random_codes(3000)
    area = draw(codes).sum(axis=(1, 2)) / (0.5 + 0.1 * codes[:, 1]) ** 2
    for shape, expected in enumerate((19.2**2, np.pi * 12.8 * 7.2, 225)):
        assert area[codes[:, 0] == shape].mean() == pytest.approx(expected, rel=0.02)


def test_nothing_leaves_the_frame():
    images = draw(random_codes(3000))
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    assert not border.any()


def test_pos_x_moves_to_the_right_and_pos_y_downwards_by_the_same_steps():
    start, right, down = (center_of(image) for image in draw([[0, 5, 0, 0, 0], [0, 5, 0, 31, 0], [0, 5, 0, 0, 31]]))
    assert start == pytest.approx([16, 16])
    assert right - start == pytest.approx([32, 0])
    assert down - start == pytest.approx([0, 32])


def test_the_first_and_the_last_orientation_are_the_same_image():
    codes = random_codes(300)
    first, last = codes.copy(), codes.copy()
    first[:, 2], last[:, 2] = 0, 39
    assert np.array_equal(draw(first), draw(last))


def test_an_ellipse_turns_counter_clockwise():
    image = draw([[1, 5, 4, 16, 16]])[0]  # 37 degrees
    y, x = np.argwhere(image).T
    assert np.corrcoef(x, -y)[0, 1] > 0.3


def test_an_upright_heart_is_mirrored_and_has_its_tip_below():
    image = draw([[2, 5, 0, 0, 0]])[0]
    rows = np.flatnonzero(image.any(axis=1))
    assert image[rows[-1]].sum() <= 2
    assert image[rows[2]].sum() > 6
    assert (image[:, :32] != image[:, 31::-1]).sum() <= 4


def test_drawing_does_not_depend_on_the_rest_of_the_batch():
    codes = random_codes(50)
    assert np.array_equal(draw(codes)[7], draw(codes[7:8])[0])


def test_bits_are_the_pixels_eight_a_byte():
    codes = random_codes(20)
    assert np.array_equal(np.unpackbits(draw_bits(codes), axis=1).reshape(-1, 64, 64), draw(codes))


def test_no_codes_give_no_images():
    assert draw(np.empty((0, 5), int)).shape == (0, 64, 64)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[0, 0, 0, 0, 32]], r"column 4 .*\(posY\) ranges from 32 to 32, but must be 0 to 31"),
        ([[-1, 0, 0, 0, 0]], "shape"),
        ([[0, 0, 0, 0]], r"shape \(1, 4\)"),
        ([[0.0, 0, 0, 0, 0]], "give integers"),
    ],
)
def test_codes_outside_of_the_grid_are_refused(codes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        draw(codes)
