from typing import Any

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import edi, infomec, mig, mig_sampled, modularity
from ganspace_topdis.metrics.estimators import discretize, entropy, knn_information, mutual_information
from ganspace_topdis.metrics.normalized_information import live_latents

GRID = np.array([[i, j] for i in range(4) for j in range(4)], dtype=float)


def test_a_variable_informs_on_itself_and_on_nothing_independent() -> None:
    a, b = np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4)
    assert mutual_information(a, a) == pytest.approx(entropy(a)) == pytest.approx(np.log(4))
    assert mutual_information(a, b) == pytest.approx(0, abs=1e-12)


def test_bins_run_from_the_smallest_to_the_largest_value() -> None:
    assert discretize(np.linspace(0, 1, 21)[:, None], 4)[[0, 5, 20], 0].tolist() == [1, 2, 4]


def test_a_constant_latent_falls_into_one_bin() -> None:
    assert len(np.unique(discretize(np.ones((5, 1))))) == 1


def test_one_bin_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="num_bins"):
        discretize(np.eye(2), 1)


@pytest.mark.parametrize(("num_values", "num_points"), [(2, 300), (7, 2000)])
def test_neighbor_information_of_labels_is_scikit_learns(num_values: int, num_points: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_values, num_points)
    latent = rng.normal(size=num_points) + 0.5 * labels
    expected = mutual_info_classif(latent[:, None], labels, discrete_features=False, n_neighbors=10, random_state=0)
    ours = knn_information(latent / latent.std(), labels, 10, discrete=True)
    assert ours == pytest.approx(expected[0], abs=1e-9)


def test_neighbor_information_of_few_points_per_label_is_that_of_a_plain_loop() -> None:
    from scipy.special import digamma

    rng = np.random.default_rng(1)
    latent, labels = rng.normal(size=90), rng.integers(0, 30, 90)
    known = np.bincount(labels)[labels] > 1
    latent, labels, terms = latent[known], labels[known], []
    for i, (value, label) in enumerate(zip(latent, labels, strict=True)):
        same = np.sort(np.abs(np.delete(latent, i)[np.delete(labels, i) == label] - value))
        k = min(5, len(same))
        nearer = np.count_nonzero(np.abs(latent - value) < same[k - 1])
        terms.append(digamma(k) - digamma(len(same) + 1) - digamma(nearer))
    expected = max(0, digamma(len(latent)) + np.mean(terms))
    assert knn_information(latent, labels, 5, discrete=True) == pytest.approx(expected, abs=1e-12)


def test_neighbor_information_of_numbers_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 1500))
    y = x + noise
    expected = mutual_info_regression(x[:, None], y, discrete_features=False, n_neighbors=3, random_state=0)[0]
    assert knn_information(x / x.std(), y / y.std(), 3, discrete=False) == pytest.approx(expected, abs=1e-9)


def test_neighbor_information_of_two_gaussians_is_near_its_closed_form() -> None:
    x, noise = np.random.default_rng(0).normal(size=(2, 20_000))
    y = 0.8 * x + 0.6 * noise
    assert knn_information(x, y, 10, discrete=False) == pytest.approx(-0.5 * np.log(1 - 0.64), abs=0.02)


def test_more_neighbors_than_points_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="neighbors"):
        knn_information(np.arange(5.0), np.arange(5) % 2, 5, discrete=True)


def test_mig_is_the_references(varying_case: Any) -> None:
    assert mig(*varying_case.train) == pytest.approx(varying_case.scores["mig"]["discrete_mig"], abs=1e-9)


def test_mig_drops_a_constant_factor() -> None:
    grid = np.array([[i, 0, j] for i in range(4) for j in range(5)])
    assert mig(grid.astype(float), grid) == pytest.approx(1.0)


def test_a_latent_twice_has_no_gap() -> None:
    factor = np.arange(40)[:, None] % 4
    assert mig(np.hstack([factor, factor]).astype(float), factor) == pytest.approx(0.0)


