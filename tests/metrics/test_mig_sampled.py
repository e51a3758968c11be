import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.mig_sampled import mig_sampled

GRID = np.array([[i, j] for i in range(4) for j in range(4)], dtype=float)


def test_a_sharp_code_of_each_factor_scores_one() -> None:
    assert mig_sampled(10 * GRID, np.full((16, 2), -4.0), (4, 4), num_samples=2000) == pytest.approx(1, abs=0.02)


def test_a_blurred_code_knows_what_numerical_integration_says() -> None:
    means = np.arange(4.0)
    z = np.linspace(-8, 11, 20001)
    density = np.exp(-0.5 * (z[:, None] - means) ** 2).mean(axis=1) / np.sqrt(2 * np.pi)
    information = -(density * np.log(density)).sum() * (z[1] - z[0]) - 0.5 * np.log(2 * np.pi * np.e)
    score = mig_sampled(means[:, None], np.zeros((4, 1)), (4,), num_samples=200_000)
    assert score == pytest.approx(information / np.log(4), abs=0.01)


def test_only_the_chosen_factors_count() -> None:
    codes = np.hstack([10 * GRID[:, :1], np.zeros((16, 1))])
    variances = np.full((16, 2), -4.0)
    assert mig_sampled(codes, variances, (4, 4), factors=[0], num_samples=500) > 0.9
    assert mig_sampled(codes, variances, (4, 4), factors=[1], num_samples=500) < 0.1


def test_factors_that_do_not_vary_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="none"):
        mig_sampled(GRID, np.zeros((16, 2)), (1, 16), factors=[0])
