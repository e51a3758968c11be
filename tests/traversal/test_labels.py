import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspace_topdis.traversal.labels import default_labels, format_number, format_shift, score_name


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_a_number_is_read_back_to_two_digits_at_least(value: float) -> None:
    text = format_number(value).replace("−", "-").replace(",", "")
    assert float(text) == pytest.approx(value, rel=0.05)


@given(st.floats(-1e12, 1e12).filter(lambda value: value == 0 or abs(value) > 1e-99))
def test_numbers_stay_short(value: float) -> None:
    assert len(format_number(value)) <= len("−1.2e−300")
    assert len(format_number(value, num_digits=3)) <= len("−1.2e−300")


@given(st.floats(0.01, 100))
def test_opposite_shifts_differ_in_their_sign_alone(sigma: float) -> None:
    assert format_shift(sigma)[1:] == format_shift(-sigma)[1:]
    assert (format_shift(sigma)[0], format_shift(-sigma)[0]) == ("+", "−")


def test_no_shift_has_no_sign_and_no_unit() -> None:
    assert format_shift(0.0) == format_shift(-0.0) == "0"


def test_an_unknown_score_is_shown_by_its_own_name() -> None:
    assert score_name("mean_hue_change") == "Mean hue change"


def test_default_labels_are_numbered_as_the_directions_are() -> None:
    labels = default_labels(2, [{"effect": 0.1}, {"effect": 0.2}])
    assert [(label.index, label.name, label.scores) for label in labels] == [
        (0, "Direction 0", {"effect": 0.1}),
        (1, "Direction 1", {"effect": 0.2}),
    ]