def test_modularity_is_the_references(varying_case: Any) -> None:
    expected = varying_case.scores["modularity_explicitness"]["modularity_score"]
    assert modularity(*varying_case.train) == pytest.approx(expected, abs=1e-9)


def test_dead_latents_count_as_zero_in_modularity() -> None:
    assert modularity(np.hstack([GRID, np.zeros((16, 2))]), GRID) == pytest.approx(0.5)


def test_a_sharp_sampled_code_of_each_factor_scores_one() -> None:
    assert mig_sampled(10 * GRID, np.full((16, 2), -4.0), (4, 4), num_samples=2000) == pytest.approx(1, abs=0.02)


def test_sampled_mig_of_rows_in_any_order_is_that_of_the_grid() -> None:
    order = np.random.default_rng(0).permutation(16)
    variances = np.full((16, 2), -1.0)
    shuffled = mig_sampled(2 * GRID[order], variances, GRID[order], num_samples=20_000)
    assert shuffled == pytest.approx(mig_sampled(2 * GRID, variances, (4, 4), num_samples=20_000), abs=0.02)


def test_images_without_a_label_take_no_part_in_the_sampled_mig() -> None:
    means, log_variances = 2.0 * GRID, np.linspace(-3, -1, 32).reshape(16, 2)
    factors = GRID.astype(float)
    factors[5, 1] = np.nan
    known = np.arange(16) != 5
    left_out = mig_sampled(means[known], log_variances[known], GRID[known], num_samples=500)
    assert mig_sampled(means, log_variances, factors, num_samples=500) == left_out


def test_the_information_of_a_blurred_code_is_that_of_numerical_integration() -> None:
    means = np.arange(4.0)
    z = np.linspace(-8, 11, 20001)
    density = np.exp(-0.5 * (z[:, None] - means) ** 2).mean(axis=1) / np.sqrt(2 * np.pi)
    information = -(density * np.log(density)).sum() * (z[1] - z[0]) - 0.5 * np.log(2 * np.pi * np.e)
    score = mig_sampled(means[:, None], np.zeros((4, 1)), (4,), num_samples=200_000)
    assert score == pytest.approx(information / np.log(4), abs=0.01)


def test_values_of_a_factor_count_by_how_frequent_they_are_in_the_sampled_mig() -> None:
    values = np.repeat([0, 1], [90, 10])[:, None]
    sharp = mig_sampled(10.0 * values, np.full((100, 1), -4.0), values, num_samples=20_000)
    assert sharp == pytest.approx(1, abs=0.03)
    means = 1.5 * values
    z = np.linspace(-9, 11, 20001)
    density = np.exp(-0.5 * (z[:, None] - [0, 1.5]) ** 2) @ [0.9, 0.1] / np.sqrt(2 * np.pi)
    information = -(density * np.log(density)).sum() * (z[1] - z[0]) - 0.5 * np.log(2 * np.pi * np.e)
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
    blurred = mig_sampled(means, np.zeros((100, 1)), values, num_samples=400_000)
    assert blurred == pytest.approx(information / entropy, abs=0.01)


def test_only_the_chosen_factors_count_in_sampled_mig() -> None:
    codes = np.hstack([10 * GRID[:, :1], np.zeros((16, 1))])
    variances = np.full((16, 2), -4.0)
    assert mig_sampled(codes, variances, (4, 4), which=[0], num_samples=500) > 0.9
    assert mig_sampled(codes, variances, (4, 4), which=[1], num_samples=500) < 0.1


def test_sampled_mig_refuses_factors_that_do_not_vary() -> None:
    with pytest.raises(InvalidArgumentError, match="none"):
        mig_sampled(GRID, np.zeros((16, 2)), (1, 16), which=[0])


