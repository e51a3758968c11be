"""Verdicts of paired differences."""

import pytest

from vae.suite.significance import verdicts
from vae.suite.statistics import Difference


def difference(values, metric="mig", variant="TopDis"):
    pairs = {((), seed): value for seed, value in enumerate(values)}
    return Difference(
        setting=(), variant=variant, metric=metric, values=pairs, num_pairs_requested=len(pairs), interval=None
    )


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
    assert (
        equal.sentence(baseline="plain", name="MIG")
        == f"MIG: TopDis and plain are equal in all {equal.num_pairs} pairs."
    )


def test_metrics_of_one_variant_are_corrected_together_and_variants_apart():
    found = verdicts([difference(RISE), difference(NOISE, "sap"), difference(RISE, variant="L2")])
    assert [verdict.corrected_p for verdict in found] == pytest.approx([2 * found[0].p, found[1].p, found[2].p])


def test_a_metric_without_scores_takes_no_part_in_the_correction():
    found = verdicts([difference(RISE), difference([], "sap")])
    assert found[0].corrected_p == found[0].p
    assert (found[1].p, found[1].outcome) == (None, "too few pairs")
