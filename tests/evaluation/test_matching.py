import pytest
import torch

from ganspace_topdis.discovery.baselines import unit_directions
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.matching import (
    agreement,
    agreement_of_each,
    coordinate_recovery,
    effect_sizes,
    image_changes,
    match_changes,
    match_displacements,
    recovery,
)
from ganspace_topdis.latent.directions import Directions

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
    assert matching.mean == pytest.approx(1)  # of the two that have one


def test_changes_of_other_images_are_refused():
    with pytest.raises(InvalidArgumentError, match="not of the same images"):
        match_changes(torch.zeros(2, 3, 4), torch.zeros(2, 3, 5))


def test_order_sign_and_length_do_not_count() -> None:
    true = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0]
    found = recovery(-3 * true[[2, 0, 3, 1]], true)
    assert found.worst == pytest.approx(1)
    assert found.matched == (1, 3, 0, 2)


def test_a_missing_direction_counts_as_zero() -> None:
    found = recovery(torch.tensor([[1.0, 0.0]]), torch.eye(2))
    assert found.cosines == (1.0, 0.0)
    assert found.as_dict()["matched"] == (0, -1)


@pytest.mark.parametrize("found", [torch.zeros(2, 2), torch.full((1, 2), torch.nan), torch.ones(2, 3)])
def test_directions_without_direction_are_refused(found: torch.Tensor) -> None:
    with pytest.raises(InvalidArgumentError):
        recovery(found, torch.eye(2))


def test_coordinates_match_up_to_sign_scale_and_offset() -> None:
    true = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    found = coordinate_recovery(2 - 3 * true[:, [1, 2, 0]], true)
    assert found.worst == pytest.approx(1)
    assert found.matched == (2, 0, 1)


def test_coordinates_of_other_codes_or_without_variation_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"\(n, K\)"):
        coordinate_recovery(torch.zeros(4, 2), torch.zeros(5, 2))
    with pytest.raises(InvalidArgumentError, match="the same for all codes"):
        coordinate_recovery(torch.ones(4, 2), torch.ones(4, 2))


def test_a_set_agrees_with_its_own_permutation(true_directions: Directions) -> None:
    assert agreement([true_directions, true_directions.select([2, 0, 1])]) == pytest.approx(1, abs=1e-6)


def test_sets_of_different_sizes_agree_in_either_order(true_directions: Directions) -> None:
    some = true_directions.select([0, 1])
    for sets in ([true_directions, some], [some, true_directions]):
        assert agreement(sets) == pytest.approx(1, abs=1e-6)


def test_one_seed_has_nobody_to_agree_with(true_directions: Directions) -> None:
    with pytest.raises(InvalidArgumentError, match="two seeds"):
        agreement([true_directions])


def test_each_direction_agrees_with_its_own_match(true_directions: Directions) -> None:
    two_of_them = true_directions.select([2, 0])
    each = agreement_of_each(true_directions, [true_directions.select([1, 2, 0]), two_of_them])
    assert each == pytest.approx((1, 1, 1), abs=1e-6)  # without a partner in a set, that set does not count
    assert agreement_of_each(true_directions, [two_of_them])[1] is None
    with pytest.raises(InvalidArgumentError, match="one other seed"):
        agreement_of_each(true_directions, [])


def test_the_effect_of_a_linear_map_is_its_gain(true_directions: Directions, codes: torch.Tensor) -> None:
    def features(batch: torch.Tensor) -> torch.Tensor:
        return (batch @ true_directions.vectors.T)[:, :1] * 5

    sizes = effect_sizes(features, true_directions, codes, amount_sigma=-2.0)
    assert sizes == pytest.approx((5, 0, 0), abs=1e-4)


def test_changes_in_half_precision_are_matched_as_in_single_precision():
    first = torch.randn(3, 5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    first[0] = 0
    half = match_changes(first.half(), first.half())
    assert half.similarity == pytest.approx(match_changes(first, first).similarity, abs=1e-3)
    with pytest.raises(InvalidArgumentError, match="changes are not finite"):
        match_changes(first * float("nan"), first)


def test_a_constant_coordinate_is_refused_however_its_mean_is_rounded():
    constant = torch.stack([torch.randn(1000), torch.full((1000,), 0.1)], dim=1)
    with pytest.raises(InvalidArgumentError, match="a coordinate is the same for all codes"):
        coordinate_recovery(constant, torch.randn(1000, 2))
    whole = torch.arange(10)[:, None]
    assert coordinate_recovery(whole, whole).mean == pytest.approx(1)


def test_no_true_directions_are_refused():
    with pytest.raises(InvalidArgumentError, match="no true directions"):
        recovery(torch.eye(3), torch.zeros(0, 3))
