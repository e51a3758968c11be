import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ganspace_topdis import program
from ganspace_topdis.errors import CheckpointError, TopdisError
from ganspace_topdis.runs.reading import ReadingError, parse_json, read_bytes, read_json, reason_of
from ganspace_topdis.runs.records import MetricsLog
from tests.fuzzing.hostile import NPY, hostile_files

FUZZER = Path(__file__).parents[1] / "benchmarks" / "fuzz_files.py"


def test_every_hostile_file_and_300_mutated_ones_are_read_or_refused_in_one_line_cheaply() -> None:
    command = [sys.executable, str(FUZZER), "--count", "300"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "faults: 0"


@pytest.mark.slow
def test_twenty_thousand_mutated_files_are_read_or_refused_in_one_line_cheaply() -> None:
    assert subprocess.run([sys.executable, str(FUZZER)], check=False).returncode == 0


def test_more_than_200_files_are_hostile_by_hand() -> None:
    assert len({data for files in hostile_files().values() for data in files.values()}) > 200


@pytest.mark.parametrize("what", ["executed", "grown", "slow", "of two lines", "of another kind"])
def test_the_fuzzer_finds_what_it_looks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    from tests.fuzzing import trial
    from tests.fuzzing.readers import Reader

    def bad(_: Path) -> None:
        if what == "executed":
            eval("1 + 1")
        elif what == "grown":
            np.ones(1 << 28)
        elif what == "of two lines":
            raise TwoLinesError
        elif what == "of another kind":
            raise KeyError(what)

    class TwoLinesError(TopdisError):
        def __str__(self) -> str:
            return "one\ntwo"

    monkeypatch.setattr(trial, "MAX_SECONDS", -1 if what == "slow" else 99)
    trial.settle()
    assert trial.run_case(Reader([], "a", bad), b"", tmp_path).fault


@pytest.mark.parametrize("what", [*NPY, "a folder", "nothing at all"])
def test_rtd_of_a_file_that_cannot_be_read_is_one_line_and_no_traceback(tmp_path: Path, what: str) -> None:
    np.save(tmp_path / "good.npy", np.eye(4, 3))
    bad = tmp_path / "bad.npy"
    if what in NPY:
        bad.write_bytes(NPY[what])
    elif what == "a folder":
        bad.mkdir()
    for files in ([bad, tmp_path / "good.npy"], [tmp_path / "good.npy", bad]):
        done = CliRunner().invoke(program.cli, ["rtd", *map(str, files)])
        assert isinstance(done.exception, TopdisError), (what, done.exception, done.output)
        assert done.exception.exit_code in (1, 2)
        assert len(str(done.exception).splitlines()) == 1


def test_rtd_of_one_file_alone_is_wrong_usage() -> None:
    assert CliRunner().invoke(program.cli, ["rtd", "x.npy"]).exit_code == 2


def test_a_deep_line_of_metrics_is_cut_away_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + b"[" * 5000 + b'\n{"step": 2}\n')
    with pytest.warns(UserWarning, match="1 of its 3 lines"):
        MetricsLog(path).cut(1)
    assert path.read_bytes() == b'{"step": 1}\n'


def test_an_unpaired_surrogate_is_read_as_the_replacement_character() -> None:
    assert parse_json('{"\\ud800": ["\\udfff", "\\ud83d\\ude00"]}') == {"\ufffd": ["\ufffd", "\U0001f600"]}


def test_a_pipe_is_read_up_to_the_limit() -> None:
    with pytest.raises(ReadingError, match="more than 1,000 bytes"):
        read_bytes("/dev/zero", 1000)


def test_a_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ReadingError, match="Is a directory"):
        read_json(tmp_path)


def test_the_reason_of_a_failure_is_one_short_line() -> None:
    assert reason_of(ValueError("first\n  second")) == "first second"
    assert len(reason_of(ValueError("long " * 100))) == 200
    assert reason_of(KeyError()) == "KeyError"


def test_a_message_that_quotes_a_file_stays_on_one_line() -> None:
    assert str(CheckpointError("of a\nb\x1b[31m" + "c" * 10_000)).startswith("of a b?[31mccc")
    assert len(str(CheckpointError("c" * 10_000))) < 5000
