import json
from pathlib import Path
from typing import Any

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.labels import DirectionLabel
from ganspace_topdis.traversal.names import NAMES_FORMAT, DirectionName, apply_names, read_names, write_names


def written(tmp_path: Path, directions: Any, **others: Any) -> Path:
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"format": NAMES_FORMAT, "directions": directions} | others), encoding="utf-8")
    return path


def test_names_and_stars_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, {"0": {"name": "Улыбка", "starred": True}, "12": {"name": " two \n words "}})
    assert read_names(path) == {
        0: DirectionName(name="Улыбка", starred=True),
        12: DirectionName(name="two words", starred=False),
    }


def test_an_empty_name_becomes_the_number(tmp_path: Path) -> None:
    assert read_names(written(tmp_path, {"4": {"name": "  "}}))[4].name == "Direction 4"


def test_names_go_to_the_directions_with_their_numbers() -> None:
    labels = [DirectionLabel(index=3, name="a", scores={"effect": 1.0}), DirectionLabel(index=1, name="b")]
    named = apply_names(labels, {3: DirectionName(name="Smile", starred=True)})
    assert named[0] == DirectionLabel(index=3, name="Smile", scores={"effect": 1.0}, starred=True)
    assert named[1] == labels[1]


def test_names_of_other_directions_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"0": {"name": "a"}, "6": {"name": "b"}})
    assert set(read_names(path, num_directions=7)) == {0, 6}
    with pytest.raises(InvalidArgumentError, match="names direction 6, but there are only 6"):
        read_names(path, num_directions=6)


@pytest.mark.parametrize(
    "directions",
    [
        None,
        [],
        {"x": {"name": "a"}},
        {"-1": {"name": "a"}},
        {"²": {"name": "a"}},
        {"0": "a"},
        {"0": {"name": 1}},
        {"0": {"name": "a", "starred": "yes"}},
        {"0": {}},
    ],
)
def test_a_wrong_entry_is_refused(tmp_path: Path, directions: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"names\.json"):
        read_names(written(tmp_path, directions))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"directions": {}}', b"[" * 100_000])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "names.json"
    path.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=r"names\.json"):
        read_names(path)


def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="No such file"):
        read_names(tmp_path / "none.json")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    names = {3: DirectionName(name="Улыбка", starred=True), 0: DirectionName(name="b")}
    assert read_names(write_names(tmp_path / "names.json", names, source="abc"), source="abc") == names


def test_names_of_another_source_are_refused_and_those_without_one_pass(tmp_path: Path) -> None:
    path = write_names(tmp_path / "names.json", {0: DirectionName(name="a")}, source="abc")
    with pytest.raises(InvalidArgumentError, match="saved for other directions"):
        read_names(path, source="xyz")
    assert read_names(path) == read_names(written(tmp_path, {"0": {"name": "a"}}), source="xyz")
