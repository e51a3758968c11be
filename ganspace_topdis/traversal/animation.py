"""Animations: several seeds side by side, walking along one direction and back.

The loop starts and ends at the unshifted image, which viewers that show only the first frame display: middle, +extent,
middle, -extent, and again. A dot under the images shows the shift.
"""

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageColor, ImageDraw

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.report.values import format_shift
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.traversal.frames import Frames
from ganspace_topdis.traversal.grid import cell_size, resize_frame
from ganspace_topdis.traversal.text import GRAY, INK, PAPER, draw_text, shorten, text_width

__all__ = ["encode_animation", "natural_fps", "there_and_back", "write_animation"]

_TRACK, _DOT = "#d5dae0", "#2f6db3"
_MARGIN_PX, _GAP_PX, _TEXT_PX, _FOOT_PX = 16, 6, 17, 34
_NUM_PALETTE_FRAMES = 12
_LOOP_S = 3.2
_OWN_COLORS = (PAPER, INK, GRAY, _TRACK, _DOT, "#8b8f94", "#b1b7bc")


def there_and_back(num_steps: int) -> list[int]:
    """Return the steps of one loop: from the middle to the end, to the start, and back to the middle.

    >>> there_and_back(5)
    [2, 3, 4, 3, 2, 1, 0, 1]
    """
    middle, last = num_steps // 2, num_steps - 1
    return [*range(middle, last), *range(last, 0, -1), *range(middle)]


def natural_fps(num_steps: int) -> float:
    """Return the frames per second at which a loop takes 3.2 seconds, at most 25."""
    return min(25.0, 2 * (num_steps - 1) / _LOOP_S)


def write_animation(
    path: str | os.PathLike[str],
    frames: Frames,
    values: Sequence[float],
    *,
    title: str = "",
    marks: str = "",
    unit: str = "σ",
    fps: float = 10.0,
    cell_px: int | None = None,
) -> Path:
    """Write a walk as an animated .webp or .gif, atomically; see `encode_animation`.

    Raises:
        InvalidArgumentError: the suffix is another one, or an argument is out of range.
        RunFolderError: the file cannot be written.
    """
    suffix = Path(path).suffix.lower().lstrip(".")
    shown: dict[str, Any] = {"title": title, "marks": marks, "unit": unit, "fps": fps, "cell_px": cell_px}
    return write_bytes(path, encode_animation(frames, values, suffix, **shown))


def encode_animation(
    frames: Frames,
    values: Sequence[float],
    file_format: str,
    *,
    title: str = "",
    marks: str = "",
    unit: str = "σ",
    fps: float = 10.0,
    cell_px: int | None = None,
) -> bytes:
    """Return an endless animation of walks along one direction.

    Args:
        frames: (num_seeds, num_steps, H, W, C) bytes, the unshifted images in the middle.
        values: num_steps shifts, in units of the direction.
        file_format: "webp" or "gif".
        title: a line above the images.
        marks: stand after the title, or below it if both are wider than the images.
        unit: written after the shifts, see `names.shift_unit`.
        fps: frames per second, 1 to 50.
        cell_px: the longer side of an image; chosen by `grid.cell_size` by default.

    Returns:
        The file's bytes.

    Raises:
        InvalidArgumentError: the format is another one, `fps` is out of range, or the shapes do not match.
    """
    if file_format not in ("webp", "gif"):
        raise InvalidArgumentError(f"an animation cannot be written as {file_format!r}, allowed are webp and gif")
    if not 1 <= fps <= 50:
        raise InvalidArgumentError(f"`fps` is {fps}, but must be from 1 to 50", field="fps")
    if frames.ndim != 5 or len(frames) == 0 or frames.shape[1] != len(values):
        raise InvalidArgumentError(f"frames have shape {frames.shape}, but must be (num_seeds, {len(values)}, H, W, C)")
    stills = [_draw_still(frames[:, step], values, unit, step, (title, marks), cell_px) for step in range(len(values))]
    if file_format == "gif":
        stills = _share_palette(stills)
    pictures = [stills[step] for step in there_and_back(len(stills))]
    return _encode(pictures, file_format, round(1000 / fps))


def _encode(pictures: Sequence[Image.Image], file_format: str, duration_ms: int) -> bytes:
    options: dict[str, Any] = {"quality": 88, "method": 4, "minimize_size": False}
    if file_format == "gif":
        options = {"optimize": False, "disposal": 1}
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format=file_format.upper(),
        save_all=True,
        append_images=pictures[1:],
        duration=duration_ms,
        loop=0,
        **options,
    )
    return buffer.getvalue()


