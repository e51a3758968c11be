from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.factor_vae import (
    factor_vae_score,
    least_varying,
    score_recorded_votes,
    score_votes,
)

REFERENCE = Path(__file__).parent / "reference" / "codes.npz"


def test_the_score_with_own_draws_is_near_the_references(varying_case: Any) -> None:
    expected = varying_case.scores["factor_vae"]["eval_accuracy"]
    assert factor_vae_score(varying_case.grid_codes, varying_case.sizes) == pytest.approx(expected, abs=0.02)


def test_recorded_votes_give_the_references_score_exactly(case: Any) -> None:
    with np.load(REFERENCE) as file:
        variances, active = file[f"{case.name}/variances"], file[f"{case.name}/active"]
    expected = case.scores["factor_vae_trace"]["eval_acc_next_500"]
    votes = least_varying(case.grid_codes[case.vote_rows], variances, active)
    assert np.array_equal(votes, case.vote_latents)
    held = case.vote_factors
    assert score_recorded_votes(case.grid_codes, held, case.vote_rows, variances, active, 1000) == expected


def test_a_constant_factor_is_never_held() -> None:
    grid = np.array([[i, j] for i in range(4) for j in range(4)], dtype=float)
    assert factor_vae_score(grid, (4, 1, 4)) == 1.0


def test_dead_codes_score_zero() -> None:
    assert factor_vae_score(np.zeros((16, 3)), (4, 4), min_std=0.0) == 0.0


def test_a_seed_repeats_its_score() -> None:
    codes = np.random.default_rng(0).normal(size=(64, 5))
    scores = [factor_vae_score(codes, (4, 16), seed=3, num_train=300, num_test=200) for _ in range(2)]
    assert scores[0] == scores[1] < 0.9


def test_votes_without_a_test_set_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="leave votes"):
        score_votes([0, 1], [0, 1], num_train=2)


def test_own_draws_match_the_reference_on_a_grid_with_a_constant_factor_up_to_its_removal(load_reference: Any) -> None:
    case = load_reference("constant_factor")
    assert factor_vae_score(case.grid_codes, case.sizes) == factor_vae_score(case.grid_codes, case.sizes[1:])
