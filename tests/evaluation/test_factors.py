import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.factors import Factor


@pytest.mark.parametrize("wrong", [{"name": ""}, {"size": 0}, {"size": True}, {"size": 2.0}, {"kind": "spiral"}])
def test_a_wrong_factor_is_refused(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {"name": "hue", "size": 10, "kind": "circular"}
    with pytest.raises(InvalidArgumentError):
        Factor(**{**right, **wrong})  # type: ignore[arg-type]


def test_factors_compare_by_value() -> None:
    assert Factor("hue", 10, "circular") == Factor("hue", 10, "circular") != Factor("hue", 10, "linear")
