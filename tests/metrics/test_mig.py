from typing import Any

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.mig import mig


def test_mig_is_the_references(varying_case: Any) -> None:
    assert mig(*varying_case.train) == pytest.approx(varying_case.scores["mig"]["discrete_mig"], abs=1e-9)


def test_mig_drops_a_constant_factor() -> None:
    grid = np.array([[i, 0, j] for i in range(4) for j in range(5)])
    assert mig(grid.astype(float), grid) == pytest.approx(1.0)


def test_a_latent_twice_has_no_gap() -> None:
    factor = np.arange(40)[:, None] % 4
    assert mig(np.hstack([factor, factor]).astype(float), factor) == pytest.approx(0.0)


def test_nan_codes_and_factors_without_variation_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="NaN"):
        mig(np.array([[0.0], [np.nan]]), np.array([[0], [1]]))
    with pytest.raises(InvalidArgumentError, match="vary"):
        mig(np.zeros((4, 2)), np.zeros((4, 1), dtype=int))
