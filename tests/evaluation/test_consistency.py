import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.consistency import agreement, agreement_of_each, effect_sizes
from ganspace_topdis.latent.directions import Directions


def test_a_set_agrees_with_its_own_permutation(true_directions: Directions) -> None:
    assert agreement([true_directions, true_directions.select([2, 0, 1])]) == pytest.approx(1, abs=1e-6)


def test_one_seed_has_nobody_to_agree_with(true_directions: Directions) -> None:
    with pytest.raises(InvalidArgumentError, match="two seeds"):
        agreement([true_directions])


def test_each_direction_agrees_with_its_own_match(true_directions: Directions) -> None:
    two_of_them = true_directions.select([2, 0])
    each = agreement_of_each(true_directions, [true_directions.select([1, 2, 0]), two_of_them])
    assert each == pytest.approx((1, 0.5, 1), abs=1e-6)
    with pytest.raises(InvalidArgumentError, match="one other seed"):
        agreement_of_each(true_directions, [])


def test_the_effect_of_a_linear_map_is_its_gain(true_directions: Directions, codes: torch.Tensor) -> None:
    def features(batch: torch.Tensor) -> torch.Tensor:
        return (batch @ true_directions.vectors.T)[:, :1] * 5

    sizes = effect_sizes(features, true_directions, codes, amount_sigma=-2.0)
    assert sizes == pytest.approx((5, 0, 0), abs=1e-4)
