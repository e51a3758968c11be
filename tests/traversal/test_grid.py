import io

import numpy as np
import pytest
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal import grid
from ganspace_topdis.traversal.frames import step_values
from ganspace_topdis.traversal.grid import (
    cell_size,
    draw_direction,
    draw_overview,
    encode_png,
    resize_frame,
    to_picture,
)
from ganspace_topdis.traversal.labels import DirectionLabel, default_labels


def frames_of(num_rows: int, num_steps: int, size: int = 32, num_channels: int = 3) -> np.ndarray:
    """Flat frames, each of another colour."""
    count = num_rows * num_steps
    shades = np.linspace(40, 220, count * num_channels).astype(np.uint8)
    flat = shades.reshape(num_rows, num_steps, 1, 1, num_channels)
    return np.broadcast_to(flat, (num_rows, num_steps, size, size, num_channels)).copy()


def places(sheet: Image.Image, colour: np.ndarray) -> np.ndarray:
    """The (rows, columns) of the pixels of a colour."""
    return np.argwhere((np.asarray(sheet) == colour).all(axis=2))


def test_frames_stand_in_rows_and_columns_in_their_order() -> None:
    frames = frames_of(3, 5)
    sheet = draw_overview(frames, default_labels(3), step_values(3, 5))
    centres = np.array([[places(sheet, frame[0, 0]).mean(axis=0) for frame in row] for row in frames])
    assert (np.diff(centres[:, :, 1], axis=1) > 0).all()
    assert (np.diff(centres[:, :, 0], axis=0) > 0).all()
    assert (np.ptp(centres[:, :, 1], axis=0) == 0).all()
    assert (np.ptp(centres[:, :, 0], axis=1) == 0).all()


def test_every_frame_is_shown_whole() -> None:
    frames = frames_of(2, 3)
    sheet = draw_overview(frames, default_labels(2), step_values(3, 3))
    for row in frames:
        for frame in row:
            assert len(places(sheet, frame[0, 0])) >= 128 * 128


def test_the_unshifted_column_alone_stands_on_a_band() -> None:
    frames = frames_of(2, 5)
    with_band = draw_overview(frames, default_labels(2), step_values(3, 5))
    pixels = np.asarray(with_band)
    middle = places(with_band, frames[0, 2, 0, 0])[0]
    outer = places(with_band, frames[0, 0, 0, 0])[0]
    assert tuple(pixels[middle[0] - 1, middle[1]]) == (234, 240, 246)
    assert tuple(pixels[outer[0] - 1, outer[1]]) == (252, 252, 250)


def test_small_images_grow_by_whole_pixels() -> None:
    checks = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    grown = np.asarray(resize_frame(checks, cell_size(32, 32)))
    np.testing.assert_array_equal(grown, np.kron(checks[..., 0], np.ones((4, 4), np.uint8))[..., None].repeat(3, 2))


@pytest.mark.parametrize("size", [16, 32, 64, 100, 128, 256, 512, 1024])
def test_cells_are_of_readable_size(size: int) -> None:
    width, height = cell_size(size, size)
    assert width == height
    assert 96 <= width <= 160


def test_a_sheet_of_large_images_stays_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 9, 1024, 1024, 3), dtype=np.uint8)
    data = encode_png(draw_overview(noise, default_labels(2), step_values(3, 9)))
    assert len(data) < 2_500_000


@pytest.mark.parametrize("num_channels", [1, 3, 4])
def test_grey_colour_and_transparent_frames_are_drawn(num_channels: int) -> None:
    frames = frames_of(1, 3, num_channels=num_channels)
    assert draw_overview(frames, default_labels(1), step_values(1, 3)).mode == "RGB"


def test_transparent_parts_show_a_chequered_ground_and_opaque_parts_do_not() -> None:
    frame = np.full((32, 32, 4), 10, np.uint8)
    frame[:16, :, 3], frame[16:, :, 3] = 0, 255
    pixels = np.asarray(to_picture(frame))
    assert set(np.unique(pixels[:16])) == {204, 235}
    assert set(np.unique(pixels[16:])) == {10}


def test_names_scores_and_shifts_change_the_picture() -> None:
    frames, values = frames_of(1, 3), step_values(3, 3)
    plain = draw_overview(frames, [DirectionLabel(index=0, name="Smile")], values)
    scored = draw_overview(frames, [DirectionLabel(index=0, name="Smile", scores={"effect": 1})], values)
    named = draw_overview(frames, [DirectionLabel(index=0, name="Frown")], values)
    farther = draw_overview(frames, [DirectionLabel(index=0, name="Smile")], step_values(4, 3))
    pictures = [encode_png(picture) for picture in (plain, scored, named, farther)]
    assert len(set(pictures)) == 4


def test_an_endless_name_does_not_widen_the_sheet_without_end() -> None:
    frames, values = frames_of(1, 3), step_values(3, 3)
    sheet = draw_overview(frames, [DirectionLabel(index=0, name="long " * 200)], values, title="long " * 200)
    assert sheet.width < 1000


def test_a_direction_sheet_has_a_row_a_seed() -> None:
    frames, values = frames_of(4, 3), step_values(3, 3)
    label = DirectionLabel(index=0, name="Smile", scores={"rtd_after": 0.5})
    four = draw_direction(frames, label, values, ["seed 1", "seed 2", "seed 3", "seed 4"])
    two = draw_direction(frames[:2], label, values, ["seed 1", "seed 2"])
    assert four.width == two.width
    assert four.height - two.height == 2 * (128 + 6)


def test_png_bytes_hold_the_same_picture() -> None:
    sheet = draw_overview(frames_of(1, 3), default_labels(1), step_values(3, 3))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(sheet)))), np.asarray(sheet))


@pytest.mark.parametrize("shape", [(2, 3, 8, 8, 3), (1, 5, 8, 8, 3), (1, 3, 8, 8), (0, 3, 8, 8, 3)])
def test_frames_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="frames have shape"):
        draw_overview(np.zeros(shape, np.uint8), default_labels(min(1, shape[0])), step_values(3, 3))


def test_five_scores_are_all_shown_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(grid, "draw_text", lambda _draw, _x, _y, text, *_: written.append(text))
    keys = ["share", "spearman", "rtd_before", "rtd_after", "effect"]
    label = DirectionLabel(index=0, name="Direction 0", scores=dict.fromkeys(keys, 0.5))
    draw_overview(frames_of(1, 3), [label], step_values(3, 3))
    assert {"Share", "Spearman", "RTD before", "RTD after", "Effect"} <= set(written)
    assert written.count("0.500") == 5
