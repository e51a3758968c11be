"""Exact paired tests, corrections, effect sizes and verdicts."""

import itertools

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.suite.significance import (
    detectable_difference,
    effect_size,
    effect_size_interval,
    holm,
    mean_interval,
    sign_flip_test,
    verdicts,
)
from vae.suite.statistics import Difference


def by_enumeration(values):
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    return sum(each >= abs(sum(values)) - 1e-9 for each in sums) / len(sums)


def difference(values, metric="mig", variant="TopDis"):
    pairs = {((), seed): value for seed, value in enumerate(values)}
    return Difference(
        setting=(), variant=variant, metric=metric, values=pairs, num_pairs_requested=len(pairs), interval=None
    )


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


RISE = [0.05, 0.06, 0.04, 0.07, 0.05, 0.06, 0.05, 0.04]
FAINT = [0.03, 0.05, -0.01, 0.04, 0.02, 0.03, 0.01, 0.03]
NOISE = [0.01, -0.01, 0.02, -0.02, 0.005, -0.004, 0.01, -0.01]


@pytest.mark.parametrize(
    ("values", "metric", "outcome", "sentence"),
    [
        (RISE, "mig", "better", "MIG: TopDis is better than plain by 0.0525 (95 % interval +"),
        ([-value for value in RISE], "mig", "worse", "MIG: TopDis is worse than plain by 0.0525"),
        (RISE, "reconstruction", "worse", "MIG: TopDis is worse than plain by 0.0525"),
        (NOISE, "mig", "no difference", "MIG: no difference between TopDis and plain larger than 0.0113"),
        (RISE[:4], "mig", "too few pairs", "MIG: 4 pairs of TopDis and plain are too few for a verdict."),
    ],
)
def test_a_verdict_says_better_worse_or_how_large_a_difference_is_excluded(values, metric, outcome, sentence):
    (verdict,) = verdicts([difference(values, metric)])
    assert verdict.outcome == outcome
    assert verdict.sentence(baseline="plain", name="MIG").startswith(sentence)
    assert verdict.as_dict()["outcome"] == outcome


def test_a_difference_that_only_the_uncorrected_interval_shows_is_not_denied():
    rising, falling, equal = (
        verdicts([difference(values), *(difference(NOISE, metric) for metric in ("sap", "dci", "factor_vae"))])[0]
        for values in (FAINT, [-value for value in FAINT], [0.0] * 8)
    )
    for verdict in (rising, falling):
        assert verdict.p < 0.05 <= verdict.corrected_p
        assert (verdict.outcome, verdict.as_dict()["outcome"]) == ("no difference", "no difference")
        assert verdict.excludes_zero
        assert verdict.sentence(baseline="plain", name="MIG").startswith(
            "MIG: no significant difference between TopDis and plain after correction, and none larger than 0.0405 (95"
        )
    assert not equal.excludes_zero
    assert "no difference between TopDis and plain larger than 0 (" in equal.sentence(baseline="plain")


def test_metrics_of_one_variant_are_corrected_together_and_variants_apart():
    found = verdicts([difference(RISE), difference(NOISE, "sap"), difference(RISE, variant="L2")])
    assert [verdict.corrected_p for verdict in found] == pytest.approx([2 * found[0].p, found[1].p, found[2].p])


def test_a_metric_without_scores_takes_no_part_in_the_correction():
    found = verdicts([difference(RISE), difference([], "sap")])
    assert found[0].corrected_p == found[0].p
    assert (found[1].p, found[1].outcome) == (None, "too few pairs")
