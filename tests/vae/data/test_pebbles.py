"""Pebbles: what each factor changes, in images whose values may also lie outside the ranges of the data."""

import pytest
import torch

from vae.data.pebbles import FACTORS, RANGES, draw, from_index_units, to_index_units, uniform_values

NAMES = tuple(RANGES)


def pebble(**values: float) -> torch.Tensor:
    """An image (3, 32, 32) of the middle of all ranges but for some values."""
    middle = {name: (low + high) / 2 for name, (low, high) in RANGES.items()}
    return draw(torch.tensor([list({**middle, **values}.values())]))[0]


def covered(image: torch.Tensor) -> torch.Tensor:
    """Which pixels (32, 32) a red stone on a ground without red covers."""
    return (image[0] > image[2]) & (image[0] > -0.7)


def test_values_are_uniform_over_their_ranges_and_index_units_go_both_ways() -> None:
    values = uniform_values(4000, torch.Generator().manual_seed(0))
    low, high = torch.tensor(list(RANGES.values())).T
    assert ((values >= low) & (values <= high)).all()
    share = (values - low) / (high - low)
    assert torch.allclose(share.mean(0), torch.full((6,), 0.5), atol=0.02)
    assert torch.allclose(share.std(0), torch.full((6,), 12**-0.5), atol=0.01)
    assert torch.allclose(from_index_units(to_index_units(values)), values, rtol=1e-4, atol=1e-4)
    assert [factor.name for factor in FACTORS] == list(NAMES)


def test_images_are_in_range_and_of_the_size_asked_for() -> None:
    values = uniform_values(50, torch.Generator().manual_seed(1))
    for resolution in (32, 64):
        images = draw(values, resolution)
        assert images.shape == (50, 3, resolution, resolution)
        assert images.abs().max() <= 1
    coarse = torch.nn.functional.avg_pool2d(draw(values, 64), 2)
    assert (coarse - draw(values, 32)).abs().mean() < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_every_factor_is_seen_and_all_but_the_ground_share_the_pixels_of_the_stone(name: str) -> None:
    low, high = RANGES[name]
    step = (high - low) / 4
    changes = [(pebble(**{name: low + k * step}) - pebble(**{name: low + (k + 1) * step})).abs() for k in range(4)]
    assert min(float(change.amax(0).mean()) for change in changes) > 0.005
    at_the_middle = torch.stack(changes)[:, :, 13:19, 13:19].amax()
    assert (at_the_middle > 0.02) is not (name == "ground_hue")


def test_the_corners_show_the_ground_alone() -> None:
    for name in NAMES[1:]:
        low, high = RANGES[name]
        for corner in ((0, 0), (0, -1)):
            ends = [pebble(**{name: value})[:, corner[0], corner[1]] for value in (low, high)]
            assert torch.allclose(*ends, atol=0.05)


def test_turning_stone_and_light_turns_the_picture() -> None:
    turned = pebble(rotation=25 + 90, light=80 + 90)
    assert torch.allclose(turned, pebble(rotation=25, light=80).rot90(1, (1, 2)), atol=1e-3)


def test_a_larger_stone_covers_the_square_of_its_size_and_a_rectangle_more_than_a_diamond() -> None:
    small, large = (int(covered(pebble(ground_hue=0.5, stone_hue=0.0, size=size)).sum()) for size in (0.75, 1.25))
    assert large / small == pytest.approx((1.25 / 0.75) ** 2, rel=0.1)
    diamond, rectangle = (int(covered(pebble(ground_hue=0.5, stone_hue=0.0, shape=shape)).sum()) for shape in (0, 1))
    assert rectangle > 1.4 * diamond


def test_the_side_toward_the_light_is_bright_and_the_other_in_shadow() -> None:
    image = pebble(rotation=0, light=90).mean(0)
    above, below = image[8:14, 16], image[18:24, 16]
    assert above.max() > below.min() + 0.3
    assert image[26, 16] < image[2, 16] - 0.2
