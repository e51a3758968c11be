"""The pictures of a run: everything that `discover` draws, and what `traverse` adds later.

A run folder gets

    explorer.html                      the page
    traversals/overview.png            one row a direction, from the first seed
    traversals/direction_00.png ...    one row a seed
    traversals/direction_00.webp ...   the same walks, animated
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.generators import Generate
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.traversal.animation import write_animation
from ganspace_topdis.traversal.explorer import PairFrames, build_explorer, mix_steps, write_explorer
from ganspace_topdis.traversal.frames import (
    Frames,
    MovesCodes,
    step_values,
    traverse,
    traverse_all,
    traverse_pair,
)
from ganspace_topdis.traversal.grid import draw_direction, draw_overview, encode_png
from ganspace_topdis.traversal.labels import DirectionLabel

__all__ = ["TRAVERSAL_FORMATS", "WalkSettings", "write_gallery", "write_traversal"]

TRAVERSAL_FORMATS = ("png", "webp", "gif")
_FRAME_PX = 256
_NUM_ANIMATED_SEEDS = 4
_ANIMATION_LOOP_S = 3.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class WalkSettings:
    """How codes walk along a direction.

    Attributes:
        extent: the largest shift, in standard deviations.
        num_steps: frames of a walk, odd: the middle one is the unshifted image.
        layers: which layers of a code (num_ws, D) move; all by default.
        batch_size: images drawn at once, which bounds the memory.

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
            raise InvalidArgumentError(f"batch size is {self.batch_size}, but must be at least 1")

    @property
    def values(self) -> list[float]:
        """The shifts of the frames, in standard deviations."""
        return step_values(self.extent, self.num_steps)


