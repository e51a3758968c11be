"""Exact paired tests, corrections, intervals, effect sizes and power."""

import itertools

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.paired import (
    detectable_difference,
    effect_size,
    effect_size_interval,
    holm,
    mean_interval,
    sign_flip_test,
)


def by_enumeration(values):
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    return sum(each >= abs(sum(values)) - 1e-9 for each in sums) / len(sums)


@pytest.mark.parametrize("num", range(1, 12))
def test_the_sign_flip_test_is_the_share_of_all_sign_patterns(num):
    values = np.random.default_rng(num).normal(0.3, 1, num).round(2).tolist()
    assert sign_flip_test(values) == pytest.approx(by_enumeration(values), abs=1e-15)


def test_ties_count_although_rounding_separates_them():
    values = [0.1, 0.2, 0.3, -0.3, 0.1, 0.2]
    assert sign_flip_test(values) == pytest.approx(by_enumeration(values), abs=1e-15)


def test_the_smallest_p_value_is_two_sign_patterns_of_all():
    assert sign_flip_test([1.0] * 5) == 2 / 32
    assert sign_flip_test([1.0] * 30) == 2 / 2**30
    assert sign_flip_test([0.0, 0.0]) == 1


def test_many_pairs_are_estimated_close_to_the_normal_approximation():
    values = np.random.default_rng(0).normal(0, 1, 60)
    values += 0.25 - values.mean()
    from scipy.stats import norm

    normal = 2 * norm.sf(abs(values.sum()) / np.sqrt((values**2).sum()))
    assert sign_flip_test(values) == pytest.approx(normal, rel=0.05)
    assert sign_flip_test([1.0] * 60) == pytest.approx(1 / (2**20 + 1))


def test_p_values_are_uniform_when_nothing_differs():
    rng = np.random.default_rng(1)
    p_values = np.array([sign_flip_test(rng.laplace(size=9)) for _ in range(2000)])
    for level in (0.05, 0.1, 0.5):
        assert (p_values <= level).mean() == pytest.approx(level, abs=0.025)


@pytest.mark.parametrize("values", [[], [float("nan")], [[1.0]]])
def test_differences_that_are_no_numbers_are_refused(values):
    with pytest.raises(InvalidArgumentError, match="finite numbers"):
        sign_flip_test(values)


def test_holm_multiplies_by_the_number_of_p_values_left_and_stays_monotonic():
    assert holm([0.02, 0.01, 0.5, 0.04]) == pytest.approx([0.06, 0.04, 0.5, 0.08])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_no_interval_is_given_below_five_pairs():
    for function in (mean_interval, effect_size_interval):
        assert function([0.1, 0.2, 0.3, 0.4]) is None
        assert function([0.1, 0.2, 0.3, 0.4, 0.5]) is not None
    assert effect_size_interval([0.1] * 8) is None
    assert effect_size([0.1] * 8) is None


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_intervals_cover_the_truth_as_often_as_they_claim(effect):
    rng = np.random.default_rng(2)
    covered = np.zeros(2)
    for _ in range(300):
        values = rng.normal(0.2 * effect, 0.2, 8).tolist()
        for k, (function, truth) in enumerate([(mean_interval, 0.2 * effect), (effect_size_interval, effect)]):
            low, high = function(values)
            covered[k] += low <= truth <= high
    assert covered / 300 == pytest.approx([0.95, 0.95], abs=0.035)


def test_the_detectable_difference_is_detected_as_often_as_promised():
    from scipy.stats import ttest_1samp

    std, num = 0.07, 12
    rng = np.random.default_rng(3)
    samples = rng.normal(detectable_difference(std, num, power=0.8), std, (4000, num))
    assert (ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.02)
    assert detectable_difference(std, 48) < 0.5 * detectable_difference(std, num)


@pytest.mark.parametrize("arguments", [{"num_pairs": 1}, {"power": 0.05}, {"power": 1.0}, {"power": float("nan")}])
def test_a_power_that_no_difference_has_is_refused(arguments):
    with pytest.raises(InvalidArgumentError, match="must be"):
        detectable_difference(0.1, **{"num_pairs": 12, **arguments})


def test_two_pairs_detect_only_a_difference_many_times_their_deviation():
    assert detectable_difference(0.1, 2, power=0.99) > detectable_difference(0.1, 2, power=0.8) > 0.5
