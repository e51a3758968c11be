import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.traversal.frames import step_values, to_uint8, traverse, traverse_all, traverse_lattice
from ganspace_topdis.traversal.mixing import draw_mixed, largest_mix, mix_groups, mix_steps, num_mixed_frames
from ganspace_topdis.traversal.names import default_labels
from ganspace_topdis.traversal.walks import Walks, walk

MakePaint = Callable[..., Any]


@pytest.fixture
def codes() -> torch.Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def test_every_byte_survives_the_conversion_to_floats_and_back() -> None:
    bytes_ = torch.arange(256).reshape(256, 1, 1, 1)
    assert to_uint8(bytes_ / 127.5 - 1).ravel().tolist() == list(range(256))


def test_values_outside_the_nominal_range_are_clamped() -> None:
    assert to_uint8(torch.tensor([-7.0, 7.0]).reshape(1, 1, 1, 2)).ravel().tolist() == [0, 255]


@pytest.mark.parametrize("num_channels", [1, 3, 4])
def test_bytes_have_their_channels_last(num_channels: int) -> None:
    images = torch.linspace(-1, 1, num_channels).reshape(1, num_channels, 1, 1).expand(2, -1, 5, 7)
    frames = to_uint8(images)
    assert frames.shape == (2, 5, 7, num_channels)
    assert frames.dtype == np.uint8
    assert (frames == frames[:1, :1, :1]).all()


def test_nan_is_an_error_instead_of_a_black_pixel() -> None:
    with pytest.raises(TopdisError, match="NaN"):
        to_uint8(torch.full((1, 3, 2, 2), torch.nan))


@given(extent=st.floats(0.01, 100), half=st.integers(1, 20))
def test_shifts_are_even_symmetric_and_zero_in_the_middle(extent: float, half: int) -> None:
    values = step_values(extent, 2 * half + 1)
    assert values[half] == 0
    assert values == [-value for value in reversed(values)]
    np.testing.assert_allclose(np.diff(values), extent / half, rtol=1e-6)


@pytest.mark.parametrize(("extent", "num_steps"), [(0, 9), (-1, 9), (float("nan"), 9), (3, 8), (3, 1), (3, -3)])
def test_walks_without_a_middle_or_an_extent_are_refused(extent: float, num_steps: int) -> None:
    with pytest.raises(InvalidArgumentError, match="must be"):
        step_values(extent, num_steps)


def test_the_middle_frame_is_the_unshifted_image(paint: MakePaint, axes: Any, codes: torch.Tensor) -> None:
    frames = traverse_all(paint(), codes, axes, num_steps=5)
    assert frames.shape == (3, 4, 5, 8, 8, 3)
    for walks in frames:
        np.testing.assert_array_equal(walks[:, 2], to_uint8(paint()(codes)))


def test_each_frame_is_the_image_of_its_shifted_code(paint: MakePaint, axes: Any, codes: torch.Tensor) -> None:
    frames = traverse(paint(), codes, axes, index=1, extent=2.0, num_steps=9)
    for step, value in enumerate(step_values(2.0, 9)):
        expected = to_uint8(paint()(axes.move(codes, 1, value)))
        np.testing.assert_array_equal(frames[:, step], expected)


def test_a_direction_changes_only_its_own_channel(paint: MakePaint, axes: Any, codes: torch.Tensor) -> None:
    frames = traverse(paint(), codes, axes, index=2).astype(int)
    assert (np.diff(frames[..., 2], axis=1) > 0).all()
    assert (np.diff(frames[..., :2], axis=1) == 0).all()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch_size=st.integers(1, 60))
def test_frames_do_not_depend_on_the_batch_size(
    paint: MakePaint, axes: Any, codes: torch.Tensor, batch_size: int
) -> None:
    generate = paint()
    frames = traverse_all(generate, codes, axes, num_steps=5, batch_size=batch_size)
    assert max(generate.batches) <= batch_size
    np.testing.assert_array_equal(frames, traverse_all(paint(), codes, axes, num_steps=5))


