"""Frames of several directions at once, as many as fit into a page.

All combinations of M directions in S steps are S^M frames per seed. The more directions are shifted, the fewer steps
each one has; every coarse step is one of the finer ones:

    one direction      every step of its walk
    two                five steps: both ends, both halves, the middle
    three or more      three steps: both halves, the middle

With A_m nonzero steps, that is sum_{m >= 2} C(M, m) A_m^m frames per seed: 16, 56, 144, 352 for M = 2, ..., 5.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from math import comb

from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import Generate
from ganspace_topdis.traversal.frames import Frames, LatentDirections, step_values, traverse_lattice

__all__ = ["MixedFrames", "draw_mixed", "largest_mix", "mix_groups", "mix_steps", "num_mixed_frames"]

MOST_MIXED = 8
"""More directions have thousands of combinations."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixedFrames:
    """Frames of two and more of the first `num_mixed` directions.

    Attributes:
        num_mixed: M.
        frames: places of the directions on the page, in ascending order -> (num_seeds, A ** m, H, W, C) bytes for the
            A nonzero steps; the last direction's step changes fastest; see `mix_steps`.
    """

    num_mixed: int
    frames: Mapping[tuple[int, ...], Frames]


def mix_steps(num_steps: int, num_moved: int) -> list[int]:
    """Return the steps of a walk that each of `num_moved` directions has when they are shifted together.

    >>> mix_steps(9, 1), mix_steps(9, 2), mix_steps(9, 3), mix_steps(3, 2)
    ([0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 2, 4, 6, 8], [2, 4, 6], [0, 1, 2])
    """
    half, last = num_steps // 2, num_steps - 1
    halves = {half // 2, half, last - half // 2}
    if num_moved < 2:
        return list(range(num_steps))
    return sorted(halves | {0, last}) if num_moved == 2 else sorted(halves)


def mix_groups(num_mixed: int) -> list[tuple[int, ...]]:
    """Return every subset of two or more of `num_mixed` directions.

    >>> mix_groups(3)
    [(0, 1), (0, 2), (1, 2), (0, 1, 2)]
    """
    return list(chain.from_iterable(combinations(range(num_mixed), size) for size in range(2, num_mixed + 1)))


def num_mixed_frames(num_mixed: int, num_steps: int) -> int:
    """Return how many frames per seed mixing `num_mixed` directions takes.

    >>> [num_mixed_frames(num_mixed, 9) for num_mixed in range(7)]
    [0, 0, 16, 56, 144, 352, 896]
    """
    shifts = {size: len(mix_steps(num_steps, size)) - 1 for size in range(2, num_mixed + 1)}
    return sum(comb(num_mixed, size) * count**size for size, count in shifts.items())


def largest_mix(num_directions: int, num_seeds: int, num_steps: int, *, max_frames: int) -> int:
    """Return how many of `num_directions` can be mixed with at most `max_frames` frames of all seeds; 0 for none.

    >>> largest_mix(10, 6, 9, max_frames=2500), largest_mix(10, 6, 9, max_frames=90), largest_mix(1, 1, 9, max_frames=9)
    (5, 0, 0)
    """
    most = min(num_directions, MOST_MIXED)
    fitting = (size for size in range(2, most + 1) if num_seeds * num_mixed_frames(size, num_steps) <= max_frames)
    return max(fitting, default=0)


def draw_mixed(
    generate: Generate,
    codes: Tensor,
    directions: LatentDirections,
    *,
    indices: Sequence[int],
    extent: float,
    num_steps: int,
    layers: Sequence[int] | None = None,
    batch_size: int = 16,
    max_size_px: int | None = None,
) -> MixedFrames:
    """Draw every mix of the directions `indices`; for the other arguments see `frames.traverse`.

    Raises:
        InvalidArgumentError: fewer than two or more than `MOST_MIXED` directions were given.
    """
    if not 2 <= len(indices) <= MOST_MIXED:
        raise InvalidArgumentError(f"{len(indices)} directions cannot be mixed; give 2 to {MOST_MIXED}")
    values = step_values(extent, num_steps)
    frames = {}
    for group in mix_groups(len(indices)):
        amounts = [values[step] for step in mix_steps(num_steps, len(group)) if values[step] != 0]
        frames[group] = traverse_lattice(
            generate,
            codes,
            directions,
            indices=[indices[place] for place in group],
            amounts=amounts,
            layers=layers,
            batch_size=batch_size,
            max_size_px=max_size_px,
        )
    return MixedFrames(num_mixed=len(indices), frames=frames)
