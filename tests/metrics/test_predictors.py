from typing import Any

import numpy as np
import pytest

from ganspace_topdis.metrics import Explicitness, explicitness, sap, snc_nk

RNG = np.random.default_rng(0)
FACTORS = RNG.permutation(np.tile(np.array([[i, j] for i in range(4) for j in range(4)]), (60, 1)))
CODES = FACTORS + RNG.uniform(-0.4, 0.4, size=FACTORS.shape)


def test_continuous_sap_is_the_references(varying_case: Any) -> None:
    expected = varying_case.scores["sap_continuous"]["SAP_score"]
    assert sap(*varying_case.split, continuous=True) == pytest.approx(expected, abs=1e-9)


def test_discrete_sap_is_the_references(varying_case: Any) -> None:
    assert sap(*varying_case.split) == pytest.approx(varying_case.scores["sap_discrete"]["SAP_score"], abs=1e-3)


def test_sap_drops_a_constant_factor() -> None:
    factors = np.array([[i % 3, 0] for i in range(30)])
    codes = factors[:, :1].astype(float)
    assert sap(codes, factors, codes, factors, continuous=True) == pytest.approx(1.0)


def test_continuous_sap_of_text_does_not_depend_on_the_order_of_its_values() -> None:
    names = np.array(["cube", "ball", "tube"])
    index = RNG.integers(0, 3, 200)
    codes = np.array([[0.0], [5.0], [1.0]])[index]
    assert sap(codes, names[index][:, None], continuous=True) == pytest.approx(1.0)


@pytest.mark.parametrize("part", ["train", "test"])
def test_explicitness_is_the_references_where_it_has_one(varying_case: Any, part: str) -> None:
    expected = varying_case.scores["modularity_explicitness"].get(f"explicitness_score_{part}")
    if expected is None:
        assert varying_case.name == "dead_latents"
        expected = 0.995
    assert getattr(explicitness(*varying_case.split), part) == pytest.approx(expected, abs=1e-3)


def test_explicitness_without_a_live_latent_is_chance() -> None:
    codes, factors = np.ones((6, 2)), np.arange(6)[:, None] % 3
    assert explicitness(codes, factors, codes, factors) == Explicitness(0.5, 0.5)


def test_explicitness_leaves_out_a_value_that_the_test_set_lacks() -> None:
    factors = np.arange(30)[:, None] % 3
    codes = factors.astype(float)
    kept = factors[:, 0] < 2
    assert 0.9 < explicitness(codes, factors, codes[kept], factors[kept]).test <= 1


def test_a_perfect_code_of_equally_frequent_values_scores_one_in_snc_and_falls_to_chance_in_nk() -> None:
    scores = snc_nk(CODES, FACTORS, CODES, FACTORS)
    assert scores.snc == 1.0
    assert scores.accuracy > 0.99
    assert scores.nk == pytest.approx(0.75, abs=0.05)


def test_duplicates_leave_snc_and_make_up_for_a_knocked_out_latent() -> None:
    twice = np.hstack([CODES, CODES])
    scores = snc_nk(twice, FACTORS, twice, FACTORS)
    assert (scores.snc, round(scores.nk, 2)) == (1.0, 0.0)


def test_a_factor_without_a_latent_scores_its_commonest_value() -> None:
    codes, factors = CODES[:, :1], FACTORS
    scores = snc_nk(codes, factors, codes, factors)
    assert scores.snc == pytest.approx((1 + 0.25) / 2)


def test_a_test_value_that_training_lacks_counts_as_an_error() -> None:
    strange = FACTORS.copy()
    strange[:, 0] = 9
    assert snc_nk(CODES, FACTORS, CODES, strange).snc == pytest.approx(0.5)


def test_continuous_sap_keeps_every_digit_at_any_scale() -> None:
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((300, 2))
    codes = factors + 0.1 * rng.standard_normal((300, 2))
    whole = sap(codes, factors, continuous=True)
    assert sap(codes * 2.0**-40, factors, continuous=True) == whole
    assert sap(codes * 1e-9, factors * 1e-200, continuous=True) == pytest.approx(whole, abs=1e-12)