def test_unshifted_images_are_drawn_once_for_all_directions(paint: MakePaint, axes: Any, codes: torch.Tensor) -> None:
    generate = paint()
    traverse_all(generate, codes, axes, num_steps=5)
    assert sum(generate.batches) == len(codes) * (1 + 3 * 4)


def test_only_the_chosen_layers_are_shifted(paint: MakePaint, axes: Any, codes: torch.Tensor) -> None:
    by_layer = codes[:, None].repeat(1, 4, 1)
    halved = traverse(paint(), by_layer, axes, index=0, layers=[0, 3], extent=2.0)
    np.testing.assert_array_equal(halved, traverse(paint(), codes, axes, index=0, extent=1.0))


def test_large_images_are_reduced_and_small_ones_kept(paint: MakePaint, axes: Any, codes: torch.Tensor) -> None:
    assert traverse(paint(3, 64, 32), codes, axes, index=0, max_size_px=16).shape[2:4] == (16, 8)
    assert traverse(paint(3, 8, 8), codes, axes, index=0, max_size_px=16).shape[2:4] == (8, 8)


def test_a_lattice_moves_all_directions_the_last_one_fastest(paint: MakePaint, axes: Any, codes: torch.Tensor) -> None:
    amounts = [-1.0, 2.0]
    frames = traverse_lattice(paint(), codes, axes, indices=(0, 2, 1), amounts=amounts)
    assert frames.shape == (4, 8, 8, 8, 3)
    for place, (first, second, third) in enumerate(itertools.product(amounts, repeat=3)):
        moved = codes + torch.tensor([first, third, second])
        np.testing.assert_array_equal(frames[:, place], to_uint8(paint()(moved)))


def test_directions_objects_satisfy_the_protocol(paint: MakePaint, codes: torch.Tensor) -> None:
    eye = torch.eye(3)
    directions = Directions(vectors=eye, dual_vectors=eye, mean=torch.zeros(3), span=eye, scales=torch.ones(3))
    frames = traverse_all(paint(), codes, directions, indices=[1], num_steps=3)
    expected = to_uint8(paint()(codes + 3 * eye[1]))
    np.testing.assert_array_equal(frames[0, :, -1], expected)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_direction_that_does_not_exist_is_refused(
    paint: MakePaint, axes: Any, codes: torch.Tensor, index: int
) -> None:
    with pytest.raises(InvalidArgumentError, match="allowed are 0 to 2"):
        traverse(paint(), codes, axes, index=index)


@pytest.mark.parametrize("images", [torch.zeros(4, 2, 8, 8), torch.zeros(4, 8), torch.zeros(1, 3, 8, 8)])
def test_output_that_is_not_an_image_is_refused(axes: Any, codes: torch.Tensor, images: torch.Tensor) -> None:
    with pytest.raises(InvalidArgumentError, match="generate returned"):
        traverse(lambda _: images, codes, axes, index=0)


def test_an_empty_batch_is_refused(paint: MakePaint, axes: Any, codes: torch.Tensor) -> None:
    with pytest.raises(InvalidArgumentError, match="`batch_size` is 0"):
        traverse(paint(), codes, axes, index=0, batch_size=0)
    with pytest.raises(InvalidArgumentError, match="N of at least 1"):
        traverse(paint(), codes[:0], axes, index=0)


@given(st.integers(1, 30))
def test_coarser_steps_are_among_the_finer_ones_and_keep_the_middle(half: int) -> None:
    one, two, three = (mix_steps(2 * half + 1, num_moved) for num_moved in (1, 2, 3))
    assert set(three) <= set(two) <= set(one)
    assert half in three
    assert {0, 2 * half} <= set(two)


@given(st.integers(1, 30), st.integers(1, 9))
def test_steps_are_the_same_on_both_sides(half: int, num_moved: int) -> None:
    steps = mix_steps(2 * half + 1, num_moved)
    assert steps == [2 * half - step for step in reversed(steps)]


@pytest.mark.parametrize("num_mixed", [2, 3])
def test_the_number_of_mixed_frames_is_as_announced(paint: Any, axes: Any, num_mixed: int) -> None:
    codes = torch.zeros(2, 3)
    mixed = draw_mixed(paint(), codes, axes, indices=range(num_mixed), extent=2.0, num_steps=9)
    assert list(mixed.frames) == mix_groups(num_mixed)
    assert sum(len(lattice[0]) for lattice in mixed.frames.values()) == num_mixed_frames(num_mixed, 9)
    assert {len(lattice) for lattice in mixed.frames.values()} == {2}


