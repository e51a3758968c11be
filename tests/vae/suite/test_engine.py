import socket
import time
from pathlib import Path

import pytest

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError, TopdisError
from vae.suite import cell, engine
from vae.suite.cell import CellTask, Job
from vae.suite.engine import open_engine, plan_local
from vae.suite.results import CellStatus
from vae.suite.settings import EngineSettings


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
