import pytest
import torch

from ganspace_topdis.discovery.baselines import unit_directions
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.matching import image_changes, match_changes, match_displacements

CODES = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
ORDER, SIGNS = [3, 0, 4, 1, 2], torch.tensor([1.0, -1.0, -1.0, 1.0, 1.0])


def sets():
    return unit_directions(torch.eye(5), CODES), unit_directions(torch.eye(5)[ORDER] * SIGNS[:, None], CODES)


def changes(directions, generate=torch.sin):
    return image_changes(generate, directions, CODES, batch_size=7)


@pytest.mark.parametrize(
    "match", [match_displacements, lambda a, b: match_changes(changes(a, lambda c: c), changes(b, lambda c: c))]
)
def test_a_reordered_and_flipped_set_is_matched_to_the_first(match):
    matching = match(*sets())
    assert matching.partner == tuple(ORDER.index(k) for k in range(5))
    assert matching.sign == tuple(int(SIGNS[place]) for place in matching.partner)
    assert matching.mean == pytest.approx(1, abs=1e-5)


def test_image_changes_are_those_of_one_standard_deviation():
    first, _ = sets()
    expected = torch.sin(first.move(CODES, 2, 1.0)) - torch.sin(CODES)
    assert torch.allclose(changes(first)[2], expected)


def test_directions_that_change_images_alike_match_whatever_their_codes_are():
    first, _ = sets()
    wide = unit_directions(torch.eye(10)[:5], torch.cat([CODES, CODES], dim=1))
    matching = match_changes(
        changes(first), image_changes(lambda c: torch.sin(c[:, :5]), wide, torch.cat([CODES, CODES], dim=1))
    )
    assert matching.partner == (0, 1, 2, 3, 4)
    with pytest.raises(InvalidArgumentError, match="5 and 10"):
        match_displacements(first, wide)


def test_without_enough_partners_the_rest_has_none():
    first, second = sets()
    matching = match_displacements(first, second.select([0, 1]))
    assert sorted(matching.partner) == [-1, -1, -1, 0, 1]
    assert matching.mean == pytest.approx(0.4)


def test_changes_of_other_images_are_refused():
    with pytest.raises(InvalidArgumentError, match="not of the same images"):
        match_changes(torch.zeros(2, 3, 4), torch.zeros(2, 3, 5))