def test_the_two_definitions_of_a_live_latent_differ_on_a_latent_of_rare_spikes() -> None:
    rng = np.random.default_rng(0)
    spikes = np.zeros(1000)
    spikes[:5] = 10
    codes = np.stack([rng.normal(size=1000), spikes, np.zeros(1000)], axis=1)
    assert live_latents(codes, "range").tolist() == [True, True, False]
    assert live_latents(codes, "iqr").tolist() == [True, False, False]


def test_one_live_latent_has_neither_modularity_nor_compactness() -> None:
    factors = np.random.default_rng(0).integers(0, 4, size=(300, 2))
    codes = np.hstack([factors[:, :1].astype(float), np.zeros((300, 2))])
    scores = infomec(codes, factors)
    assert (scores.modularity, scores.compactness) == (0, 0)
    assert 0 < scores.explicitness < 0.6


def test_quantized_codes_take_the_plug_in_estimate() -> None:
    factors = np.random.default_rng(0).integers(0, 4, size=(2000, 2))
    scores = infomec(factors / 4, factors, discrete_latents=True)
    assert min(scores.modularity, scores.compactness, scores.explicitness) > 0.98


def test_unknown_definitions_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="range or iqr"):
        infomec(GRID, GRID.astype(int), live="std", num_neighbors=2)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="network, max or sum"):
        edi(GRID, GRID.astype(int), joint="mine")  # type: ignore[arg-type]


def test_the_factors_to_average_over_are_counted_as_given_constant_ones_included() -> None:
    rng = np.random.default_rng(0)
    varying = rng.integers(0, 4, (500, 3))
    factors = np.c_[np.zeros(500, int), varying]
    means = np.c_[varying[:, 0] + 0.01 * rng.normal(size=500), rng.normal(size=(500, 2))]
    log_variances = np.full(means.shape, -4.0)
    scores = [mig_sampled(means, log_variances, factors, which=[k], num_samples=500) for k in (1, 3)]
    assert scores[0] > 0.9 > 0.1 > scores[1]
    with pytest.raises(InvalidArgumentError, match="none of them varies"):
        mig_sampled(means, log_variances, factors, which=[0], num_samples=500)
    with pytest.raises(InvalidArgumentError, match=r"which \[4\] is not allowed; the factors are 0 to 3"):
        mig_sampled(means, log_variances, factors, which=[4], num_samples=500)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_latent_that_is_constant_up_to_rounding_leaves_the_score_as_it_is(dtype: type) -> None:
    factors = np.random.default_rng(0).integers(0, 5, (300, 2))
    spacing = np.spacing(dtype(0.37))
    for collapsed in (dtype(0.37) + spacing * (np.arange(300) % 5).astype(dtype), np.full(300, 1e20, dtype)):
        codes = np.c_[factors.astype(dtype), collapsed]
        assert codes.dtype == dtype
        assert mig(codes, factors) == pytest.approx(mig(factors.astype(dtype), factors), abs=0.05)


def test_values_that_only_one_part_of_the_rows_has_are_no_information() -> None:
    rng = np.random.default_rng(0)
    factors, codes = np.zeros((900, 2), dtype=int), rng.standard_normal((900, 3))
    factors[:, 0] = rng.integers(0, 2, 900)
    factors[np.random.default_rng(0).permutation(900)[0], 1] = 1  # the first row of those held out with seed 0
    assert edi(codes, factors, seed=0).explicitness < 0.05


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"num_samples": 0}, "num_samples 0"),
        ({"max_components": -1}, "max_components -1"),
        ({"seed": -1}, "`seed` is -1"),
    ],
)
def test_mig_sampled_refuses_counts_that_it_cannot_draw(wrong: dict[str, int], reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        mig_sampled(GRID, np.zeros_like(GRID), GRID.astype(int), **wrong)  # type: ignore[arg-type]


def test_mig_sampled_refuses_deviations_without_a_number() -> None:
    with pytest.raises(InvalidArgumentError, match="log_variances beyond 600"):
        mig_sampled(GRID, np.full_like(GRID, -2000.0), GRID.astype(int))
