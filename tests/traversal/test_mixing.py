from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.mixing import draw_mixed, largest_mix, mix_groups, mix_steps, num_mixed_frames


@given(st.integers(1, 30))
def test_coarser_steps_are_among_the_finer_ones_and_keep_the_middle(half: int) -> None:
    one, two, three = (mix_steps(2 * half + 1, num_moved) for num_moved in (1, 2, 3))
    assert set(three) <= set(two) <= set(one)
    assert half in three
    assert {0, 2 * half} <= set(two)


@given(st.integers(1, 30), st.integers(1, 9))
def test_steps_are_the_same_on_both_sides(half: int, num_moved: int) -> None:
    steps = mix_steps(2 * half + 1, num_moved)
    assert steps == [2 * half - step for step in reversed(steps)]


@pytest.mark.parametrize("num_mixed", [2, 3])
def test_as_many_frames_are_drawn_as_were_counted(paint: Any, axes: Any, num_mixed: int) -> None:
    codes = torch.zeros(2, 3)
    mixed = draw_mixed(paint(), codes, axes, indices=range(num_mixed), extent=2.0, num_steps=9)
    assert list(mixed.frames) == mix_groups(num_mixed)
    assert sum(len(lattice[0]) for lattice in mixed.frames.values()) == num_mixed_frames(num_mixed, 9)
    assert {len(lattice) for lattice in mixed.frames.values()} == {2}


@given(st.integers(2, 12), st.integers(1, 8), st.integers(0, 10_000))
def test_the_largest_mix_fits_and_one_more_would_not(num_directions: int, num_seeds: int, most: int) -> None:
    chosen = largest_mix(num_directions, num_seeds, 9, max_frames=most)
    assert num_seeds * num_mixed_frames(chosen, 9) <= most
    following = max(2, chosen + 1)
    assert following > min(num_directions, 8) or num_seeds * num_mixed_frames(following, 9) > most


@pytest.mark.parametrize("indices", [[], [1], list(range(9))])
def test_too_few_and_too_many_directions_are_refused(paint: Any, axes: Any, indices: list[int]) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be mixed"):
        draw_mixed(paint(), torch.zeros(1, 3), axes, indices=indices, extent=2.0, num_steps=9)
