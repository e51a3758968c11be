import json
from typing import Any

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.matching import recovery
from ganspace_topdis.evaluation.rescoring import noise_floor, oracle, rescore
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


def test_a_path_that_does_not_pass_through_the_code_is_refused(
    toy: Any, codes: torch.Tensor, true_directions: Directions
) -> None:
    with pytest.raises(InvalidArgumentError, match="middle"):
        rescore(toy.generate, toy.read, codes, true_directions, amounts=(-1.0, 1.0))
