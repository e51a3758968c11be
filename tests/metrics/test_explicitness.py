from typing import Any

import numpy as np
import pytest

from ganspace_topdis.metrics.explicitness import Explicitness, explicitness


@pytest.mark.parametrize("part", ["train", "test"])
def test_explicitness_is_the_references_where_it_has_one(varying_case: Any, part: str) -> None:
    expected = varying_case.scores["modularity_explicitness"].get(f"explicitness_score_{part}")
    if expected is None:
        assert varying_case.name == "dead_latents"
        expected = 0.995
    assert getattr(explicitness(*varying_case.split), part) == pytest.approx(expected, abs=1e-3)


def test_no_live_latent_scores_chance() -> None:
    codes, factors = np.ones((6, 2)), np.arange(6)[:, None] % 3
    assert explicitness(codes, factors, codes, factors) == Explicitness(0.5, 0.5)


def test_a_value_missing_from_the_test_set_is_left_out() -> None:
    factors = np.arange(30)[:, None] % 3
    codes = factors.astype(float)
    kept = factors[:, 0] < 2
    assert 0.9 < explicitness(codes, factors, codes[kept], factors[kept]).test <= 1