def write_gallery(
    folder: str | os.PathLike[str],
    generate: Generate,
    codes: Tensor,
    directions: MovesCodes,
    labels: Sequence[DirectionLabel],
    seeds: Sequence[str],
    *,
    walk: WalkSettings | None = None,
    title: str = "Directions",
    subtitle: str = "",
    source: str = "",
    mix: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Draw all pictures of a run into its folder; files there with these names are replaced.

    Args:
        folder: the run folder, which exists.
        generate: draws images of codes, with constant noise.
        codes: (num_seeds, D) or (num_seeds, num_ws, D).
        directions: the directions; those that `labels` name are drawn, in that order.
        labels: names and scores.
        seeds: num_seeds names, such as "seed 1".
        walk: extent, steps, layers and batch size; `WalkSettings()` by default.
        title: heading of the overview and the page.
        subtitle: a line under it.
        source: what the directions are, such as their file's sha256; it goes into names saved from the page.
        mix: also draw every pair of directions for the page: K (K - 1) / 2 x num_seeds x 16 frames more.
        progress: called with the number of frames drawn and to draw.

    Returns:
        The paths written, the page and the overview first.

    Raises:
        InvalidArgumentError: an argument is out of range, or the shapes do not fit each other.
        RunFolderError: a file cannot be written.
    """
    walk = walk or WalkSettings()
    if len(seeds) != len(codes) or not labels:
        raise InvalidArgumentError(
            f"{len(codes)} codes were given with {len(seeds)} names and {len(labels)} directions; "
            "each code needs a name, and there must be a direction"
        )
    draw = _counting(generate, _num_frames(len(codes), len(labels), walk, mix), progress)
    frames = traverse_all(
        draw,
        codes,
        directions,
        indices=[label.index for label in labels],
        extent=walk.extent,
        num_steps=walk.num_steps,
        layers=walk.layers,
        batch_size=walk.batch_size,
        max_size_px=_FRAME_PX,
    )
    pairs = _draw_pairs(draw, codes, directions, labels, walk) if mix else None
    page = build_explorer(
        frames, labels, walk.values, seeds, title=title, subtitle=subtitle, source=source, pairs=pairs
    )
    written = [write_explorer(Path(folder) / "explorer.html", page)]
    return written + _write_traversals(Path(folder), frames, labels, walk.values, seeds, title, subtitle)


def write_traversal(
    path: str | os.PathLike[str],
    generate: Generate,
    codes: Tensor,
    directions: MovesCodes,
    label: DirectionLabel,
    seeds: Sequence[str],
    *,
    walk: WalkSettings | None = None,
    subtitle: str = "",
    fps: float | None = None,
    cell_px: int | None = None,
) -> Path:
    """Draw the walks along direction `label.index` into one file: .png a grid, .webp or .gif an animation.

    Args:
        path: the file; its suffix says which.
        generate: draws images of codes, with constant noise.
        codes: (num_seeds, D) or (num_seeds, num_ws, D).
        directions: the directions.
        label: which of them, with its name and scores.
        seeds: num_seeds names of the rows of a grid.
        walk: extent, steps, layers and batch size; `WalkSettings()` by default.
        subtitle: a line under the name, in a grid.
        fps: frames a second of an animation; by default, there and back takes 3.2 seconds.
        cell_px: the longer side of an image; chosen by the images' size by default.

    Raises:
        InvalidArgumentError: the suffix is another, or an argument is out of range.
        RunFolderError: the file cannot be written.
    """
    walk = walk or WalkSettings()
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in TRAVERSAL_FORMATS:
        raise InvalidArgumentError(f"format {suffix!r} is not known, allowed are {', '.join(TRAVERSAL_FORMATS)}")
    frames = traverse(
        generate,
        codes,
        directions,
        index=label.index,
        extent=walk.extent,
        num_steps=walk.num_steps,
        layers=walk.layers,
        batch_size=walk.batch_size,
        max_size_px=cell_px or _FRAME_PX,
    )
    if suffix == "png":
        sheet = draw_direction(frames, label, walk.values, seeds, subtitle=subtitle, cell_px=cell_px)
        return write_bytes(path, encode_png(sheet))
    fps = fps or _natural_fps(walk.num_steps)
    return write_animation(path, frames, walk.values, title=label.name, fps=fps, cell_px=cell_px)


def _draw_pairs(
    generate: Generate,
    codes: Tensor,
    directions: MovesCodes,
    labels: Sequence[DirectionLabel],
    walk: WalkSettings,
) -> PairFrames:
    steps = mix_steps(walk.num_steps)
    amounts = [walk.values[step] for step in steps if walk.values[step] != 0]
    frames: dict[tuple[int, int], Frames] = {
        (first, second): traverse_pair(
            generate,
            codes,
            directions,
            indices=(labels[first].index, labels[second].index),
            amounts=amounts,
            layers=walk.layers,
            batch_size=walk.batch_size,
            max_size_px=_FRAME_PX,
        )
        for first, second in combinations(range(len(labels)), 2)
    }
    return PairFrames(steps=steps, frames=frames)


def _num_frames(num_seeds: int, num_directions: int, walk: WalkSettings, mix: bool) -> int:
    num_shifts = len(mix_steps(walk.num_steps)) - 1
    num_mixed = num_directions * (num_directions - 1) // 2 * num_shifts**2 if mix else 0
    return num_seeds * (1 + num_directions * (walk.num_steps - 1) + num_mixed)


def _write_traversals(
    folder: Path,
    frames: Frames,
    labels: Sequence[DirectionLabel],
    values: Sequence[float],
    seeds: Sequence[str],
    title: str,
    subtitle: str,
) -> list[Path]:
    """The grids and animations, from frames (K, num_seeds, num_steps, H, W, C)."""
    target = folder / "traversals"
    try:
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot make the folder {target}: {error.strerror}; nothing was changed") from error
    line = "  ·  ".join(part for part in (subtitle, seeds[0]) if part)
    overview = draw_overview(frames[:, 0], labels, values, title=title, subtitle=line)
    written = [write_bytes(target / "overview.png", encode_png(overview))]
    fps = _natural_fps(len(values))
    for label, walks in zip(labels, frames, strict=True):
        stem = target / f"direction_{label.index:02d}"
        sheet = draw_direction(walks, label, values, seeds)
        written.append(write_bytes(stem.with_suffix(".png"), encode_png(sheet)))
        animated = walks[:_NUM_ANIMATED_SEEDS]
        written.append(write_animation(stem.with_suffix(".webp"), animated, values, title=label.name, fps=fps))
    return written


def _natural_fps(num_steps: int) -> float:
    return min(25.0, 2 * (num_steps - 1) / _ANIMATION_LOOP_S)


def _counting(generate: Generate, num_frames: int, progress: Callable[[int, int], None] | None) -> Generate:
    """`generate`, telling `progress` after each batch how many of `num_frames` are drawn."""
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
