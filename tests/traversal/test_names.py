import dataclasses
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.traversal.names import (
    NAMES_FORMAT,
    DirectionLabel,
    DirectionName,
    NamesStore,
    apply_names,
    default_labels,
    read_names,
    write_names,
)


def test_default_labels_have_the_numbers_of_the_directions() -> None:
    labels = default_labels(2, [{"effect": 0.1}, {"effect": 0.2}])
    assert [(label.index, label.name, label.scores) for label in labels] == [
        (0, "Direction 0", {"effect": 0.1}),
        (1, "Direction 1", {"effect": 0.2}),
    ]


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


def test_an_empty_name_keeps_the_automatic_one_and_the_star(tmp_path: Path) -> None:
    names = read_names(written(tmp_path, {"1": {"name": "  ", "starred": True}}))
    assert apply_names(default_labels(2), names)[1] == DirectionLabel(index=1, name="Direction 1", starred=True)


def test_names_are_applied_by_direction_number() -> None:
    labels = [DirectionLabel(index=3, name="a", scores={"effect": 1.0}), DirectionLabel(index=1, name="b")]
    named = apply_names(labels, {3: DirectionName(name="Smile", starred=True)})
    assert named[0] == dataclasses.replace(labels[0], name="Smile", starred=True, automatic_name="a")
    assert named[1] == labels[1]


@pytest.mark.parametrize(
    ("saved", "shown"),
    [
        ("Smile", "Smile (hue?)"),
        ("Direction 0", "Direction 0 (hue?)"),
        ("Direction 0 (chance level)", "Direction 0 (hue?)"),
        ("Direction 0 (hue, chance level)", "Direction 0 (hue?)"),
        ("Direction 0 (my hue)", "Direction 0 (my hue) (hue?)"),
        ("Direction 1 (chance level)", "Direction 1 (chance level) (hue?)"),
        ("Direction 0 (", "Direction 0 ( (hue?)"),
    ],
)
def test_automatic_names_of_earlier_files_give_way_to_the_marks_and_typed_ones_stay(saved: str, shown: str) -> None:
    label = DirectionLabel(index=0, name="Direction 0", marks=("hue?",))
    assert apply_names([label], {0: DirectionName(name=saved)})[0].heading == shown


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
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
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


def store(folder: Path) -> NamesStore:
    return NamesStore(folder, num_directions=50, source="abc")


def change(index: int, name: str = "a") -> tuple[int, DirectionName]:
    return index, DirectionName(name=name, starred=True)


def test_a_change_is_read_back_by_read_names(tmp_path: Path) -> None:
    store(tmp_path).change(*change(3, "Smile"))
    assert read_names(tmp_path / "names.json", num_directions=4, source="abc") == {
        3: DirectionName(name="Smile", starred=True)
    }


def test_concurrent_changes_of_several_stores_are_all_saved(tmp_path: Path) -> None:
    stores = [store(tmp_path) for _ in range(5)]
    threads = [threading.Thread(target=stores[index % 5].change, args=change(index)) for index in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert set(store(tmp_path).read()) == set(range(50))


def test_a_file_of_other_directions_is_not_changed(tmp_path: Path) -> None:
    NamesStore(tmp_path, num_directions=50, source="xyz").change(*change(1))
    before = (tmp_path / "names.json").read_bytes()
    with pytest.raises(RunFolderError, match="other directions"):
        store(tmp_path).change(*change(2))
    assert (tmp_path / "names.json").read_bytes() == before


def test_a_missing_folder_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="names cannot be saved"):
        store(tmp_path / "none").change(*change(1))


BAD = {
    "damaged": b'{"format": "topdis-gan na',
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 200_000,
    "huge": b'"' + b"x" * 5_000_000 + b'"',
    "a list": b"[]",
    "digits": b"9" * 6000,
    "entries of a wrong type": b'{"format": "topdis-gan names", "source": "abc", "directions": {"1": [2]}}',
    "a source of a wrong type": b'{"format": "topdis-gan names", "source": [1], "directions": {}}',
    "half a character": b'{"format": "topdis-gan names", "directions": {"1": {"name": "\\ud800"}}}',
    "other directions": b'{"format": "topdis-gan names", "source": "xyz", "directions": {}}',
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_an_unusable_file_is_reported_once_and_not_changed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "names.json").write_bytes(content)
    names = store(tmp_path)
    with pytest.warns(UserWarning, match=r"names.json .*until it is moved away") as seen:
        assert [names.read(), names.read()] == [{}, {}]
    assert len(seen) == 1
    with pytest.raises(RunFolderError, match=r"not saved: .*move that file away"):
        names.change(*change(1))
    assert (tmp_path / "names.json").read_bytes() == content


def test_a_dangling_link_a_pipe_or_a_folder_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    for make in (lambda: path.symlink_to("nowhere"), lambda: os.mkfifo(path), path.mkdir):
        make()
        with pytest.raises(RunFolderError, match="not saved"):
            store(tmp_path).change(*change(1))
        assert path.is_symlink() or path.is_fifo() or path.is_dir()
        path.rmdir() if path.is_dir() else path.unlink()


def test_names_are_saved_again_after_the_unusable_file_is_moved(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_bytes(b"{")
    names = store(tmp_path)
    with pytest.raises(RunFolderError):
        names.change(*change(1))
    (tmp_path / "names.json").rename(tmp_path / "aside.json")
    names.change(*change(1))
    assert set(names.read()) == {1}
