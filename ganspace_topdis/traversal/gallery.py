"""The pictures of a run: the explorer page, the overview, and a grid and an animation per direction.

A run folder gets

    explorer.html                      the page
    traversals/overview.png            one row per direction, from the first seed
    traversals/direction_00.png ...    one row per seed
    traversals/direction_00.webp ...   the same walks, animated
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.generators import Generate
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.traversal.animation import natural_fps, write_animation
from ganspace_topdis.traversal.explorer import build_explorer, write_explorer
from ganspace_topdis.traversal.frames import Frames, LatentDirections, step_values, traverse, traverse_all
from ganspace_topdis.traversal.grid import draw_direction, draw_overview, encode_png
from ganspace_topdis.traversal.mixing import MixedFrames, draw_mixed, num_mixed_frames
from ganspace_topdis.traversal.names import DirectionLabel, shift_unit
from ganspace_topdis.traversal.text import BETWEEN

__all__ = [
    "FRAME_PX",
    "TRAVERSAL_FORMATS",
    "PageText",
    "WalkSettings",
    "animation_title",
    "write_gallery",
    "write_page",
    "write_traversal",
]

TRAVERSAL_FORMATS = ("png", "webp", "gif")
FRAME_PX = 256
"""Longer side of the frames of a gallery; larger images are reduced."""

_NUM_ANIMATED_SEEDS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class WalkSettings:
    """How codes walk along a direction.

    Attributes:
        extent: the largest shift, in units of the directions.
        num_steps: frames per walk, odd: the middle one is the unshifted image.
        layers: which layers of a code (num_ws, D) are shifted; all by default.
        batch_size: images drawn at once; it bounds the memory.

    Raises:
        InvalidArgumentError: an attribute is out of range.
    """

    extent: float = 3.0
    num_steps: int = 9
    layers: tuple[int, ...] | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        step_values(self.extent, self.num_steps)
        if self.batch_size < 1:
            raise InvalidArgumentError(f"`batch_size` is {self.batch_size}, but must be at least 1", field="batch_size")

    @property
    def values(self) -> list[float]:
        """The shifts of the frames, in units of the directions."""
        return step_values(self.extent, self.num_steps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageText:
    """Text above the overview and on the page.

    Attributes:
        title: the heading.
        subtitle: a line under it.
        summary: what was scored; on the page after the subtitle, in the overview after the seed, as far as it fits.
        source: identifies the directions, such as a hash of them; it is written into saved names.
        origin: method, run and checkpoint, under the name of a direction in its own picture.
        command: the command that makes an image of the page, without its seed and shifts; none is offered by default.
        command_note: what a reader of the page must know to run it.
    """

    title: str = "Directions"
    subtitle: str = ""
    summary: str = ""
    source: str = ""
    origin: str = ""
    command: str = ""
    command_note: str = ""

    @property
    def whole_subtitle(self) -> str:
        """The line under the heading of a page."""
        return "; ".join(part for part in (self.subtitle, self.summary) if part)


def write_gallery(
    folder: str | os.PathLike[str],
    generate: Generate,
    codes: Tensor,
    directions: LatentDirections,
    labels: Sequence[DirectionLabel],
    seeds: Sequence[str],
    *,
    walk: WalkSettings | None = None,
    text: PageText | None = None,
    num_mixed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Draw all pictures of a run into its folder, replacing earlier ones.

    Args:
        folder: the run folder, which exists.
        generate: draws images of codes, with constant noise.
        codes: (num_seeds, D) or (num_seeds, num_ws, D).
        directions: the directions; those in `labels` are drawn, in that order.
        labels: names and scores.
        seeds: num_seeds names, such as "seed 1".
        walk: extent, steps, layers and batch size; `WalkSettings()` by default.
        text: headings of the overview and the page.
        num_mixed: number of directions, from the first on, whose mixes are drawn for the page (see `mixing`).
        progress: called with the number of frames drawn so far and in total.

    Returns:
        The paths written, the page and the overview first.

    Raises:
        InvalidArgumentError: an argument is out of range, or the shapes do not match.
        RunFolderError: a file cannot be written.
    """
    walk, text = walk or WalkSettings(), text or PageText()
    frames, mixed = _draw(generate, codes, directions, labels, seeds, walk, num_mixed, progress)
    page = build_explorer(frames, labels, walk.values, seeds, mixed=mixed, **_of_page(text))
    written = [write_explorer(Path(folder) / "explorer.html", page)]
    return written + _write_traversals(Path(folder), frames, labels, walk.values, seeds, text)