@given(st.integers(2, 12), st.integers(1, 8), st.integers(0, 10_000))
def test_the_largest_mix_fits_and_one_more_would_not(num_directions: int, num_seeds: int, most: int) -> None:
    chosen = largest_mix(num_directions, num_seeds, 9, max_frames=most)
    assert num_seeds * num_mixed_frames(chosen, 9) <= most
    following = max(2, chosen + 1)
    assert following > min(num_directions, 8) or num_seeds * num_mixed_frames(following, 9) > most


@pytest.mark.parametrize("indices", [[], [1], list(range(9))])
def test_too_few_and_too_many_directions_are_refused(paint: Any, axes: Any, indices: list[int]) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be mixed"):
        draw_mixed(paint(), torch.zeros(1, 3), axes, indices=indices, extent=2.0, num_steps=9)


@pytest.fixture
def two_codes() -> torch.Tensor:
    return torch.randn(2, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def walks(paint: Any, axes: Any, two_codes: torch.Tensor) -> Walks:
    return walk(paint(), two_codes, axes, labels=[default_labels(3)[index] for index in (2, 0)], num_steps=5)


def test_walks_are_the_frames_of_traverse(walks: Walks, paint: Any, axes: Any, two_codes: torch.Tensor) -> None:
    assert walks.frames.shape == (2, 2, 5, 8, 8, 3)
    np.testing.assert_array_equal(walks.of(0).frames[0], traverse(paint(), two_codes, axes, index=0, num_steps=5))


def test_a_notebook_shows_a_picture_of_all_and_another_of_one(walks: Walks) -> None:
    sizes = []
    for shown in (walks, walks.of(2)):
        with Image.open(io.BytesIO(shown._repr_png_())) as picture:
            assert picture.format == "PNG"
            sizes.append(picture.size)
    assert sizes[0] != sizes[1]


def test_the_text_lists_sizes_and_extent(walks: Walks) -> None:
    assert repr(walks) == "Walks(2 directions, 2 seeds, 5 steps, 8 x 8 px, to ±3 standard deviations)"


def test_walks_of_calibrated_directions_are_in_their_units(paint: Any, two_codes: torch.Tensor) -> None:
    eye = torch.eye(3)
    plain = Directions(vectors=eye, dual_vectors=eye, mean=torch.zeros(3), span=eye, scales=torch.ones(3))
    walks = walk(paint(), two_codes, plain.calibrated([0.5, 1.0, 2.0]), extent=2.0, num_steps=5)
    assert repr(walks).endswith("to ±2 units)")
    assert [label.scores["unit"] for label in walks.labels] == [0.5, 1.0, 2.0]
    for index, unit in enumerate((0.5, 1.0, 2.0)):
        expected = traverse(paint(), two_codes, plain, index=index, extent=2.0 * unit, num_steps=5)
        np.testing.assert_array_equal(walks.of(index).frames[0], expected)


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
def test_one_direction_is_written_in_the_format_of_the_suffix(walks: Walks, tmp_path: Path, suffix: str) -> None:
    with Image.open(walks.of(2).save(tmp_path / f"walk.{suffix}")) as picture:
        assert picture.format == suffix.upper()
        assert getattr(picture, "n_frames", 1) == (1 if suffix == "png" else 8)


def test_invalid_uses_of_walks_are_refused(
    walks: Walks, paint: Any, axes: Any, two_codes: torch.Tensor, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match="direction 1 was not drawn; drawn are 2, 0"):
        walks.of(1)
    with pytest.raises(InvalidArgumentError, match="one direction"):
        walks.save(tmp_path / "walk.gif")
    with pytest.raises(InvalidArgumentError, match=r"allowed are \.png"):
        walks.save(tmp_path / "walk.mp4")
    with pytest.raises(InvalidArgumentError, match="each code needs one"):
        walk(paint(), two_codes, axes, seeds=["only one"])
