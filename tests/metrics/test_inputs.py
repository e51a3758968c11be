import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.inputs import check_pair, check_split


@pytest.mark.parametrize("codes", [np.zeros(3), np.zeros((1, 2)), np.zeros((4, 0)), np.full((4, 2), np.inf)])
def test_malformed_codes_are_refused(codes: np.ndarray) -> None:
    with pytest.raises(InvalidArgumentError, match="codes"):
        check_pair(codes, np.arange(4)[:, None])


@pytest.mark.parametrize("factors", [np.arange(4), np.zeros((3, 1)), np.full((4, 1), 0.5)])
def test_malformed_factors_are_refused(factors: np.ndarray) -> None:
    with pytest.raises(InvalidArgumentError, match="factors"):
        check_pair(np.eye(4), factors)


def test_a_factor_constant_in_training_is_dropped_from_both_sets() -> None:
    train, test = np.array([[0, 1], [0, 2]]), np.array([[0, 1], [1, 2]])
    _, y_train, _, y_test = check_split(np.eye(2), train, np.eye(2), test)
    assert y_train.tolist() == y_test.tolist() == [[1], [2]]


def test_sets_of_different_widths_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="differ"):
        check_split(np.eye(3), np.eye(3, dtype=int), np.ones((3, 2)), np.eye(3, dtype=int))
