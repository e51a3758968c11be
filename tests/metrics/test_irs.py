from typing import Any

import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.irs import irs


def test_irs_is_the_references(case: Any) -> None:
    assert irs(*case.train) == pytest.approx(case.scores["irs"]["IRS"], abs=1e-9)


def test_no_live_latent_scores_zero() -> None:
    assert irs(np.ones((6, 2)), np.arange(6)[:, None] % 3) == 0.0


def test_a_quantile_outside_its_range_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="quantile"):
        irs(np.eye(3), np.arange(3)[:, None], quantile=0)
