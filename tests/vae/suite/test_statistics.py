import itertools

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.suite.results import CellResult
from vae.suite.statistics import bootstrap_interval, compare, correlate, summarize


def cell(method: str, variant: str, seed: int, score: float | None, **more: float) -> CellResult:
    scores = {**({} if score is None else {"mig": score}), **more}
    state = "failed" if score is None else "finished"
    return CellResult(labels={"method": method, "variant": variant}, seed=seed, scores=scores, state=state)


def table(plain: list[float | None], topdis: list[float | None], method: str = "beta-VAE") -> list[CellResult]:
    return [
        *(cell(method, "plain", seed, score) for seed, score in enumerate(plain)),
        *(cell(method, "TopDis", seed, score) for seed, score in enumerate(topdis)),
    ]


def test_a_summary_is_the_sample_mean_and_the_deviation_with_n_minus_one() -> None:
    [summary] = summarize([cell("a", "plain", seed, score) for seed, score in enumerate((1.0, 2.0, 6.0))], "mig")
    assert summary.mean == 3.0
    assert summary.std == pytest.approx(np.std([1, 2, 6], ddof=1))


def test_a_failed_cell_stays_in_the_count_and_not_in_the_mean() -> None:
    plain, _ = summarize(table([0.1, None, 0.3], [None, None, None]), "mig")
    assert (plain.num_cells, sorted(plain.values)) == (3, [0, 2])
    assert plain.mean == pytest.approx(0.2)


def test_a_setting_without_any_score_has_neither_mean_nor_deviation() -> None:
    _, topdis = summarize(table([0.1], [None]), "mig")
    assert topdis.mean is None
    assert topdis.std is None
    assert topdis.num_cells == 1


def test_a_score_that_is_not_finite_counts_as_missing() -> None:
    [summary] = summarize([cell("a", "plain", 0, float("nan")), cell("a", "plain", 1, 0.5)], "mig")
    assert summary.values == {1: 0.5}


def test_differences_are_paired_by_seed_and_not_by_order() -> None:
    records = table([0.1, 0.5, 0.9], [0.2, 0.6, 1.0])
    [difference] = compare(records[::-1], "mig", axis="variant", baseline="plain")
    assert list(difference.values.values()) == pytest.approx([0.1, 0.1, 0.1])
    assert (difference.num_higher, difference.num_lower) == (3, 0)


def test_a_pair_with_one_missing_score_is_asked_for_but_not_counted() -> None:
    [difference] = compare(table([0.1, None, 0.2], [0.3, 0.4, None]), "mig", axis="variant", baseline="plain")
    assert difference.num_pairs_requested == 3
    assert list(difference.values.values()) == pytest.approx([0.2])
    assert difference.interval is None


def test_a_constant_shift_of_every_pair_gives_an_interval_of_no_width() -> None:
    before = [0.1, 0.5, 0.9, 0.2, 0.3]
    [difference] = compare(table(before, [score + 0.25 for score in before]), "mig", axis="variant", baseline="plain")
    assert difference.interval == pytest.approx((0.25, 0.25))


def test_fewer_than_five_pairs_have_no_interval() -> None:
    before = [0.1, 0.5, 0.9, 0.2]
    [difference] = compare(table(before, [score + 0.25 for score in before]), "mig", axis="variant", baseline="plain")
    assert difference.interval is None


def test_all_settings_together_come_after_each_setting_by_itself() -> None:
    records = table([0.0, 0.0], [0.1, 0.3]) + table([0.0, 0.0], [0.5, 0.7], "FactorVAE")
    by_itself = compare(records, "mig", axis="variant", baseline="plain")
    assert [difference.mean for difference in by_itself] == pytest.approx([0.2, 0.6, 0.4])
    assert by_itself[-1].setting == ()
    assert by_itself[-1].num_pairs_requested == 4


def test_a_baseline_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="no label 'none'"):
        compare(table([0.1], [0.2]), "mig", axis="variant", baseline="none")


def test_the_interval_of_three_values_is_their_range() -> None:
    assert bootstrap_interval([[-1.0, 0.5, 4.0]]) == (-1.0, 4.0)


def test_the_interval_comes_close_to_the_exact_bootstrap_of_five_values() -> None:
    values = [0.0, 0.1, 0.4, 0.7, 1.5]
    exact = np.quantile([np.mean(draw) for draw in itertools.product(values, repeat=5)], [0.025, 0.975])
    assert bootstrap_interval([values], num_resamples=40_000) == pytest.approx(tuple(exact), abs=0.03)


def test_the_interval_of_many_values_agrees_with_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap_interval([values]) or (0, 0)
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_groups_are_resampled_within_themselves() -> None:
    assert bootstrap_interval([[0.0, 0.0, 0.0], [9.0, 9.0, 9.0]]) == (4.5, 4.5)


def test_no_interval_is_made_up_from_single_values() -> None:
    assert bootstrap_interval([[1.0], [2.0]]) is None
    assert bootstrap_interval([[]]) is None


def test_correlations_are_of_ranks_and_nan_without_spread_or_cells() -> None:
    records = [cell("a", "plain", seed, seed**3, dci=seed, flat=1.0) for seed in range(4)]
    records.append(cell("a", "plain", 4, 99.0, rare=1.0))
    matrix = correlate(records, ["mig", "dci", "flat", "rare"])
    assert matrix[0, 1] == pytest.approx(1.0)
    assert np.isnan(matrix[2]).all()
    assert np.isnan(matrix[3]).all()
