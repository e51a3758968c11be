import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.traversal.animation import encode_animation, there_and_back, write_animation
from ganspace_topdis.traversal.frames import step_values

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
def test_an_animation_is_endless_and_has_the_speed_asked_for(file_format: str) -> None:
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
def test_the_suffix_says_the_format(tmp_path: Path, suffix: str) -> None:
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
    with pytest.raises(InvalidArgumentError, match="fps is 0"):
        encode_animation(frames, values, "gif", fps=0)
    with pytest.raises(InvalidArgumentError, match="frames have shape"):
        encode_animation(frames, step_values(3, 5), "gif")
