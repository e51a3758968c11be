"""Frames: the images that a generator draws while its codes walk along a direction.

Frame s of a walk over `extent` units of a direction in S steps (S odd) is the image of

    c + a_s v_i,    a_s = extent (2 s / (S - 1) - 1),

so the middle frame is the image of the code itself. Images are converted to bytes by StyleGAN's formula
floor(127.5 x + 128) (Karras et al. 2020, official code), which inverts x = byte / 127.5 - 1 exactly.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.generators import Generate

__all__ = [
    "Frames",
    "LatentDirections",
    "draw_frames",
    "step_values",
    "to_uint8",
    "traverse",
    "traverse_all",
    "traverse_lattice",
]

Frames = NDArray[np.uint8]


class LatentDirections(Protocol):
    """The part of `latent.directions.Directions` that a walk needs."""

    @property
    def num_directions(self) -> int:
        """The number K of directions."""

    def move(self, codes: Tensor, index: int, amount: float | Tensor, *, layers: Sequence[int] | None = None) -> Tensor:
        """Return the codes shifted along direction `index` by `amount` of its units."""


def step_values(extent: float, num_steps: int) -> list[float]:
    """Return the shifts of a walk in units of a direction: `num_steps`, evenly spaced, exactly 0 in the middle.

    Raises:
        InvalidArgumentError: `extent` is not a positive number, or `num_steps` is not an odd number of at least 3.

    >>> step_values(3.0, 5)
    [-3.0, -1.5, 0.0, 1.5, 3.0]
    """
    if not (math.isfinite(extent) and extent > 0):
        raise InvalidArgumentError(
            f"`extent` is {extent}, but must be a positive number of units; try 3", field="extent"
        )
    if num_steps < 3 or num_steps % 2 == 0:
        raise InvalidArgumentError(
            f"`num_steps` is {num_steps}, but must be odd and at least 3, so that the unshifted image is in the middle",
            field="num_steps",
        )
    half = num_steps // 2
    return [extent * step / half for step in range(-half, half + 1)]


def to_uint8(images: Tensor) -> Frames:
    """Convert images (N, C, H, W) in [-1, 1] to bytes (N, H, W, C); values outside are clamped.

    Raises:
        TopdisError: an image contains NaN.

    >>> to_uint8(torch.tensor([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1)).ravel().tolist()
    [0, 128, 255]
    """
    if torch.isnan(images).any():
        raise TopdisError("the generator drew NaN: its weights are damaged, or a shift is far too large")
    bytes_ = (images.detach().float() * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(bytes_.permute(0, 2, 3, 1).cpu().numpy())


def traverse(
    generate: Generate,
    codes: Tensor,
    directions: LatentDirections,
    *,
    index: int,
    extent: float = 3.0,
    num_steps: int = 9,
    layers: Sequence[int] | None = None,
    batch_size: int = 16,
    max_size_px: int | None = None,
) -> Frames:
    """Walk every code along direction `index`, from -`extent` to +`extent` of its units.

    Args:
        generate: draws images of codes, with constant noise; otherwise frames also differ by their noise.
        codes: (num_seeds, D), or (num_seeds, num_ws, D).
        directions: K directions.
        index: of the direction, from 0.
        extent: the largest shift, in units of the direction.
        num_steps: frames per walk, odd: the middle one is the unshifted image.
        layers: which of num_ws are shifted; all by default.
        batch_size: images drawn at once; it bounds the memory.
        max_size_px: larger images are reduced (antialiased) to this longer side.

    Returns:
        (num_seeds, num_steps, H, W, C) bytes.

    Raises:
        InvalidArgumentError: an argument is out of range, or `generate` returned no images.
        TopdisError: an image contains NaN.
    """
    return traverse_all(
        generate,
        codes,
        directions,
        indices=[index],
        extent=extent,
        num_steps=num_steps,
        layers=layers,
        batch_size=batch_size,
        max_size_px=max_size_px,
    )[0]


def traverse_all(
    generate: Generate,
    codes: Tensor,
    directions: LatentDirections,
    *,
    indices: Sequence[int] | None = None,
    extent: float = 3.0,
    num_steps: int = 9,
    layers: Sequence[int] | None = None,
    batch_size: int = 16,
    max_size_px: int | None = None,
) -> Frames:
    """Walk every code along each of `indices` (all directions by default); see `traverse`.

    The unshifted images are drawn once, so the middle frames of all directions are the same bytes.

    Returns:
        (K, num_seeds, num_steps, H, W, C) bytes.
    """
    chosen = _checked_indices(directions, range(directions.num_directions) if indices is None else indices)
    amounts = step_values(extent, num_steps)
    draw = _Drawer(generate, batch_size, max_size_px)
    middle = draw(codes)
    frames = np.empty((len(chosen), len(codes), num_steps, *middle.shape[1:]), np.uint8)
    frames[:, :, num_steps // 2] = middle
    shifted = [step for step in range(num_steps) if step != num_steps // 2]
    for row, index in enumerate(chosen):
        moved = [directions.move(codes, index, amounts[step], layers=layers) for step in shifted]
        images = draw(torch.cat(moved)).reshape(len(shifted), len(codes), *middle.shape[1:])
        frames[row][:, shifted] = images.swapaxes(0, 1)
    return frames


def traverse_lattice(
    generate: Generate,
    codes: Tensor,
    directions: LatentDirections,
    *,
    indices: Sequence[int],
    amounts: Sequence[float],
    layers: Sequence[int] | None = None,
    batch_size: int = 16,
    max_size_px: int | None = None,
) -> Frames:
    """Shift every code along all of `indices` at once, by every combination of `amounts`; see `traverse`.

    Returns:
        (num_seeds, A ** m, H, W, C) bytes for A amounts and m directions; the last one's amount changes fastest.
    """
    moved = [codes]
    for index in _checked_indices(directions, indices):
        moved = [directions.move(start, index, amount, layers=layers) for start in moved for amount in amounts]
    images = draw_frames(generate, torch.cat(moved), batch_size=batch_size, max_size_px=max_size_px)
    return images.reshape(len(moved), len(codes), *images.shape[1:]).swapaxes(0, 1)


def draw_frames(generate: Generate, codes: Tensor, *, batch_size: int = 16, max_size_px: int | None = None) -> Frames:
    """Return the images of `codes` as bytes (N, H, W, C); for arguments and errors see `traverse`."""
    return _Drawer(generate, batch_size, max_size_px)(codes)


class _Drawer:
    """Draws codes in micro-batches, so that memory does not grow with the number of frames."""

    def __init__(self, generate: Generate, batch_size: int, max_size_px: int | None) -> None:
        if batch_size < 1:
            raise InvalidArgumentError(f"`batch_size` is {batch_size}, but must be at least 1", field="batch_size")
        if max_size_px is not None and max_size_px < 1:
            raise InvalidArgumentError(f"`max_size_px` is {max_size_px}, but must be at least 1", field="max_size_px")
        self._generate, self._batch_size, self._max_size_px = generate, batch_size, max_size_px

    @torch.no_grad()
    def __call__(self, codes: Tensor) -> Frames:
        if codes.ndim not in (2, 3) or len(codes) == 0:
            raise InvalidArgumentError(
                f"codes have shape {tuple(codes.shape)}, but must be (N, D) or (N, num_ws, D) with N of at least 1"
            )
        return np.concatenate([to_uint8(self._images(batch)) for batch in codes.split(self._batch_size)])

    def _images(self, codes: Tensor) -> Tensor:
        images = self._generate(codes)
        if images.ndim != 4 or len(images) != len(codes) or images.shape[1] not in (1, 3, 4):
            raise InvalidArgumentError(
                f"generate returned {tuple(images.shape)} for {len(codes)} codes, "
                f"but must return images ({len(codes)}, C, H, W) with C = 1, 3 or 4"
            )
        longer = max(images.shape[2:])
        if self._max_size_px is None or longer <= self._max_size_px:
            return images
        size = [max(1, round(side * self._max_size_px / longer)) for side in images.shape[2:]]
        return interpolate(images.float(), size=size, mode="bilinear", antialias=True)


def _checked_indices(directions: LatentDirections, indices: Sequence[int]) -> list[int]:
    allowed = range(directions.num_directions)
    wrong = [index for index in indices if index not in allowed]
    if wrong or len(indices) == 0:
        raise InvalidArgumentError(
            f"direction {wrong[0] if wrong else 'none'} was asked for, allowed are 0 to {len(allowed) - 1}"
        )
    return list(indices)
