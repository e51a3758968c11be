import json
import math
import os

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.files import FolderLock
from ganspace_topdis.runs.records import MetricsLog, read_metrics, read_status, write_status


@pytest.mark.parametrize("state", ["finished", "interrupted", "failed"])
def test_a_written_status_can_be_read(tmp_path, state):
    written = write_status(tmp_path, state, "a reason")
    assert read_status(tmp_path) == written
    assert (written.state, written.reason, written.pid) == (state, "a reason", os.getpid())


def test_running_without_a_process_reads_as_killed(tmp_path):
    write_status(tmp_path, "running")
    assert read_status(tmp_path).state == "killed"
    assert f"process {os.getpid()}" in read_status(tmp_path).reason


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
def test_running_in_a_locked_folder_reads_as_running(tmp_path):
    lock = FolderLock(tmp_path)
    write_status(tmp_path, "running")
    assert read_status(tmp_path).state == "running"
    lock.release()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "running"}'])
def test_a_missing_or_damaged_status_is_none(tmp_path, text):
    assert read_status(tmp_path) is None
    (tmp_path / "status.json").write_text(text)
    assert read_status(tmp_path) is None


@pytest.fixture
def log(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    yield log
    log.close()


def test_each_line_is_written_at_once(log):
    for step in range(3):
        log.append({"step": step, "loss": 0.5})
        assert read_metrics(log.path)[-1] == {"step": step, "loss": 0.5}


def test_numbers_that_are_not_finite_become_strings_in_valid_json(log):
    log.append({"step": 1, "a": math.nan, "b": [-math.inf], "c": torch.tensor(2.5), "d": np.float32(0.5)})
    [line] = log.path.read_text().splitlines()
    expected = {"step": 1, "a": "nan", "b": ["-inf"], "c": 2.5, "d": 0.5}
    assert json.loads(line, parse_constant=pytest.fail) == expected


def test_cutting_removes_later_and_incomplete_lines(log):
    for step in (1, 2, 3):
        log.append({"step": step})
    with log.path.open("ab") as file:
        file.write(b'{"step": 2, "lo')
    log.cut(2)
    assert log.path.read_bytes() == b'{"step": 1}\n{"step": 2}\n'


def test_lines_can_be_appended_after_a_cut(log):
    for step in (1, 2, 3):
        log.append({"step": step})
    log.cut(1)
    log.append({"step": 2, "again": True})
    assert read_metrics(log.path) == [{"step": 1}, {"step": 2, "again": True}]


def test_cutting_a_missing_file_creates_none(log):
    log.cut(5)
    assert not log.path.exists()


def test_a_full_disk_keeps_the_earlier_lines(log, full_disk):
    log.append({"step": 1})
    before = log.path.read_bytes()
    with full_disk(40), pytest.raises(RunFolderError, match="free some space"):
        log.append({"step": 2, "text": "x" * 200})
    assert log.path.read_bytes() == before


def test_reading_omits_an_incomplete_last_line(log):
    log.append({"step": 1})
    with log.path.open("ab") as file:
        file.write(b'{"st')
    assert read_metrics(log.path) == [{"step": 1}]
