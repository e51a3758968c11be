import base64
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageSequence

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.traversal import animation, grid, text
from ganspace_topdis.traversal.animation import encode_animation, there_and_back, write_animation
from ganspace_topdis.traversal.explorer import encode_sprites
from ganspace_topdis.traversal.frames import step_values
from ganspace_topdis.traversal.grid import (
    cell_size,
    draw_direction,
    draw_overview,
    encode_png,
    resize_frame,
    to_picture,
)
from ganspace_topdis.traversal.names import DirectionLabel, default_labels, shift_unit
from ganspace_topdis.traversal.text import draw_text, shorten, text_width


def frames_of(num_rows: int, num_steps: int, size: int = 32, num_channels: int = 3) -> np.ndarray:
    """Flat frames, each of another color."""
    count = num_rows * num_steps
    shades = np.linspace(40, 220, count * num_channels).astype(np.uint8)
    flat = shades.reshape(num_rows, num_steps, 1, 1, num_channels)
    return np.broadcast_to(flat, (num_rows, num_steps, size, size, num_channels)).copy()


def places(sheet: Image.Image, color: np.ndarray) -> np.ndarray:
    """The (rows, columns) of the pixels of a color."""
    return np.argwhere((np.asarray(sheet) == color).all(axis=2))


def test_a_heading_drops_scores_that_do_not_fit_as_a_whole(monkeypatch):
    lines = []
    monkeypatch.setattr(grid, "draw_text", lambda draw, x, y, text, *more: lines.append(text))
    label = DirectionLabel(index=0, name="Direction 0", scores={"score": 0.431, "effect": 0.25, "chance": 0.143})
    for num_steps in (3, 9):
        draw_direction(
            frames_of(1, num_steps),
            label,
            step_values(3, num_steps),
            ["seed 1"],
            subtitle="topdis  ·  run with a name  ·  checkpoint scenes",
        )
    narrow, wide = [line for line in lines if line.startswith("topdis")]
    assert wide.startswith(narrow)
    assert len(narrow) < len(wide)
    assert not narrow.endswith(("…", "..."))
    parts = narrow.split("  ·  ")
    assert wide.split("  ·  ")[: len(parts)] == parts


def test_frames_stand_in_rows_and_columns_in_their_order() -> None:
    frames = frames_of(3, 5)
    sheet = draw_overview(frames, default_labels(3), step_values(3, 5))
    centers = np.array([[places(sheet, frame[0, 0]).mean(axis=0) for frame in row] for row in frames])
    assert (np.diff(centers[:, :, 1], axis=1) > 0).all()
    assert (np.diff(centers[:, :, 0], axis=0) > 0).all()
    assert (np.ptp(centers[:, :, 1], axis=0) == 0).all()
    assert (np.ptp(centers[:, :, 0], axis=1) == 0).all()


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
def test_gray_color_and_transparent_frames_are_drawn(num_channels: int) -> None:
    frames = frames_of(1, 3, num_channels=num_channels)
    assert draw_overview(frames, default_labels(1), step_values(1, 3)).mode == "RGB"


def test_transparent_parts_show_a_checkered_background_and_opaque_parts_do_not() -> None:
    frame = np.full((32, 32, 4), 10, np.uint8)
    frame[:16, :, 3], frame[16:, :, 3] = 0, 255
    pixels = np.asarray(to_picture(frame))
    assert set(np.unique(pixels[:16])) == {204, 235}
    assert set(np.unique(pixels[16:])) == {10}


