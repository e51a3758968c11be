import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.information import discretise, entropy, mutual_information


def test_a_variable_knows_itself_and_nothing_independent() -> None:
    a, b = np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4)
    assert mutual_information(a, a) == pytest.approx(entropy(a)) == pytest.approx(np.log(4))
    assert mutual_information(a, b) == pytest.approx(0, abs=1e-12)


def test_bins_run_from_the_smallest_to_the_largest_value() -> None:
    assert discretise(np.linspace(0, 1, 21)[:, None], 4)[[0, 5, 20], 0].tolist() == [1, 2, 4]


def test_a_constant_latent_falls_into_one_bin() -> None:
    assert len(np.unique(discretise(np.ones((5, 1))))) == 1


def test_one_bin_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="num_bins"):
        discretise(np.eye(2), 1)
