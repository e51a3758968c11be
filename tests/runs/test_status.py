import os

import pytest

from ganspace_topdis.runs.lock import FolderLock
from ganspace_topdis.runs.status import read_status, write_status


@pytest.mark.parametrize("state", ["finished", "interrupted", "failed"])
def test_a_mark_reads_back(tmp_path, state):
    written = write_status(tmp_path, state, "a reason")
    assert read_status(tmp_path) == written
    assert (written.state, written.reason, written.pid) == (state, "a reason", os.getpid())


def test_running_with_nobody_at_work_is_killed(tmp_path):
    write_status(tmp_path, "running")
    assert read_status(tmp_path).state == "killed"
    assert f"process {os.getpid()}" in read_status(tmp_path).reason


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
def test_running_with_the_folder_held_is_running(tmp_path):
    lock = FolderLock(tmp_path)
    write_status(tmp_path, "running")
    assert read_status(tmp_path).state == "running"
    lock.release()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "running"}'])
def test_a_missing_or_damaged_mark_is_none(tmp_path, text):
    assert read_status(tmp_path) is None
    (tmp_path / "status.json").write_text(text)
    assert read_status(tmp_path) is None
