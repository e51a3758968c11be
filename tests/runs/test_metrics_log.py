import json
import math

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.metrics_log import MetricsLog, read_metrics


@pytest.fixture
def log(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    yield log
    log.close()


def test_each_line_is_in_the_file_at_once(log):
    for step in range(3):
        log.append({"step": step, "loss": 0.5})
        assert read_metrics(log.path)[-1] == {"step": step, "loss": 0.5}


def test_numbers_that_are_not_finite_are_text_and_the_line_stays_json(log):
    log.append({"step": 1, "a": math.nan, "b": [-math.inf], "c": torch.tensor(2.5), "d": np.float32(0.5)})
    [line] = log.path.read_text().splitlines()
    expected = {"step": 1, "a": "nan", "b": ["-inf"], "c": 2.5, "d": 0.5}
    assert json.loads(line, parse_constant=pytest.fail) == expected


def test_cutting_removes_later_and_unfinished_lines(log):
    for step in (1, 2, 3):
        log.append({"step": step})
    with log.path.open("ab") as file:
        file.write(b'{"step": 2, "lo')
    log.cut(2)
    assert log.path.read_bytes() == b'{"step": 1}\n{"step": 2}\n'


def test_lines_go_on_after_a_cut(log):
    for step in (1, 2, 3):
        log.append({"step": step})
    log.cut(1)
    log.append({"step": 2, "again": True})
    assert read_metrics(log.path) == [{"step": 1}, {"step": 2, "again": True}]


def test_cutting_a_file_that_is_not_there_makes_none(log):
    log.cut(5)
    assert not log.path.exists()


def test_a_full_disk_keeps_the_earlier_lines_whole(log, full_disk):
    log.append({"step": 1})
    before = log.path.read_bytes()
    with full_disk(40), pytest.raises(RunFolderError, match="free some space"):
        log.append({"step": 2, "text": "x" * 200})
    assert log.path.read_bytes() == before


def test_reading_leaves_out_an_unfinished_last_line(log):
    log.append({"step": 1})
    with log.path.open("ab") as file:
        file.write(b'{"st')
    assert read_metrics(log.path) == [{"step": 1}]