def _draw_still(
    row: Frames, values: Sequence[float], unit: str, step: int, title: tuple[str, str], cell_px: int | None
) -> Image.Image:
    """Draw one frame of the animation: the images of all seeds at one step, (num_seeds, H, W, C)."""
    cell = cell_size(row.shape[1], row.shape[2], cell_px, target_px=256 if len(row) <= 2 else 128)
    num_columns = math.ceil(math.sqrt(len(row) * cell[1] / cell[0] * 2)) if len(row) > 4 else len(row)
    num_rows = math.ceil(len(row) / num_columns)
    width = 2 * _MARGIN_PX + num_columns * (cell[0] + _GAP_PX) - _GAP_PX
    is_wide = text_width("".join(title), _TEXT_PX) > width - 2 * _MARGIN_PX
    lines = [line for line in (title if is_wide else ["".join(title)]) if line]
    head = round((1.3 * len(lines) + 0.7) * _TEXT_PX) if lines else 0
    bottom = _MARGIN_PX + head + num_rows * (cell[1] + _GAP_PX) - _GAP_PX
    still = Image.new("RGB", (width, bottom + _FOOT_PX + _MARGIN_PX // 2), PAPER)
    draw = ImageDraw.Draw(still)
    for place, line in enumerate(lines):
        baseline = _MARGIN_PX + round((1 + 1.3 * place) * _TEXT_PX)
        draw_text(draw, _MARGIN_PX, baseline, shorten(line.strip(), _TEXT_PX, width - 2 * _MARGIN_PX), _TEXT_PX, INK)
    for place, frame in enumerate(row):
        left = _MARGIN_PX + place % num_columns * (cell[0] + _GAP_PX)
        top = _MARGIN_PX + head + place // num_columns * (cell[1] + _GAP_PX)
        still.paste(resize_frame(frame, cell), (left, top))
    _draw_track(draw, values, unit, step, width, bottom + _FOOT_PX // 2 + 2)
    return still


def _draw_track(
    draw: ImageDraw.ImageDraw, values: Sequence[float], unit: str, step: int, width: int, middle: int
) -> None:
    """Draw the dot on its track, between the labels of both ends."""
    size, room = round(_TEXT_PX * 0.8), 48
    baseline = middle + round(size * 0.36)
    draw_text(draw, _MARGIN_PX, baseline, format_shift(values[0], unit), size, GRAY)
    draw_text(draw, width - _MARGIN_PX, baseline, format_shift(values[-1], unit), size, GRAY, "r")
    left, right = _MARGIN_PX + room, width - _MARGIN_PX - room
    draw.rounded_rectangle((left, middle - 2, right, middle + 1), radius=2, fill=_TRACK)
    draw.rectangle(((left + right) // 2 - 1, middle - 5, (left + right) // 2, middle + 4), fill=_TRACK)
    x = round(left + (right - left) * step / (len(values) - 1))
    draw.bitmap((x - 6, middle - 6), _smooth_disc(13), fill=_DOT)


def _smooth_disc(size_px: int) -> Image.Image:
    """Return a mask (L) of an antialiased disc, because Pillow's ellipses are not antialiased."""
    large = Image.new("L", (8 * size_px, 8 * size_px))
    ImageDraw.Draw(large).ellipse((0, 0, 8 * size_px - 1, 8 * size_px - 1), fill=255)
    return large.resize((size_px, size_px), Image.Resampling.BOX)


def _share_palette(stills: Sequence[Image.Image]) -> list[Image.Image]:
    """Return the stills in one palette of 256 colors, chosen for all of them, so that colors do not flicker.

    It contains the exact colors of text and track. There is no dithering: error diffusion adds dark specks to smooth
    areas and doubles the file size.
    """
    own = [channel for color in _OWN_COLORS for channel in ImageColor.getrgb(color)]
    sample = [still.reduce(2) for still in stills[:: max(1, len(stills) // _NUM_PALETTE_FRAMES)]]
    mosaic = Image.new("RGB", (sample[0].width, sum(still.height for still in sample)))
    for place, still in enumerate(sample):
        mosaic.paste(still, (0, place * still.height))
    num_colors = 256 - len(_OWN_COLORS)
    chosen = mosaic.quantize(num_colors, method=Image.Quantize.MEDIANCUT, kmeans=1).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette((own + chosen)[: 3 * 256])
    return [still.quantize(palette=palette, dither=Image.Dither.NONE) for still in stills]
