from typing import Any

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.modularity import modularity


def test_modularity_is_the_references(varying_case: Any) -> None:
    expected = varying_case.scores["modularity_explicitness"]["modularity_score"]
    assert modularity(*varying_case.train) == pytest.approx(expected, abs=1e-9)


def test_one_factor_cannot_be_told_from_others() -> None:
    with pytest.raises(InvalidArgumentError, match="at least 2"):
        modularity(np.random.default_rng(0).normal(size=(10, 2)), np.arange(10)[:, None])


def test_dead_latents_count_as_zero() -> None:
    grid = np.array([[i, j] for i in range(4) for j in range(4)])
    assert modularity(np.hstack([grid, np.zeros((16, 2))]), grid) == pytest.approx(0.5)
