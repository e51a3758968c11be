from typing import Any

import pytest

from ganspace_topdis.metrics.beta_vae import beta_vae_score


def test_the_score_is_near_the_references(case: Any) -> None:
    expected = case.scores["beta_vae"]["eval_accuracy"]
    assert beta_vae_score(case.grid_codes, case.sizes) == pytest.approx(expected, abs=0.02)