def write_page(
    path: str | os.PathLike[str],
    generate: Generate,
    codes: Tensor,
    directions: LatentDirections,
    labels: Sequence[DirectionLabel],
    seeds: Sequence[str],
    *,
    walk: WalkSettings | None = None,
    text: PageText | None = None,
    num_mixed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draw only the explorer page, into the file `path`; for arguments and errors see `write_gallery`."""
    walk, text = walk or WalkSettings(), text or PageText()
    frames, mixed = _draw(generate, codes, directions, labels, seeds, walk, num_mixed, progress)
    page = build_explorer(frames, labels, walk.values, seeds, mixed=mixed, **_of_page(text))
    return write_explorer(path, page)


def write_traversal(
    path: str | os.PathLike[str],
    generate: Generate,
    codes: Tensor,
    directions: LatentDirections,
    label: DirectionLabel,
    seeds: Sequence[str],
    *,
    walk: WalkSettings | None = None,
    subtitle: str = "",
    fps: float | None = None,
    cell_px: int | None = None,
) -> Path:
    """Draw the walks along direction `label.index` into one file: a grid (.png) or an animation (.webp, .gif).

    Args:
        path: the file; its suffix determines the format.
        generate: draws images of codes, with constant noise.
        codes: (num_seeds, D) or (num_seeds, num_ws, D).
        directions: the directions.
        label: number, name and scores of the direction.
        seeds: num_seeds names of the rows of a grid.
        walk: extent, steps, layers and batch size; `WalkSettings()` by default.
        subtitle: a line under the name, in a grid.
        fps: frames per second of an animation; by default, a loop takes 3.2 seconds.
        cell_px: the longer side of an image; by default it depends on the size of the images.

    Raises:
        InvalidArgumentError: the suffix is another one, or an argument is out of range.
        RunFolderError: the file cannot be written.
    """
    walk = walk or WalkSettings()
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in TRAVERSAL_FORMATS:
        raise InvalidArgumentError(f"the format {suffix!r} is unknown, allowed are {', '.join(TRAVERSAL_FORMATS)}")
    frames = traverse(
        generate,
        codes,
        directions,
        index=label.index,
        extent=walk.extent,
        num_steps=walk.num_steps,
        layers=walk.layers,
        batch_size=walk.batch_size,
        max_size_px=cell_px or FRAME_PX,
    )
    if suffix == "png":
        sheet = draw_direction(frames, label, walk.values, seeds, subtitle=subtitle, cell_px=cell_px)
        return write_bytes(path, encode_png(sheet))
    fps = fps or natural_fps(walk.num_steps)
    return write_animation(path, frames, walk.values, **animation_title(label), fps=fps, cell_px=cell_px)


def _of_page(text: PageText) -> dict[str, Any]:
    shown = ("title", "source", "command", "command_note")
    return {"subtitle": text.whole_subtitle, **{name: getattr(text, name) for name in shown}}


def _draw(
    generate: Generate,
    codes: Tensor,
    directions: LatentDirections,
    labels: Sequence[DirectionLabel],
    seeds: Sequence[str],
    walk: WalkSettings,
    num_mixed: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[Frames, MixedFrames | None]:
    """Return the walks of all labeled directions, and the mixes of the first `num_mixed`."""
    if len(seeds) != len(codes) or not labels:
        raise InvalidArgumentError(
            f"{len(codes)} codes were given with {len(seeds)} names and {len(labels)} directions; "
            "each code needs a name, and at least one direction is needed"
        )
    num_mixed = min(num_mixed, len(labels))
    per_seed = 1 + len(labels) * (walk.num_steps - 1) + num_mixed_frames(num_mixed, walk.num_steps)
    draw = _counting(generate, len(codes) * per_seed, progress)
    indices, how = [label.index for label in labels], {**dataclasses.asdict(walk), "max_size_px": FRAME_PX}
    frames = traverse_all(draw, codes, directions, indices=indices, **how)
    if num_mixed < 2:
        return frames, None
    return frames, draw_mixed(draw, codes, directions, indices=indices[:num_mixed], **how)


def _write_traversals(
    folder: Path,
    frames: Frames,
    labels: Sequence[DirectionLabel],
    values: Sequence[float],
    seeds: Sequence[str],
    text: PageText,
) -> list[Path]:
    """Write the grids and animations of frames (K, num_seeds, num_steps, H, W, C)."""
    target = folder / "traversals"
    try:
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot create the folder {target}: {error.strerror}; nothing was changed") from error
    # the last parts are left out where they do not fit
    line = BETWEEN.join(part for part in (text.subtitle, seeds[0], text.summary) if part)
    overview = draw_overview(frames[:, 0], labels, values, title=text.title, subtitle=line)
    written = [write_bytes(target / "overview.png", encode_png(overview))]
    fps = natural_fps(len(values))
    for label, walks in zip(labels, frames, strict=True):
        stem = target / f"direction_{label.index:02d}"
        sheet = draw_direction(walks, label, values, seeds, subtitle=text.origin)
        written.append(write_bytes(stem.with_suffix(".png"), encode_png(sheet)))
        animation, animated = stem.with_suffix(".webp"), walks[:_NUM_ANIMATED_SEEDS]
        written.append(write_animation(animation, animated, values, **animation_title(label), fps=fps))
    return written


def animation_title(label: DirectionLabel) -> dict[str, Any]:
    """The title of an animation, and the unit of its shifts."""
    return {"title": label.name, "marks": label.marks_text, "unit": shift_unit([label])}


def _counting(generate: Generate, num_frames: int, progress: Callable[[int, int], None] | None) -> Generate:
    """Wrap `generate` so that `progress` is called after each batch with the number of frames drawn."""
    if progress is None:
        return generate
    num_drawn = 0

    def counted(codes: Tensor) -> Tensor:
        nonlocal num_drawn
        images = generate(codes)
        num_drawn += len(codes)
        progress(num_drawn, num_frames)
        return images

    return counted
