import os
import threading
from pathlib import Path

import pytest

from ganspace_topdis.errors import RunFolderError
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
    with pytest.raises(RunFolderError, match="other directions"):
        store(tmp_path).change(change(2))
    assert (tmp_path / "names.json").read_bytes() == before


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="names cannot be kept"):
        store(tmp_path / "none").change(change(1))


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
def test_a_file_that_cannot_be_used_is_reported_once_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "names.json").write_bytes(content)
    names = store(tmp_path)
    with pytest.warns(UserWarning, match=r"names.json .*until it is moved away") as seen:
        assert [names.read(), names.read()] == [{}, {}]
    assert len(seen) == 1
    with pytest.raises(RunFolderError, match=r"not kept: .*move that file away"):
        names.change(change(1))
    assert (tmp_path / "names.json").read_bytes() == content


def test_a_link_that_leads_nowhere_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    for make in (lambda: path.symlink_to("nowhere"), lambda: os.mkfifo(path), path.mkdir):
        make()
        with pytest.raises(RunFolderError, match="not kept"):
            store(tmp_path).change(change(1))
        assert path.is_symlink() or path.is_fifo() or path.is_dir()
        path.rmdir() if path.is_dir() else path.unlink()


def test_names_are_kept_again_once_the_bad_file_is_gone(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_bytes(b"{")
    names = store(tmp_path)
    with pytest.raises(RunFolderError):
        names.change(change(1))
    (tmp_path / "names.json").rename(tmp_path / "kept.json")
    names.change(change(1))
    assert set(names.read()) == {1}
