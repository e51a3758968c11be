"""Walks along directions as one object: displayed in a notebook, saved in the format of a suffix, or used as an array.

walks = walk(generate, codes, directions)      # in a notebook: one row per direction
walks.of(3)                                    # one row per seed
walks.of(3).save("smile.webp")
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.traversal.animation import natural_fps, write_animation
from ganspace_topdis.traversal.frames import Frames, LatentDirections, step_values, traverse_all
from ganspace_topdis.traversal.gallery import animation_title
from ganspace_topdis.traversal.grid import draw_direction, draw_overview, encode_png
from ganspace_topdis.traversal.names import DirectionLabel, default_labels, shift_unit

__all__ = ["Walks", "walk"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Walks:
    """Walks of several seeds along one or more directions.

    Attributes:
        frames: (K, num_seeds, num_steps, H, W, C) bytes, the unshifted images in the middle.
        labels: K names with scores.
        values: num_steps shifts, in units of the directions.
        seeds: num_seeds names.
    """

    frames: Frames
    labels: tuple[DirectionLabel, ...]
    values: tuple[float, ...]
    seeds: tuple[str, ...]

    def of(self, index: int) -> "Walks":
        """Return the walks along direction `index`.

        Raises:
            InvalidArgumentError: the direction was not drawn.
        """
        for place, label in enumerate(self.labels):
            if label.index == index:
                return dataclasses.replace(self, frames=self.frames[place : place + 1], labels=(label,))
        drawn = ", ".join(str(label.index) for label in self.labels)
        raise InvalidArgumentError(f"direction {index} was not drawn; drawn are {drawn}")

    def save(self, path: str | os.PathLike[str], *, fps: float | None = None) -> Path:
        """Write a grid (.png), or an animation of one direction (.webp, .gif).

        Raises:
            InvalidArgumentError: the suffix is another one, or an animation would show several directions.
            RunFolderError: the file cannot be written.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".png":
            return write_bytes(path, self._repr_png_())
        if suffix not in (".webp", ".gif"):
            raise InvalidArgumentError(f"walks cannot be written as {suffix!r}, allowed are .png, .webp and .gif")
        if len(self.labels) != 1:
            raise InvalidArgumentError("an animation shows one direction; choose one with of(index), or write a .png")
        fps = fps or natural_fps(len(self.values))
        return write_animation(path, self.frames[0], self.values, **animation_title(self.labels[0]), fps=fps)

    def __repr__(self) -> str:
        num_directions, num_seeds, num_steps, height, width = self.frames.shape[:5]
        sizes = f"{num_directions} directions, {num_seeds} seeds, {num_steps} steps"
        unit = "standard deviations" if shift_unit(self.labels) else "units"
        return f"Walks({sizes}, {width} x {height} px, to ±{self.values[-1]:g} {unit})"

    def _repr_png_(self) -> bytes:
        """Draw one row per direction from the first seed; for a single direction, one row per seed."""
        if len(self.labels) == 1:
            return encode_png(draw_direction(self.frames[0], self.labels[0], self.values, self.seeds))
        return encode_png(draw_overview(self.frames[:, 0], self.labels, self.values, subtitle=self.seeds[0]))


def walk(
    generate: Generate,
    codes: Tensor,
    directions: LatentDirections,
    *,
    labels: Sequence[DirectionLabel] | None = None,
    seeds: Sequence[str] | None = None,
    extent: float = 3.0,
    num_steps: int = 9,
    layers: Sequence[int] | None = None,
    batch_size: int = 16,
    max_size_px: int | None = 256,
) -> Walks:
    """Walk every code along every direction in `labels`.

    Args:
        generate: draws images of codes, with constant noise; otherwise frames also differ by their noise.
        codes: (num_seeds, D), or (num_seeds, num_ws, D).
        directions: the directions.
        labels: numbers, names and scores of the directions to draw; by default all, named by their numbers.
        seeds: names of the codes.
        extent: the largest shift, in units of the directions.
        num_steps: frames per walk, odd.
        layers: which of num_ws are shifted; all by default.
        batch_size: images drawn at once.
        max_size_px: larger images are reduced to this.

    Raises:
        InvalidArgumentError: an argument is out of range, or `generate` returned no images.
    """
    chosen = _own_labels(directions) if labels is None else labels
    names = [f"code {row}" for row in range(len(codes))] if seeds is None else seeds
    if len(names) != len(codes):
        raise InvalidArgumentError(f"{len(codes)} codes were given with {len(names)} names; each code needs one")
    frames = traverse_all(
        generate,
        codes,
        directions,
        indices=[label.index for label in chosen],
        extent=extent,
        num_steps=num_steps,
        layers=layers,
        batch_size=batch_size,
        max_size_px=max_size_px,
    )
    values = tuple(step_values(extent, num_steps))
    return Walks(frames=frames, labels=tuple(chosen), values=values, seeds=tuple(names))


def _own_labels(directions: LatentDirections) -> list[DirectionLabel]:
    """The numbers of the directions as labels, with the units of calibrated ones."""
    units = directions.columns.get("unit") if isinstance(directions, Directions) else None
    return default_labels(directions.num_directions, None if units is None else [{"unit": unit} for unit in units])
