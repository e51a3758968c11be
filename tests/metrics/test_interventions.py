from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import FactorTable, beta_vae_score, factor_vae_score, irs
from ganspace_topdis.metrics.interventions import least_varying, score_recorded_votes, score_votes

REFERENCE = Path(__file__).parent / "reference" / "codes.npz"


def test_rows_are_numbered_with_the_last_factor_fastest() -> None:
    sizes = (2, 1, 3, 4)
    table = FactorTable(np.zeros((24, 2)), sizes)
    assert table.rows(table.values).tolist() == list(range(24))


def test_a_factor_of_one_value_is_never_drawn() -> None:
    table = FactorTable(np.zeros((6, 1)), (1, 2, 3))
    assert set(table.draw_factor(100, np.random.default_rng(0)).tolist()) == {1, 2}


@pytest.mark.parametrize("name", ["num_train", "num_test", "batch_size"])
def test_counts_of_zero_are_refused(name: str) -> None:
    codes, sizes = np.arange(8.0).reshape(4, 2), (2, 2)
    for score in (beta_vae_score, factor_vae_score):
        with pytest.raises(InvalidArgumentError, match=f"{name} 0 is not allowed"):
            score(codes, sizes, **{name: 0})


@pytest.mark.parametrize("sizes", [(2, 2), (), (6, 0), (-2, -3)])
def test_sizes_that_do_not_make_the_grid_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="factor sizes"):
        FactorTable(np.zeros((6, 1)), sizes)


def test_rows_of_a_table_share_the_factor_that_is_held() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, size=(200, 3)) * 10
    table, held = FactorTable(np.zeros((200, 1)), factors), np.array([0, 1, 2, 2])
    rows = table.draw_holding(held, 16, rng)
    assert all(len(set(factors[vote, k].tolist())) == 1 for vote, k in zip(rows, held, strict=True))
    first, second = table.draw_pairs(held, 16, rng)
    assert all((factors[a, k] == factors[b, k]).all() for a, b, k in zip(first, second, held, strict=True))


def test_every_row_of_a_value_is_drawn_equally_often() -> None:
    factors = np.repeat([[0], [1]], [3, 1], axis=0)
    table = FactorTable(np.zeros((4, 1)), factors)
    drawn = table.draw_holding(np.zeros(4000, dtype=int), 1, np.random.default_rng(0))
    assert np.bincount(drawn.ravel(), minlength=4) / 4000 == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2], abs=0.03)


def test_factor_vae_with_own_draws_is_near_the_references(varying_case: Any) -> None:
    expected = varying_case.scores["factor_vae"]["eval_accuracy"]
    assert factor_vae_score(varying_case.grid_codes, varying_case.sizes) == pytest.approx(expected, abs=0.02)
    assert factor_vae_score(*varying_case.train) == pytest.approx(expected, abs=0.03)


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


def test_a_constant_factor_changes_no_draw(load_reference: Any) -> None:
    case = load_reference("constant_factor")
    assert factor_vae_score(case.grid_codes, case.sizes) == factor_vae_score(case.grid_codes, case.sizes[1:])


def test_dead_codes_score_zero() -> None:
    assert factor_vae_score(np.zeros((16, 3)), (4, 4), min_std=0.0) == 0.0
    assert irs(np.ones((6, 2)), np.arange(6)[:, None] % 3) == 0.0


def test_a_seed_repeats_its_score() -> None:
    codes = np.random.default_rng(0).normal(size=(64, 5))
    scores = [factor_vae_score(codes, (4, 16), seed=3, num_train=300, num_test=200) for _ in range(2)]
    assert scores[0] == scores[1] < 0.9


def test_votes_without_a_test_set_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="leave votes"):
        score_votes([0, 1], [0, 1], num_train=2)


def test_beta_vae_is_near_the_references(case: Any) -> None:
    expected = case.scores["beta_vae"]["eval_accuracy"]
    assert beta_vae_score(case.grid_codes, case.sizes) == pytest.approx(expected, abs=0.02)


def test_irs_is_the_references(case: Any) -> None:
    # NumPy 1 rounds quantiles of float32 otherwise than NumPy 2
    assert irs(*case.train) == pytest.approx(case.scores["irs"]["IRS"], abs=1e-8)


def test_a_quantile_outside_its_range_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="quantile"):
        irs(np.eye(3), np.arange(3)[:, None], quantile=0)
