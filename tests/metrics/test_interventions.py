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
    assert np.bincount(drawn.ravel(), minlength=4) / 4000 == pytest.approx([1 / 4] * 4, abs=0.03)


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


# Constant latents and rare values


@pytest.mark.parametrize("constant", [0.1, 0.3, 7.77, 661.8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_latent_is_never_live_however_its_variance_is_rounded(constant: float, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, size, 2000) for size in (4, 5)], axis=1)
    codes = np.column_stack([np.full(2000, constant), factors + 0.1 * rng.standard_normal((2000, 2))]).astype(dtype)
    assert factor_vae_score(codes, factors, min_std=0, num_train=200, num_test=100) == 1.0
    assert irs(codes[:, :1], factors) == 0.0
    assert irs(codes, factors) == pytest.approx(irs(codes[:, 1:], factors), abs=1e-6)


def test_a_value_is_held_as_often_as_it_occurs() -> None:
    labels = np.array([0] * 900 + [1] * 100)
    table = FactorTable(np.arange(1000.0)[:, None], np.stack([labels, np.arange(1000) % 2], axis=1))
    held = table.draw_holding(np.zeros(4000, dtype=np.int64), 8, np.random.default_rng(0))
    assert (labels[held] == labels[held[:, :1]]).all()
    assert labels[held[:, 0]].mean() == pytest.approx(0.1, abs=0.02)
    first, second = table.draw_pairs(np.zeros(500, dtype=np.int64), 8, np.random.default_rng(0))
    assert (labels[first] == labels[second]).all()
    assert labels[first].mean() == pytest.approx(0.1, abs=0.02)


def test_rare_values_cost_a_perfect_code_nothing_in_any_order_of_its_latents() -> None:
    rng = np.random.default_rng(0)
    bells = rng.standard_t(3, size=(5000, 3))
    assert factor_vae_score(bells, bells) > 0.99
    rare = np.stack([rng.integers(0, 5, 5000), rng.integers(0, 5, 5000), rng.integers(0, 5, 5000)], axis=1)
    rare[:20, 2] = np.arange(10, 30)
    codes = rare / [1, 1, 5]
    assert min(factor_vae_score(codes, rare), factor_vae_score(codes[:, ::-1], rare)) > 0.99


def test_irs_does_not_depend_on_the_spelling_of_text() -> None:
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, 40, 900), rng.integers(0, 3, 900)], axis=1)
    codes = factors + 0.1 * rng.standard_normal(factors.shape)
    names, order = np.array([f"v{index:02d}" for index in range(40)]), rng.permutation(40)
    spelled = [
        irs(codes, np.column_stack([names[index], factors[:, 1].astype(str)]))
        for index in (factors[:, 0], order[factors[:, 0]])
    ]
    assert spelled[0] == pytest.approx(spelled[1], abs=1e-12)


def test_training_points_of_a_single_factor_are_refused() -> None:
    factors = np.array([[i, j] for i in range(3) for j in range(3)])
    with pytest.raises(InvalidArgumentError, match="num_train 1 drew a single factor"):
        beta_vae_score(factors.astype(float), factors, num_train=1)
    with pytest.raises(InvalidArgumentError, match="`seed` is -1"):
        factor_vae_score(factors.astype(float), factors, seed=-1)
