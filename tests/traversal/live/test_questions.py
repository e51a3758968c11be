import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.live.questions import FramesQuestion, FrameState, NameChange, read_frames, read_name
from ganspace_topdis.traversal.names import DirectionName

STATE = {"seed": 3, "shifts": {"1": -1.5}}
QUESTION = {"page": "p", "channel": "view", "number": 7, "psi": 0.5, "layers": [0, 2], "states": [STATE]}


def asked(**fields: Any) -> FramesQuestion:
    return read_frames(json.dumps({**QUESTION, **fields}).encode(), num_directions=2, num_layers=4, extent=3.0)


def test_a_question_is_read_field_by_field() -> None:
    assert asked() == FramesQuestion(
        page="p",
        channel="view",
        number=7,
        psi=0.5,
        layers=(0, 2),
        states=(FrameState(seed=3, shifts={1: -1.5}),),
    )
    assert asked(layers=None).layers is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"page": "x" * 65},
        {"page": 1},
        {"channel": "disk"},
        {"channel": ["view"]},
        {"number": -1},
        {"number": True},
        {"number": 2**60},
        {"psi": 1.1},
        {"psi": "0"},
        {"psi": None},
        {"layers": [4]},
        {"layers": "0-3"},
        {"layers": [True]},
        {"states": []},
        {"states": [STATE] * 65},
        {"states": [{"seed": 3}]},
        {"states": [{"seed": -1, "shifts": {}}]},
        {"states": [{"seed": 2**32, "shifts": {}}]},
        {"states": [{"seed": 1.5, "shifts": {}}]},
        {"states": [{"seed": 1, "shifts": {"2": 0}}]},
        {"states": [{"seed": 1, "shifts": {"01": 0}}]},
        {"states": [{"seed": 1, "shifts": {"0": 3.1}}]},
        {"states": [{"seed": 1, "shifts": {"0": float("nan")}}]},
        {"states": [{"seed": 1, "shifts": [0]}]},
        {"more": 1},
    ],
)
def test_a_field_out_of_range_or_of_another_type_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        asked(**wrong)


@given(st.binary(max_size=60) | st.just(b"[" * 50_000))
def test_whatever_is_sent_is_read_or_refused_by_name(body: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        read_frames(body, num_directions=2, num_layers=4, extent=3.0)
    with pytest.raises(InvalidArgumentError):
        read_name(body, num_directions=2)


def test_layers_of_codes_without_layers_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="layers"):
        read_frames(json.dumps(QUESTION).encode(), num_directions=2, num_layers=None, extent=3.0)


def test_a_name_is_tidied_as_names_in_files_are() -> None:
    change = read_name(json.dumps({"index": 1, "name": " two \n words", "starred": True}).encode(), num_directions=2)
    assert change == NameChange(index=1, name=DirectionName(name="two words", starred=True))


@pytest.mark.parametrize("wrong", [{"index": 2}, {"index": "1"}, {"name": 3}, {"starred": 1}])
def test_a_wrong_name_is_refused(wrong: dict[str, Any]) -> None:
    fields = {"index": 1, "name": "a", "starred": True, **wrong}
    with pytest.raises(InvalidArgumentError):
        read_name(json.dumps(fields).encode(), num_directions=2)
