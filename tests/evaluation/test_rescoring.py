import json
from typing import Any

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.matching import recovery
from ganspace_topdis.evaluation.rescoring import (
    LARGEST_EXTENT,
    OWN_CHANGE,
    noise_floor,
    num_rescored_images,
    oracle,
    rescore,
)
from ganspace_topdis.latent.directions import Directions

MIXING = torch.nn.functional.normalize(torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [1.0, 1.0, -2.0]]))


def with_vectors(directions: Directions, vectors: torch.Tensor) -> Directions:
    return Directions(
        vectors=vectors, dual_vectors=vectors, mean=directions.mean, span=directions.span, scales=directions.scales
    )


def test_the_true_directions_score_near_one(toy: Any, codes: torch.Tensor, true_directions: Directions) -> None:
    scores = rescore(toy.generate, toy.read, codes, true_directions)
    assert scores.mean_share > 0.999
    assert scores.mean_spearman > 0.999
    assert max(scores.off_target) < 1e-3


def test_each_factor_is_matched_to_its_direction(toy: Any, codes: torch.Tensor, true_directions: Directions) -> None:
    turned = with_vectors(true_directions, true_directions.vectors[[2, 0, 1]])
    assert rescore(toy.generate, toy.read, codes, turned).direction == [1, 2, 0]


def test_mixed_directions_score_less(toy: Any, codes: torch.Tensor, true_directions: Directions) -> None:
    mixed = with_vectors(true_directions, MIXING @ true_directions.vectors)
    assert rescore(toy.generate, toy.read, codes, mixed).mean_share < 0.75


def test_a_factor_without_a_direction_has_no_share(toy: Any, codes: torch.Tensor, true_directions: Directions) -> None:
    scores = rescore(toy.generate, toy.read, codes, with_vectors(true_directions, true_directions.vectors[:1]))
    assert scores.share == pytest.approx([1, 0, 0], abs=1e-3)
    assert json.loads(json.dumps(scores.as_dict(), allow_nan=False))["off_target"][1:] == [None, None]


def test_the_oracle_finds_the_true_directions_of_every_kind(toy: Any) -> None:
    codes = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0))
    assert recovery(oracle(toy.generate, toy.read, codes).vectors, toy.rotation).worst > 0.98


def test_the_noise_floor_grows_with_the_noise(toy: Any, codes: torch.Tensor) -> None:
    assert noise_floor(toy.generate, toy.read, codes, noise=0.0) == [0, 0, 0]
    floor = noise_floor(toy.generate, toy.read, codes)
    assert 0 < min(floor) < max(floor) < 0.2
    assert noise_floor(toy.generate, toy.read, codes, batch_size=7) == pytest.approx(floor, rel=0.3)


def test_scores_are_per_standard_deviation_whatever_the_units(
    toy: Any, codes: torch.Tensor, true_directions: Directions
) -> None:
    plain = rescore(toy.generate, toy.read, codes, true_directions)
    calibrated = rescore(toy.generate, toy.read, codes, true_directions.calibrated([0.3, 2.0, 1.0]))
    assert calibrated.own_change == pytest.approx(plain.own_change, rel=1e-4)
    assert calibrated.extent == pytest.approx(plain.extent, rel=1e-4)


@pytest.mark.parametrize("length", [0.2, 1.0, 3.0])
def test_the_share_does_not_depend_on_the_length_of_a_direction(
    toy: Any, codes: torch.Tensor, true_directions: Directions, length: float
) -> None:
    mixed = MIXING @ true_directions.vectors
    expected = rescore(toy.generate, toy.read, codes, with_vectors(true_directions, mixed))
    found = rescore(toy.generate, toy.read, codes, with_vectors(true_directions, length * mixed))
    assert found.mean_share == pytest.approx(expected.mean_share, rel=0.02)
    assert found.extent[0] == pytest.approx(expected.extent[0] / length, rel=0.05)


def test_a_direction_moves_until_its_own_factor_has_changed_enough(
    toy: Any, codes: torch.Tensor, true_directions: Directions
) -> None:
    for own_change in (0.2, OWN_CHANGE):
        found = rescore(toy.generate, toy.read, codes, true_directions, own_change=own_change)
        own = [found.matrix[row][place] for place, row in enumerate(found.direction) if row is not None]
        assert own == pytest.approx([own_change] * 3, rel=0.1)


def test_directions_need_not_be_orthogonal(toy: Any, codes: torch.Tensor, true_directions: Directions) -> None:
    vectors = true_directions.vectors
    near = with_vectors(true_directions, torch.stack([vectors[0], vectors[1] + 0.3 * vectors[0], vectors[2]]))
    found = rescore(toy.generate, toy.read, codes, near)
    assert found.direction == [0, 1, 2]
    assert found.share[0] > 0.99 > 0.9 > found.share[1]


def test_a_direction_of_nothing_takes_the_longest_path_and_its_own_change_is_none(
    toy: Any, codes: torch.Tensor, true_directions: Directions
) -> None:
    vectors = true_directions.vectors.clone()
    vectors[1] *= 1e-4
    found = rescore(toy.generate, toy.read, codes, with_vectors(true_directions, vectors))
    assert found.extent[1] == LARGEST_EXTENT
    assert found.own_change[1] < 1e-3
    assert found.own_change[0] > 0.3
    assert found.columns()["own_change"] == found.own_change


@pytest.mark.parametrize("num_codes", [20, 60])
def test_the_images_of_a_rescoring_are_as_many_as_a_plan_counts(
    toy: Any, codes: torch.Tensor, true_directions: Directions, num_codes: int
) -> None:
    made = []

    def generate(chunk: torch.Tensor) -> torch.Tensor:
        made.append(len(chunk))
        return toy.generate(chunk)

    rescore(generate, toy.read, codes[:num_codes], true_directions)
    assert sum(made) == num_rescored_images(3, num_codes)


def test_an_own_change_of_nothing_is_refused(toy: Any, codes: torch.Tensor, true_directions: Directions) -> None:
    with pytest.raises(InvalidArgumentError, match="above 0"):
        rescore(toy.generate, toy.read, codes, true_directions, own_change=0.0)
