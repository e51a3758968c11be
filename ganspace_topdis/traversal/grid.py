"""Grids: the walks of all directions, or the walks of several seeds along one direction, as one picture.

Columns are shifts, labeled above and below; the unshifted image is in the middle column, on a band. Small images are
enlarged by a whole factor without smoothing, which preserves their pixels; large ones are reduced with Lanczos' filter.
"""

import dataclasses
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.report.values import format_shift
from ganspace_topdis.traversal.frames import Frames
from ganspace_topdis.traversal.names import DirectionLabel, score_texts, shift_unit
from ganspace_topdis.traversal.text import BETWEEN, GRAY, INK, PAPER, draw_text, shorten, text_width

__all__ = ["cell_size", "draw_direction", "draw_overview", "encode_png", "resize_frame", "to_picture"]

_BAND, _BAND_EDGE = "#eaf0f6", "#c3d2e2"
_CHECKS = (204, 235)
_UNSHIFTED = "0"

_PAIR = ("rtd_before", "rtd_after")
_MAX_LABEL = 17  # times the text's size
_Scores = list[tuple[str, str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Layout:
    """Sizes in pixels of a sheet whose cells are `cell` (width, height); text scales with the cells."""

    cell: tuple[int, int]
    label_width: int
    title_height: int
    num_columns: int
    middle: int

    @property
    def text(self) -> int:
        return max(13, min(22, round(self.cell[0] * 0.145)))

    @property
    def small(self) -> int:
        return max(12, round(self.text * 0.8))

    @property
    def gap(self) -> int:
        return max(4, round(self.cell[0] * 0.05))

    @property
    def margin(self) -> int:
        return max(20, round(self.cell[0] * 0.24))

    @property
    def axis_height(self) -> int:
        return round(self.small * 2.2)

    def left(self, column: int) -> int:
        beside_band = self.gap * ((column >= self.middle) + (column > self.middle))
        return self.margin + self.label_width + column * (self.cell[0] + self.gap) + beside_band

    def top(self, row: int) -> int:
        return self.margin + self.title_height + self.axis_height + row * (self.cell[1] + self.gap)

    def size(self, num_rows: int) -> tuple[int, int]:
        width = self.left(self.num_columns) - self.gap + self.margin
        return width, self.top(num_rows) - self.gap + self.axis_height + self.margin


def draw_overview(
    frames: Frames,
    labels: Sequence[DirectionLabel],
    values: Sequence[float],
    *,
    title: str = "",
    subtitle: str = "",
    cell_px: int | None = None,
) -> Image.Image:
    """Draw one row per direction: its walk from one seed, with its name, marks and scores at the left.

    Args:
        frames: (K, num_steps, H, W, C) bytes.
        labels: K names with marks and scores.
        values: num_steps shifts, in units of the directions.
        title: a heading; none by default.
        subtitle: a second, smaller line.
        cell_px: the longer side of an image on the sheet; chosen by `cell_size` by default.

    Returns:
        An RGB picture.

    Raises:
        InvalidArgumentError: the shapes do not match.
    """
    return _draw_sheet(frames, labels, _axis(values, labels), title, subtitle, cell_px)


def draw_direction(
    frames: Frames,
    label: DirectionLabel,
    values: Sequence[float],
    seeds: Sequence[str],
    *,
    subtitle: str = "",
    cell_px: int | None = None,
) -> Image.Image:
    """Draw one row per seed: its walk along one direction; the direction's name, marks and scores are the heading.

    Args:
        frames: (num_seeds, num_steps, H, W, C) bytes.
        label: the direction's name, marks and scores.
        values: num_steps shifts, in units of the directions.
        seeds: num_seeds names of the rows.
        subtitle: a line before the scores.
        cell_px: the longer side of an image on the sheet; chosen by `cell_size` by default.

    Returns:
        An RGB picture.

    Raises:
        InvalidArgumentError: the shapes do not match.
    """
    scores = [", ".join(" ".join(score) for score in group) for group in _score_groups(label)]
    line = BETWEEN.join(part for part in (subtitle, *scores) if part)
    rows = [DirectionLabel(index=row, name=seed) for row, seed in enumerate(seeds)]
    return _draw_sheet(frames, rows, _axis(values, [label]), label.name, line, cell_px, label.marks_text)


def cell_size(height: int, width: int, longer_px: int | None = None, *, target_px: int = 128) -> tuple[int, int]:
    """Return the (width, height) at which an image is shown; `longer_px` is the longer side.

    By default, the longer side is close to `target_px`: small images are enlarged by a whole factor, large ones are
    reduced to 5/4 of it.

    >>> cell_size(32, 32), cell_size(64, 64), cell_size(1024, 512)
    ((128, 128), (128, 128), (80, 160))
    """
    longer = max(height, width)
    if longer_px is None:
        limit = target_px * 5 // 4
        longer_px = longer * max(1, round(target_px / longer)) if longer < limit else limit
    return max(1, round(width * longer_px / longer)), max(1, round(height * longer_px / longer))


def encode_png(picture: Image.Image) -> bytes:
    """Return the picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def to_picture(frame: NDArray[np.uint8]) -> Image.Image:
    """Return a frame (H, W, C) as an RGB picture; transparent parts show a checkered background."""
    if frame.shape[2] == 1:
        return Image.fromarray(frame[..., 0]).convert("RGB")
    if frame.shape[2] == 3:
        return Image.fromarray(frame)
    rows, columns = np.indices(frame.shape[:2]) // max(1, frame.shape[0] // 16)
    ground = np.where((rows + columns) % 2 == 0, *_CHECKS)[..., None]
    opacity = frame[..., 3:].astype(np.float32) / 255
    return Image.fromarray(np.round(frame[..., :3] * opacity + ground * (1 - opacity)).astype(np.uint8))


def resize_frame(frame: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    """Return a frame (H, W, C) as an RGB picture of `size` (width, height), not smoothed if it is enlarged."""
    picture = to_picture(frame)
    if picture.size == size:
        return picture
    grows = size[0] >= picture.width
    return picture.resize(size, Image.Resampling.NEAREST if grows else Image.Resampling.LANCZOS)


def _axis(values: Sequence[float], labels: Sequence[DirectionLabel]) -> list[str]:
    unit = shift_unit(labels)
    return [format_shift(value, unit) for value in values]


def _score_groups(label: DirectionLabel) -> list[_Scores]:
    """The scores in groups that are shown whole: RTD before means nothing without RTD after."""
    groups: list[_Scores] = []
    previous = ""
    for key, texts in zip(label.scores, score_texts(label), strict=True):
        if (previous, key) == _PAIR:
            groups[-1].append(texts)
        else:
            groups.append([texts])
        previous = key
    return groups


def _draw_sheet(
    frames: Frames,
    rows: Sequence[DirectionLabel],
    axis: Sequence[str],
    title: str,
    subtitle: str,
    cell_px: int | None,
    marks: str = "",
) -> Image.Image:
    """Draw the rows under their heading; `marks` end the title, and are shown in full where it is too long."""
    if frames.ndim != 5 or frames.shape[:2] != (len(rows), len(axis)) or not len(rows):
        raise InvalidArgumentError(
            f"frames have shape {frames.shape}, but must be (rows, steps, H, W, C) "
            f"with {len(rows)} rows and {len(axis)} steps, at least one of each"
        )
    middle = axis.index(_UNSHIFTED) if _UNSHIFTED in axis else len(axis)
    layout = _layout_for(frames, rows, middle, title, subtitle, cell_px)
    sheet = Image.new("RGB", layout.size(len(rows)), PAPER)
    draw = ImageDraw.Draw(sheet)
    if middle < len(axis):
        _draw_band(draw, layout, len(rows))
    _draw_heading(draw, layout, (title, marks), subtitle, sheet.width)
    _draw_axes(draw, layout, axis, len(rows))
    for row, label in enumerate(rows):
        _draw_row_label(draw, layout, row, label)
        for column, frame in enumerate(frames[row]):
            sheet.paste(resize_frame(frame, layout.cell), (layout.left(column), layout.top(row)))
    return sheet


def _layout_for(
    frames: Frames, rows: Sequence[DirectionLabel], middle: int, title: str, subtitle: str, cell_px: int | None
) -> _Layout:
    layout = _Layout(
        cell=cell_size(frames.shape[2], frames.shape[3], cell_px),
        label_width=0,
        title_height=0,
        num_columns=frames.shape[1],
        middle=middle,
    )
    names = max(text_width(label.heading, layout.text) for label in rows)
    lines = ["".join(score) for label in rows for score in score_texts(label)]
    scores = max((text_width(line, layout.small) + 2 * layout.small for line in lines), default=0.0)
    widest = min(max(names, scores), _MAX_LABEL * layout.text)
    heading = bool(title) * round(layout.text * 2.1) + bool(subtitle) * round(layout.small * 1.9)
    return dataclasses.replace(
        layout, label_width=round(widest) + layout.margin, title_height=heading + bool(heading) * layout.text // 2
    )


def _draw_band(draw: ImageDraw.ImageDraw, layout: _Layout, num_rows: int) -> None:
    """Draw the background of the unshifted column, from the upper axis to the lower one."""
    left, top = layout.left(layout.middle) - layout.gap, layout.top(0) - layout.axis_height
    right = layout.left(layout.middle) + layout.cell[0] + layout.gap - 1
    bottom = layout.top(num_rows) - layout.gap + layout.axis_height
    draw.rounded_rectangle((left, top, right, bottom), radius=layout.gap, fill=_BAND, outline=_BAND_EDGE)


def _draw_heading(
    draw: ImageDraw.ImageDraw, layout: _Layout, title: tuple[str, str], subtitle: str, width: int
) -> None:
    room = width - 2 * layout.margin
    baseline = layout.margin + round(layout.text * 1.1)
    if any(title):
        size = round(layout.text * 1.5)
        draw_text(draw, layout.margin, baseline, shorten(title[0], size, room, title[1]), size, INK)
        baseline += round(layout.small * 1.9)
    if subtitle:
        parts = subtitle.split(BETWEEN)
        while len(parts) > 1 and text_width(BETWEEN.join(parts), layout.small) > room:
            parts.pop()  # the last ones are scores, of which none is shown by half
        line = shorten(BETWEEN.join(parts), layout.small, room)
        draw_text(draw, layout.margin, baseline, line, layout.small, GRAY)


def _draw_axes(draw: ImageDraw.ImageDraw, layout: _Layout, axis: Sequence[str], num_rows: int) -> None:
    above = layout.top(0) - round(layout.small * 0.75)
    below = layout.top(num_rows) - layout.gap + round(layout.small * 1.45)
    for column, shift in enumerate(axis):
        center = layout.left(column) + layout.cell[0] / 2
        for baseline in (above, below):
            ink = INK if shift == _UNSHIFTED else GRAY
            draw_text(draw, center, baseline, shift, layout.small, ink, "m")


def _draw_row_label(draw: ImageDraw.ImageDraw, layout: _Layout, row: int, label: DirectionLabel) -> None:
    """Draw the name, the marks and as many scores as fit the row's height, vertically centered.

    Marks that do not fit beside the name have a line of their own, for which the others move closer together.
    """
    left, right = layout.margin, layout.label_width
    pitch = round(layout.small * 1.3)
    is_long = text_width(label.heading, layout.text) > right - left
    marks = [", ".join(label.marks)] if label.marks and is_long else []
    num_lines = max(0, (layout.cell[1] - round(1.3 * layout.text)) // pitch)
    fitting = _fitting(_score_groups(label), num_lines)
    if marks:
        pitch = min(pitch, (layout.cell[1] - layout.text) // (len(fitting) + 1))
    height = layout.text + (len(marks) + len(fitting)) * pitch
    baseline = layout.top(row) + (layout.cell[1] - height) / 2 + layout.text * 0.85
    name = label.name if marks else label.heading
    draw_text(draw, left, baseline, shorten(name, layout.text, right - left), layout.text, INK)
    for line in marks:
        baseline += pitch
        draw_text(draw, left, baseline, shorten(line, layout.small, right - left), layout.small, INK)
    for key, number in fitting:
        baseline += pitch
        room = right - left - text_width(number, layout.small) - layout.small
        draw_text(draw, left, baseline, shorten(key, layout.small, room), layout.small, GRAY)
        draw_text(draw, right, baseline, number, layout.small, INK, "r")


def _fitting(groups: Sequence[_Scores], num_lines: int) -> _Scores:
    """The scores that fit, from the first on; a group that does not fit gives its place to the next ones."""
    fitting: _Scores = []
    for group in groups:
        if len(fitting) + len(group) <= num_lines:
            fitting += group
    return fitting
