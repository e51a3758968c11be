from typing import Any

import numpy as np
import pytest

from ganspace_topdis.metrics.sap import sap


def test_continuous_sap_is_the_references(varying_case: Any) -> None:
    expected = varying_case.scores["sap_continuous"]["SAP_score"]
    assert sap(*varying_case.split, continuous=True) == pytest.approx(expected, abs=1e-9)


def test_discrete_sap_is_the_references(varying_case: Any) -> None:
    assert sap(*varying_case.split) == pytest.approx(varying_case.scores["sap_discrete"]["SAP_score"], abs=1e-3)


def test_a_constant_factor_is_dropped() -> None:
    factors = np.array([[i % 3, 0] for i in range(30)])
    codes = factors[:, :1].astype(float)
    assert sap(codes, factors, codes, factors, continuous=True) == pytest.approx(1.0)
