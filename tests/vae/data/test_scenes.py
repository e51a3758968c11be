import hashlib

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from vae.data import scenes
from vae.data.scenes_geometry import coefficient_maps
from vae.data.scenes_torch import SceneTable, hues_to_rgb, to_index_units, uniform_values


def random_indices(num: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, num) for size in scenes.SIZES], axis=1)


def test_grid_has_the_sizes_of_3d_shapes() -> None:
    assert scenes.SIZES == (10, 10, 10, 8, 4, 15)
    assert np.prod(scenes.SIZES) == 480_000


@pytest.mark.parametrize("resolution", scenes.RESOLUTIONS)
def test_images_are_uint8_of_the_asked_resolution(resolution: int) -> None:
    images = scenes.draw(random_indices(3), resolution)
    assert images.shape == (3, resolution, resolution, 3)
    assert images.dtype == np.uint8


def test_every_part_of_the_pixel_belongs_to_one_surface() -> None:
    maps = coefficient_maps(0, 1.0, 12.0, 32)
    assert maps.min() >= 0
    assert maps.sum(axis=0).max() <= 1 + 1e-5
    assert np.allclose(maps[0, 0], 1)
    assert np.allclose(maps[1, -1] > 0.4, True)


def test_image_is_linear_in_its_colors() -> None:
    indices = np.array([[0, 3, 6, 4, 2, 7]])
    maps = coefficient_maps(2, scenes.FACTOR_VALUES[3][4], 0.0, 64)
    colors = np.stack([np.array(scenes.SKY_RGB) / 255, *scenes.hue_to_rgb([0.0, 0.3, 0.6])])
    expected = 255 * np.einsum("khw,kc->hwc", maps, colors)
    assert np.abs(scenes.draw(indices)[0] - expected).max() <= 0.51


def test_drawing_values_of_the_grid_equals_drawing_its_indices() -> None:
    indices = random_indices(20)
    assert np.array_equal(scenes.draw(indices, 32), scenes.draw_values(scenes.values_of(indices), 32))


def test_hue_circle_closes() -> None:
    values = scenes.values_of(random_indices(4))
    turned = values.copy()
    turned[:, :3] += 1
    assert np.array_equal(scenes.draw_values(values, 32), scenes.draw_values(turned, 32))


@pytest.mark.parametrize("factor", range(6))
def test_every_value_of_a_factor_gives_its_own_image(factor: int) -> None:
    rows = np.tile([2, 5, 8, 3, 0, 4], (scenes.SIZES[factor], 1))
    rows[:, factor] = np.arange(scenes.SIZES[factor])
    images = scenes.draw(rows, 32)
    assert len({image.tobytes() for image in images}) == scenes.SIZES[factor]


def test_larger_scale_covers_more_pixels() -> None:
    areas = [coefficient_maps(2, scale, 0.0, 64)[3].sum() for scale in scenes.FACTOR_VALUES[3]]
    assert (np.diff(areas) > 0).all()


def test_round_objects_look_the_same_from_every_side() -> None:
    outlines = [coefficient_maps(3, 1.0, degrees, 32)[3] > 0 for degrees in (-30.0, 0.0, 30.0)]
    assert np.array_equal(outlines[0], outlines[1])
    assert np.array_equal(outlines[1], outlines[2])


def test_floor_keeps_0_43_of_its_color_in_shadow() -> None:
    floor = coefficient_maps(0, 1.0, 0.0, 128)[1]
    assert np.isclose(floor, 0.43).sum() > 50


def test_drawing_is_the_same_as_when_it_was_recorded() -> None:
    images = scenes.draw(random_indices(64), 64)
    assert images.mean() == pytest.approx(139.87, abs=0.02)
    again = scenes.draw(random_indices(64), 64)
    assert hashlib.sha256(images).digest() == hashlib.sha256(again).digest()


@pytest.mark.parametrize("bad", [[[0, 0, 0, 0, 4, 0]], [[-1, 0, 0, 0, 0, 0]], [[0.5, 0, 0, 0, 0, 0]], [[0, 0]]])
def test_indices_off_the_grid_are_refused(bad: list) -> None:
    with pytest.raises(InvalidArgumentError, match="indices"):
        scenes.draw(bad)


@pytest.mark.parametrize("bad", [[[0, 0, 0, 1, 4, 0]], [[0, 0, 0, np.nan, 0, 0]], [[0, 0]]])
def test_values_that_cannot_be_drawn_are_refused(bad: list) -> None:
    with pytest.raises(InvalidArgumentError, match="values"):
        scenes.draw_values(bad)


def test_other_resolutions_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="32, 64, 128"):
        scenes.draw([[0, 0, 0, 0, 0, 0]], 48)


def test_table_composites_what_the_ray_caster_draws() -> None:
    table = SceneTable(32, num_scales=8, num_orientations=15)
    values = scenes.values_of(random_indices(50))
    drawn = scenes.draw_values(values, 32)
    composited = table.images(torch.tensor(values, dtype=torch.float32)).permute(0, 2, 3, 1)
    assert np.abs((composited.numpy() + 1) * 127.5 - drawn).max() < 2.5


def test_table_is_kept_in_its_file(tmp_path) -> None:
    path = tmp_path / "table.bin"
    first = SceneTable(32, num_scales=2, num_orientations=2, cache=path)
    path.write_bytes(bytes(path.stat().st_size))
    second = SceneTable(32, num_scales=2, num_orientations=2, cache=path)
    assert first.maps.any()
    assert not second.maps.any()


def test_torch_colors_are_those_of_the_drawing() -> None:
    hues = np.linspace(-0.5, 1.5, 41)
    assert np.allclose(hues_to_rgb(torch.tensor(hues)).numpy(), scenes.hue_to_rgb(hues), atol=1e-6)


def test_uniform_values_fill_their_ranges_in_index_units() -> None:
    index = to_index_units(uniform_values(4000, torch.Generator().manual_seed(0)))
    lowest, highest = index.amin(dim=0), index.amax(dim=0)
    assert (lowest >= 0).all()
    assert (lowest < 0.2).all()
    assert torch.allclose(highest, torch.tensor([10.0, 10, 10, 7, 3, 14]), atol=0.1)
