import numpy as np
import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import explicitness, mig
from ganspace_topdis.metrics.inputs import check_pair, check_split


@pytest.mark.parametrize("codes", [np.zeros(3), np.zeros((1, 2)), np.zeros((4, 0)), np.full((4, 2), np.inf)])
def test_malformed_codes_are_refused(codes: np.ndarray) -> None:
    with pytest.raises(InvalidArgumentError, match="codes"):
        check_pair(codes, np.arange(4)[:, None])


@pytest.mark.parametrize("factors", [np.arange(4), np.zeros((3, 1)), np.full((4, 1), np.inf), np.zeros((4, 1)) * 1j])
def test_malformed_factors_are_refused(factors: np.ndarray) -> None:
    with pytest.raises(InvalidArgumentError, match="factors"):
        check_pair(np.eye(4), factors)


def test_codes_of_text_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="real numbers"):
        check_pair(np.array([["a"], ["b"]]), np.arange(2)[:, None])


def test_tensors_that_need_gradients_serve_as_codes() -> None:
    grid = torch.tensor([[i, j] for i in range(4) for j in range(4)])
    assert mig(grid.to(torch.bfloat16).requires_grad_(), grid) == pytest.approx(1.0)


def test_fractions_make_a_factor_continuous_and_cut_it_into_bins_of_the_training_range() -> None:
    train, test = np.linspace(0, 1, 41)[:, None], np.array([[-5.0], [0.51], [7.0]])
    data, held = check_split(train, train, test, test)
    assert data.continuous.tolist() == [True]
    assert len(np.unique(data.labels)) == 20
    assert held.labels[:, 0].tolist() == [0, 10, 19]


def test_text_is_a_factor_without_order_and_numbers_written_as_text_are_numbers() -> None:
    factors = np.array([["red", "1"], ["blue", "2"], ["red", "3"]])
    data = check_pair(np.eye(3), factors)
    assert data.unordered.tolist() == [True, False]
    assert data.values.tolist() == [[1, 1], [0, 2], [1, 3]]


def test_a_row_with_a_missing_label_is_left_out() -> None:
    data = check_pair(np.arange(4.0)[:, None], np.array([[0, 1.0], [np.nan, 2], [1, 3], [0, 4]]))
    assert data.codes[:, 0].tolist() == [0, 2, 3]
    for missing in ("", "nan", "NaN"):
        data = check_pair(np.eye(3), np.array([["red"], [missing], ["blue"]]))
        assert data.codes.tolist() == [[1, 0, 0], [0, 0, 1]]
        assert data.values[0] > data.values[1]


@pytest.mark.parametrize("number", [2**53, 2**60 + 1, 1e300])
def test_whole_numbers_that_floats_cannot_tell_apart_are_refused(number: float) -> None:
    factors = np.array([[0, 1], [1, number], [0, 0]], dtype=object)
    with pytest.raises(InvalidArgumentError, match=r"factor 1 holds whole numbers of 2\^53 or more"):
        check_pair(np.eye(3), factors.astype(type(number)))


def test_labels_that_are_all_missing_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="labeled rows"):
        check_pair(np.eye(3), np.full((3, 1), np.nan))


def test_a_factor_constant_in_training_is_dropped_from_both_sets() -> None:
    train, test = np.array([[0, 1], [0, 2]]), np.array([[0, 1], [1, 2]])
    data, held = check_split(np.eye(2), train, np.eye(2), test)
    assert data.labels.tolist() == held.labels.tolist() == [[1], [2]]
    assert data.columns.tolist() == [1]


def test_without_a_test_set_a_third_of_the_rows_is_held_out() -> None:
    codes = np.arange(90.0)[:, None]
    data, held = check_split(codes, codes.astype(int))
    assert (len(data.codes), len(held.codes)) == (60, 30)
    assert sorted([*data.codes[:, 0], *held.codes[:, 0]]) == codes[:, 0].tolist()


def test_sets_of_different_widths_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="differ"):
        check_split(np.eye(3), np.eye(3, dtype=int), np.ones((3, 2)), np.eye(3, dtype=int))


def test_half_of_a_test_set_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="both or neither"):
        check_split(np.eye(3), np.eye(3, dtype=int), np.eye(3))


def test_large_codes_of_single_precision_score_as_small_ones() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 3, (300, 2))
    codes = (factors + 0.3 * rng.standard_normal((300, 2))).astype(np.float32)
    large = explicitness((codes * np.float32(1e19)).astype(np.float32), factors)
    assert large.test == pytest.approx(explicitness(codes, factors).test, abs=1e-3)


def test_codes_beyond_single_precision_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"codes hold 1.0e\+40, allowed are 1e30 and less"):
        mig(np.array([[1e40], [0.0], [1.0]]), np.array([[0], [1], [1]]))


def test_extended_precision_becomes_double() -> None:
    factors = np.array([[0], [1]] * 20)
    assert mig(factors.astype(np.longdouble), factors) == mig(factors.astype(np.float64), factors)


def test_bytes_are_text() -> None:
    data = check_pair(np.eye(6), np.array([[b"a", b"1"], [b"", b"2"], [b"b", b"2"]] * 2))
    assert (len(data.codes), data.unordered.tolist()) == (4, [True, False])
