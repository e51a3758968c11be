import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vae.suite import cell
from vae.suite.cell import STOP, CellTask, Job, work
from vae.suite.results import CellStatus, read_status


@pytest.fixture(autouse=True)
def _not_stopped() -> Iterator[None]:
    STOP.clear()
    yield
    STOP.clear()


def job_for(tmp_path: Path, *, before: CellStatus | None = None, threads: int = 1, gpus: str | None = None) -> Job:
    return Job(
        name="cell",
        task=CellTask(folder=str(tmp_path / "run"), settings={"steps": 1}, seed=3),
        status_file=str(tmp_path / "status.json"),
        log=str(tmp_path / "cell.log"),
        before=before or CellStatus(),
        threads=threads,
        gpus=gpus,
    )


def run(monkeypatch: pytest.MonkeyPatch, code: str, job: Job) -> CellStatus:
    """Work on a job whose cell's process runs `code`."""
    monkeypatch.setattr(cell, "_COMMAND", [sys.executable, "-c", code])
    name, status = work(job)
    assert name == "cell"
    return status


def test_a_cell_that_ends_well_is_marked_finished_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = run(monkeypatch, "pass", job_for(tmp_path))
    assert (status.state, status.attempts) == ("finished", 1)
    assert read_status(tmp_path / "status.json") == status


def test_a_cell_that_fails_is_marked_with_the_last_line_it_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = run(monkeypatch, "import sys; print('a'); sys.exit('error: the loss is nan')", job_for(tmp_path))
    assert (status.state, status.reason) == ("failed", "the loss is nan")


def test_a_cell_that_is_killed_is_marked_with_the_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = run(monkeypatch, "import os; os.kill(os.getpid(), 9)", job_for(tmp_path))
    assert (status.state, status.reason) == ("failed", "killed by SIGKILL")


def test_a_cell_that_prints_nothing_is_marked_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "raise SystemExit(7)", job_for(tmp_path)).reason == "exit code 7"


def test_a_cell_that_was_stopped_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "raise SystemExit(143)", job_for(tmp_path)).state == "stopped"


def test_times_and_attempts_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = run(
        monkeypatch, "pass", job_for(tmp_path, before=CellStatus(state="failed", attempts=2, duration_s=100.0))
    )
    assert status.attempts == 3
    assert 100 <= status.duration_s < 110


def test_the_process_learns_its_task_threads_and_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, sys; print(sys.stdin.readline().strip());"
        "print(os.environ['OMP_NUM_THREADS'], os.environ['CUDA_VISIBLE_DEVICES'])"
    )
    run(monkeypatch, code, job_for(tmp_path, threads=3, gpus="1"))
    task, environment = (tmp_path / "cell.log").read_text().splitlines()
    assert CellTask(**json.loads(task)).seed == 3
    assert environment == "3 1"


def test_nothing_starts_after_a_request_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    STOP.set()
    assert run(monkeypatch, "pass", job_for(tmp_path)) == CellStatus()
    assert not (tmp_path / "status.json").exists()


def test_a_request_to_stop_reaches_the_cell_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); time.sleep(60)"
    threading.Timer(0.5, STOP.set).start()
    start_s = time.monotonic()
    assert run(monkeypatch, code, job_for(tmp_path)).state == "stopped"
    assert time.monotonic() - start_s < 30


def test_a_cell_stops_when_the_worker_is_gone(tmp_path: Path) -> None:
    """The real cell process, whose stdin is closed: what happens to it when a node's worker is killed."""
    import subprocess

    task = {"folder": str(tmp_path / "run"), "settings": {"data": "dsprites", "steps": 10**6, "width": 0.1}, "seed": 0}
    environment = {**os.environ, "PYTHONPATH": str(Path(cell.__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "vae.suite.cell"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(task).encode() + b"\n")
    process.stdin.flush()
    deadline_s = time.monotonic() + 120
    while not (tmp_path / "run" / "metrics.jsonl").exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.2)
    _, printed = process.communicate(timeout=60)  # closes stdin
    assert process.returncode == 128 + signal.SIGTERM, printed.decode()
    assert list((tmp_path / "run" / "checkpoints").iterdir())