def test_units_of_the_directions_have_no_sigma(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    for module in (grid, animation):
        monkeypatch.setattr(module, "draw_text", lambda draw, x, y, line, *rest: written.append(line))
    plain, calibrated = default_labels(1)[0], default_labels(1, [{"unit": 0.7}])[0]
    for label, end in ((plain, "+3 σ"), (calibrated, "+3")):
        written.clear()
        draw_overview(frames_of(1, 3), [label], step_values(3, 3))
        draw_direction(frames_of(1, 3), label, step_values(3, 3), ["seed 1"])
        assert written.count(end) == 4  # above and below each sheet
        encode_animation(fading(1, 3), step_values(3, 3), "webp", unit=shift_unit([label]))
        assert written.count(end) == 7
        assert any("σ" in line for line in written) == (label is plain)


def test_names_scores_and_shifts_change_the_picture() -> None:
    frames, values = frames_of(1, 3), step_values(3, 3)
    plain = draw_overview(frames, [DirectionLabel(index=0, name="Smile")], values)
    scored = draw_overview(frames, [DirectionLabel(index=0, name="Smile", scores={"effect": 1})], values)
    named = draw_overview(frames, [DirectionLabel(index=0, name="Frown")], values)
    farther = draw_overview(frames, [DirectionLabel(index=0, name="Smile")], step_values(4, 3))
    pictures = [encode_png(picture) for picture in (plain, scored, named, farther)]
    assert len(set(pictures)) == 4


def test_a_very_long_name_does_not_widen_the_sheet() -> None:
    frames, values = frames_of(1, 3), step_values(3, 3)
    sheet = draw_overview(frames, [DirectionLabel(index=0, name="long " * 200)], values, title="long " * 200)
    assert sheet.width < 1000


def test_a_direction_sheet_has_one_row_per_seed() -> None:
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


def drawn_texts(monkeypatch: pytest.MonkeyPatch, label: DirectionLabel) -> list[str]:
    """What a sheet of one row says."""
    written: list[str] = []
    monkeypatch.setattr(grid, "draw_text", lambda _draw, _x, _y, text, *_: written.append(text))
    draw_overview(frames_of(1, 3), [label], step_values(3, 3))
    return written


@pytest.mark.parametrize("num_before", range(6))
def test_rtd_before_is_never_shown_without_rtd_after(monkeypatch: pytest.MonkeyPatch, num_before: int) -> None:
    keys = [*("rank", "score", "chance", "share", "mixed")[:num_before], "rtd_before", "rtd_after", "unit"]
    written = drawn_texts(monkeypatch, DirectionLabel(index=0, name="Smile", scores=dict.fromkeys(keys, 0.5)))
    assert ("RTD before" in written) == ("RTD after" in written) == (num_before <= 3)
    assert ("Unit" in written) == (num_before in (0, 1, 2, 4))


def test_a_heading_has_both_rtds_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(grid, "draw_text", lambda _draw, _x, _y, text, *_: written.append(text))
    label = DirectionLabel(index=0, name="Smile", scores={"rtd_before": 0.5, "rtd_after": 0.25})
    for num_steps in range(3, 17, 2):
        draw_direction(frames_of(1, num_steps, 64), label, step_values(3, num_steps), ["a"], subtitle="run " * 9)
    lines = [line for line in written if line.startswith("run")]
    assert {line.partition("  ·  ")[2] for line in lines} == {"", "RTD before 0.500, RTD after 0.250"}


def test_marks_stand_beside_a_name_and_under_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    label = DirectionLabel(index=0, name="ganspace: Direction 3", marks=("chance level",))
    assert "ganspace: Direction 3 (chance level)" in drawn_texts(monkeypatch, label)
    long = DirectionLabel(index=0, name="a run of a long name: Direction 3", marks=("object shape?", "chance level"))
    assert {"a run of a long name: Direction 3", "object shape?, chance level"} <= set(drawn_texts(monkeypatch, long))


def test_marks_that_take_a_line_cost_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = dict.fromkeys(["similarity", "score", "chance", "rtd_before", "rtd_after"], 0.5)
    label = DirectionLabel(index=0, name="long " * 20, scores=scores, marks=("chance level",))
    for size in (16, 32, 100, 128, 256):
        places: list[float] = []
        monkeypatch.setattr(grid, "draw_text", lambda _draw, _x, y, *_, places=places: places.append(y))
        sheet = draw_overview(frames_of(1, 3, size), [label], step_values(3, 3))
        rows = sorted(set(places))[1:-1]  # those between the axes
        assert len(rows) == 7
        assert min(np.diff(rows)) >= 12
        assert rows[-1] - rows[0] < sheet.height - 100


def test_a_long_title_is_shortened_before_its_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    for module in (grid, animation):
        monkeypatch.setattr(module, "draw_text", lambda draw, x, y, line, *rest: written.append(line))
    label = DirectionLabel(index=0, name="long " * 40, marks=("chance level",))
    draw_direction(frames_of(1, 3), label, step_values(3, 3), ["seed 1"])
    encode_animation(fading(1, 3), step_values(3, 3), "webp", title=label.name, marks=label.marks_text)
    assert written[0].startswith("long")
    assert written[0].endswith("... (chance level)")
    assert written.count("(chance level)") == 3  # below the name, in each still


def ink(text: str, size_px: int = 20, align: str = "l") -> np.ndarray:
    image = Image.new("L", (400, 60), 255)
    draw_text(ImageDraw.Draw(image), 200, 40, text, size_px, (0, 0, 0) if image.mode == "RGB" else "black", align)
    return np.asarray(image) < 128


def columns(text: str, align: str = "l") -> tuple[int, int]:
    used = np.flatnonzero(ink(text, align=align).any(axis=0))
    return int(used[0]), int(used[-1])


@pytest.mark.parametrize("text", ["−", "σ", "−1.5 σ", "seed 1"])
def test_text_leaves_ink_no_wider_than_its_width(text: str) -> None:
    left, right = columns(text)
    assert 200 <= left <= 204
    assert right - 200 <= text_width(text, 20) + 2


def test_minus_is_one_bar_at_the_height_of_the_plus() -> None:
    minus, plus = ink("−"), ink("+")
    bar = np.flatnonzero(minus.any(axis=1))
    assert len(bar) <= 3
    assert abs(bar.mean() - np.flatnonzero(plus.any(axis=1)).mean()) <= 1.5


def test_sigma_is_an_o_with_a_bar_to_its_right() -> None:
    assert not (ink("o") & ~ink("σ")).any()
    assert columns("σ")[1] > columns("o")[1]


def test_sigma_is_not_drawn_as_a_missing_letter() -> None:
    assert (ink("σ") != ink("\uffff")).any()


@pytest.mark.parametrize("text", ["−3 σ", "Smile"])
def test_text_is_aligned_left_middle_and_right(text: str) -> None:
    width = text_width(text, 20)
    starts = [columns(text, align)[0] for align in "lmr"]
    assert starts[0] - starts[1] == pytest.approx(width / 2, abs=1.5)
    assert starts[0] - starts[2] == pytest.approx(width, abs=1.5)


def test_without_a_system_font_accents_are_dropped_and_the_rest_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_SYSTEM_FONTS", ())
    assert (ink("é") == ink("e")).all()
    assert (ink("中") == ink("?")).all()


@settings(max_examples=50)
@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), width=st.integers(20, 300))
def test_shortened_text_fits_and_short_text_stays(text: str, width: int) -> None:
    short = shorten(text, 14, width)
    assert text_width(short, 14) <= width
    assert short == text or (short.endswith("...") and text.startswith(short[:-3]))


