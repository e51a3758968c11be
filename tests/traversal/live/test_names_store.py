import threading
from pathlib import Path

import pytest

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.traversal.live.names_store import NamesStore
from ganspace_topdis.traversal.live.questions import NameChange
from ganspace_topdis.traversal.names import DirectionName, read_names


def store(folder: Path) -> NamesStore:
    return NamesStore(folder, num_directions=50, source="abc")


def change(index: int, name: str = "a") -> NameChange:
    return NameChange(index=index, name=DirectionName(name=name, starred=True))


def test_a_change_is_what_read_names_reads(tmp_path: Path) -> None:
    store(tmp_path).change(change(3, "Smile"))
    assert read_names(tmp_path / "names.json", num_directions=4, source="abc") == {
        3: DirectionName(name="Smile", starred=True)
    }


def test_changes_of_several_stores_at_once_are_all_kept(tmp_path: Path) -> None:
    stores = [store(tmp_path) for _ in range(5)]
    threads = [threading.Thread(target=stores[index % 5].change, args=(change(index),)) for index in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert set(store(tmp_path).read()) == set(range(50))


def test_names_of_other_directions_are_refused_and_stay(tmp_path: Path) -> None:
    NamesStore(tmp_path, num_directions=50, source="xyz").change(change(1))
    before = (tmp_path / "names.json").read_bytes()
    with pytest.raises(InvalidArgumentError, match="other directions"):
        store(tmp_path).change(change(2))
    assert (tmp_path / "names.json").read_bytes() == before


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="names cannot be kept"):
        store(tmp_path / "none").change(change(1))
