"""Workers, the process of a cell, and the engines that run them."""

import json
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError, TopdisError
from vae.suite import cell, engine
from vae.suite.cell import STOP, CellTask, Job, work
from vae.suite.engine import EngineSettings, open_engine, plan_local
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
    status = run(
        monkeypatch, "import sys; print('a', flush=True); sys.exit('error: the loss is nan')", job_for(tmp_path)
    )
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


GRID = """
name = "slow"
seeds = [0]
metrics = ["reconstruction"]
base = { data = "dsprites-16", steps = 1000000, width = 0.5, batch_size = 8192, log_every = 1 }
axes = { variant = { plain = {} } }
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="process groups are POSIX")
def test_ctrl_c_in_a_terminal_saves_the_running_cells(tmp_path: Path) -> None:
    """A terminal sends SIGINT to the whole process group; a step takes longer than the suite waits before SIGTERM."""
    import subprocess

    (tmp_path / "slow.toml").write_text(GRID)
    command = shlex.split("-m ganspace_topdis.program suite slow.toml --out out --jobs 1 --threads 1 --no-pictures")
    environment = {**os.environ, "PYTHONPATH": str(Path(cell.__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, *command], cwd=tmp_path, stderr=subprocess.PIPE, env=environment, start_new_session=True
    )
    deadline_s = time.monotonic() + 120
    while not list(tmp_path.glob("out/cells/*/metrics.jsonl")) and process.poll() is None:
        if time.monotonic() > deadline_s:
            process.kill()
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    _, printed = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, printed.decode()
    (run,) = tmp_path.glob("out/cells/*")
    assert "SystemExit" not in json.loads((run / "status.json").read_text())["reason"]
    assert list((run / "checkpoints").iterdir())


def test_a_cell_that_is_stopped_before_it_could_save_has_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threading.Timer(0.5, STOP.set).start()
    assert run(monkeypatch, "import time; time.sleep(60)", job_for(tmp_path)).state == "stopped"
    STOP.clear()
    assert run(monkeypatch, "import os; os.kill(os.getpid(), 15)", job_for(tmp_path)).state == "failed"


def jobs_for(tmp_path: Path, count: int) -> list[Job]:
    return [
        Job(
            name=f"cell-{k}",
            task=CellTask(folder="", settings={}, seed=k),
            status_file=str(tmp_path / f"{k}.json"),
            log=str(tmp_path / f"{k}.log"),
            before=CellStatus(),
        )
        for k in range(count)
    ]


@pytest.mark.parametrize("num_cores", range(1, 17))
@pytest.mark.parametrize("num_cells", [1, 2, 5, 100])
@pytest.mark.parametrize("num_slots", [None, 1, 3])
def test_the_default_never_puts_two_threads_on_a_core(num_cores: int, num_cells: int, num_slots: int | None) -> None:
    jobs, threads = plan_local(num_cells, num_cores=num_cores, num_slots=num_slots, jobs=None, threads=None)
    assert 1 <= jobs * threads <= num_cores
    assert jobs <= num_cells


@pytest.mark.parametrize("num_cores", [1, 2, 3, 8])
def test_neither_does_one_choice_alone_where_it_can_be_helped(num_cores: int) -> None:
    for jobs in range(1, num_cores + 1):
        assert plan_local(9, num_cores=num_cores, num_slots=None, jobs=jobs, threads=None)[1] * jobs <= num_cores
    for threads in range(1, num_cores + 1):
        assert plan_local(9, num_cores=num_cores, num_slots=None, jobs=None, threads=threads)[0] * threads <= num_cores


def test_every_job_comes_back_once_whatever_its_cell_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import json, os, sys; seed = json.loads(sys.stdin.readline())['seed']; seed == 1 and os.kill(os.getpid(), 9)"
    )
    monkeypatch.setattr(cell, "_COMMAND", [cell.sys.executable, "-c", code])
    opened = open_engine(EngineSettings(jobs=2), num_cells=4)
    statuses = dict(opened.run(jobs_for(tmp_path, 4)))
    assert {name: status.state for name, status in statuses.items()} == {
        "cell-0": "finished",
        "cell-1": "failed",
        "cell-2": "finished",
        "cell-3": "finished",
    }


def test_cells_at_once_are_no_more_than_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    working, most = [], []

    def work(job: Job) -> tuple[str, CellStatus]:
        working.append(job.name)
        most.append(len(working))
        time.sleep(0.05)
        working.remove(job.name)
        return job.name, CellStatus(state="finished")

    monkeypatch.setattr(engine, "work", work)
    list(open_engine(EngineSettings(jobs=2), num_cells=6).run(jobs_for(tmp_path, 6)))
    assert max(most) == 2


def test_shares_of_gpus_are_handed_out_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert engine._gpu_slots(0.5) == ["0", "1", "0", "1"]
    assert engine._gpu_slots(1) == ["0", "1"]
    assert engine._gpu_slots(2) == ["0,1"]
    assert engine._gpu_slots(0) is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    assert engine._gpu_slots(1) == ["GPU-a", "GPU-b"]


def test_more_gpus_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(InvalidArgumentError, match="this machine has 1 usable"):
        engine._gpu_slots(2)


def test_an_address_where_nothing_listens_is_refused_within_seconds() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    start_s = time.monotonic()
    with pytest.raises(TopdisError, match=f"no cluster answers at {address}"):
        engine._require_listener(address, "ray start")
    assert time.monotonic() - start_s < 5


def test_a_client_that_waits_for_ever_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_ANSWER_S", 0.2)
    with pytest.raises(TopdisError, match="no answer in"):
        engine._connect(lambda: time.sleep(30), "10.0.0.1:1", "ray start")


@pytest.mark.parametrize("name", ["ray", "dask"])
def test_an_engine_that_is_not_installed_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=rf"pip install 'topdis-gan\[{name}\]'"):
        open_engine(EngineSettings(engine=name, address="127.0.0.1:9"), num_cells=1)  # type: ignore[arg-type]