FORMATS = ["webp", "gif"]


def fading(num_seeds: int, num_steps: int, size: int = 32) -> np.ndarray:
    """Frames that grow brighter step by step: 40, ..., 220."""
    shades = np.linspace(40, 220, num_steps).astype(np.uint8).reshape(1, num_steps, 1, 1, 1)
    return np.broadcast_to(shades, (num_seeds, num_steps, size, size, 3)).copy()


def pictures(data: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(data)) as animation:
        return [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(animation)]


@given(st.integers(1, 30))
def test_a_loop_visits_every_step_and_never_jumps(half: int) -> None:
    steps = there_and_back(2 * half + 1)
    assert set(steps) == set(range(2 * half + 1))
    assert steps[0] == half
    assert all(abs(after - before) == 1 for before, after in zip(steps, steps[1:] + steps[:1], strict=True))


@pytest.mark.parametrize("file_format", FORMATS)
def test_frames_show_the_steps_in_the_order_of_the_loop(file_format: str) -> None:
    frames = fading(1, 5)
    data = encode_animation(frames, step_values(3, 5), file_format)
    shown = [picture[140, 140].mean() for picture in pictures(data)]
    expected = [frames[0, step, 0, 0].mean() for step in there_and_back(5)]
    np.testing.assert_allclose(shown, expected, atol=4)


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_animation_loops_forever_at_the_requested_speed(file_format: str) -> None:
    data = encode_animation(fading(2, 5), step_values(3, 5), file_format, fps=20)
    with Image.open(io.BytesIO(data)) as animation:
        assert animation.info["loop"] == 0
        animation.seek(1)
        animation.load()
        assert animation.info["duration"] == 50
        assert animation.n_frames == len(there_and_back(5))


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_dot_moves_with_the_step(file_format: str) -> None:
    frames = np.full((1, 3, 32, 32, 3), 128, np.uint8)
    middle, end, *_ = pictures(encode_animation(frames, step_values(3, 3), file_format))
    blue = [np.argwhere(picture[..., 2] - picture[..., 0] > 60)[:, 1].mean() for picture in (middle, end)]
    assert blue[1] - blue[0] > 40


def test_seeds_stand_side_by_side_and_many_seeds_in_rows() -> None:
    sizes = []
    for num_seeds in (1, 3, 4, 8):
        data = encode_animation(fading(num_seeds, 3), step_values(3, 3), "webp")
        sizes.append(pictures(data)[0].shape)
    assert sizes[1][0] == sizes[2][0] < sizes[3][0]
    assert sizes[1][1] < sizes[2][1] == sizes[3][1]


def test_smooth_ground_in_a_gif_gets_no_specks() -> None:
    ramp = np.linspace(90, 160, 64).astype(np.uint8)
    frames = np.broadcast_to(ramp[None, None, None, :, None], (4, 3, 64, 64, 3)).copy()
    frames[..., 1] //= 2
    for picture in pictures(encode_animation(frames, step_values(3, 3), "gif")):
        tile = picture[16:144, 16:144]
        assert np.abs(np.diff(tile, axis=1)).max() < 16


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".GIF"])
def test_the_suffix_determines_the_format(tmp_path: Path, suffix: str) -> None:
    path = write_animation(tmp_path / f"walk{suffix}", fading(1, 3), step_values(3, 3), title="Smile")
    with Image.open(path) as animation:
        assert animation.format == suffix.lstrip(".").upper()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="cannot write"):
        write_animation(tmp_path / "none" / "walk.gif", fading(1, 3), step_values(3, 3))


def test_wrong_arguments_are_refused() -> None:
    frames, values = fading(1, 3), step_values(3, 3)
    with pytest.raises(InvalidArgumentError, match="allowed are webp and gif"):
        encode_animation(frames, values, "mp4")
    with pytest.raises(InvalidArgumentError, match="`fps` is 0"):
        encode_animation(frames, values, "gif", fps=0)
    with pytest.raises(InvalidArgumentError, match="frames have shape"):
        encode_animation(frames, step_values(3, 5), "gif")


PREFIX = "data:image/webp;base64,"


def noise(count: int, num_frames: int, size: int, num_channels: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, num_frames, size // 4, size // 4, num_channels), dtype=np.uint8)
    return list(coarse.repeat(4, axis=2).repeat(4, axis=3))


def opened(uri: str) -> np.ndarray:
    assert uri.startswith(PREFIX)
    with Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(PREFIX)))) as image:
        return np.asarray(image)


def test_small_frames_are_lossless_if_there_is_room() -> None:
    walks = noise(3, 5, 32)
    sprites = encode_sprites(walks, budget_bytes=1_000_000)
    assert (sprites.width, sprites.height) == (32, 32)
    for walk, uri in zip(walks, sprites.uris, strict=True):
        np.testing.assert_array_equal(opened(uri), np.concatenate(list(walk), axis=1))


def test_frames_shrink_until_they_fit_the_budget() -> None:
    walks = noise(8, 9, 128)
    generous = encode_sprites(walks, budget_bytes=5_000_000)
    for budget in (400_000, 100_000, 30_000):
        sprites = encode_sprites(walks, budget_bytes=budget)
        assert sum(map(len, sprites.uris)) <= budget
        assert opened(sprites.uris[0]).shape == (sprites.height, 9 * sprites.width, 3)
    assert sprites.width < generous.width


def test_frames_are_reduced_without_bleeding_into_their_neighbors() -> None:
    walk = np.zeros((2, 64, 64, 3), np.uint8)
    walk[1] = 255
    sprites = encode_sprites([walk], budget_bytes=1_000_000, max_size_px=16)
    pixels = opened(sprites.uris[0])
    assert (pixels[:, :16] == 0).all()
    assert (pixels[:, 16:] == 255).all()


def test_one_side_may_be_longer() -> None:
    sprites = encode_sprites([np.zeros((3, 64, 32, 3), np.uint8)], budget_bytes=100_000, max_size_px=32)
    assert (sprites.width, sprites.height) == (16, 32)


@pytest.mark.parametrize(("num_channels", "decoded"), [(1, 3), (3, 3), (4, 4)])
def test_gray_and_transparent_frames_are_preserved(num_channels: int, decoded: int) -> None:
    walk = noise(1, 3, 32, num_channels)[0]
    walk[..., -1] |= 1  # a fully transparent pixel may lose its color
    pixels = opened(encode_sprites([walk], budget_bytes=1_000_000).uris[0])
    expected = np.concatenate(list(walk), axis=1)
    assert pixels.shape[2] == decoded
    np.testing.assert_array_equal(pixels, expected if decoded == num_channels else expected.repeat(3, 2))


def test_sprites_never_exceed_the_maximum_width_of_the_format() -> None:
    sprites = encode_sprites([np.zeros((40, 512, 512, 3), np.uint8)], budget_bytes=1_000_000)
    assert 40 * sprites.width <= 16383


def test_frames_that_cannot_fit_are_refused_with_advice() -> None:
    with pytest.raises(InvalidArgumentError, match="fewer seeds"):
        encode_sprites(noise(8, 9, 64), budget_bytes=1_000)
