"""Two real Ray nodes on this machine: the suite runs on both, survives a killed worker, and equals the local one."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganspace_topdis.errors import TopdisError
from vae.evaluation.run import read_evaluation
from vae.suite import cell as cell_module
from vae.suite.engine import CellOptions, EngineSettings, open_engine
from vae.suite.grid import Grid
from vae.suite.grid_file import parse_grid
from vae.suite.results import read_status
from vae.suite.run import run_suite

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
ROOT = str(Path(cell_module.__file__).parents[2])
OPTIONS = CellOptions(device="cpu", pictures=False)
CELLS = """
name = "two"
seeds = [0, 1]
metrics = ["mig"]
[base]
data = "dsprites:shape=2,scale=2,orientation=2,posX=4,posY=4"
network = "fc"
width = 0.02
steps = 1200
batch_size = 8
[axes.method.VAE]
method = "vae"
"""


def grid() -> Grid:
    return parse_grid(CELLS)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes with one CPU each."""
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # Ray's sockets need a short path
    environment = {**os.environ, "PYTHONPATH": ROOT, "RAY_USAGE_STATS_ENABLED": "0"}
    common = ["--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats"]
    start = [str(Path(sys.executable).with_name("ray")), "start"]
    head = [f"--port={port}", "--head", "--include-dashboard=false", f"--temp-dir={folder}"]
    try:
        for options in (head, [f"--address=127.0.0.1:{port}"]):
            subprocess.run([*start, *options, *common], env=environment, check=True, capture_output=True, timeout=120)
        yield f"127.0.0.1:{port}"
    finally:
        _disconnect()
        for number in (signal.SIGTERM, signal.SIGKILL):  # asked to, a node ends its agents too
            for pid in _processes(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(3)
        shutil.rmtree(folder, ignore_errors=True)


def _disconnect() -> None:
    import ray

    ray.shutdown()


def _processes(text: str) -> list[int]:
    """The processes whose command line holds `text`."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and int(path.name) != os.getpid():
            with contextlib.suppress(OSError):
                if text in (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                    found.append(int(path.name))
    return found


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _kill_a_worker(run: Path, killed: list[int]) -> None:
    """Kill the Ray worker of the first cell that has a line in its log."""
    deadline_s = time.monotonic() + 240
    while time.monotonic() < deadline_s and not killed:
        time.sleep(0.1)
        for lock in run.glob("*/.lock"):
            if (lock.parent / "metrics.jsonl").exists():
                with contextlib.suppress(OSError, ValueError):
                    parent = _parent(int(lock.read_text()))
                    os.kill(parent, signal.SIGKILL)
                    killed.append(parent)
                    return


def test_two_nodes_survive_a_killed_worker_and_give_the_local_results(address: str, tmp_path: Path) -> None:
    killed: list[int] = []
    thread = threading.Thread(target=_kill_a_worker, args=(tmp_path / "ray" / "cells", killed))
    thread.start()
    engine = EngineSettings(engine="ray", address=address)
    on_ray = run_suite(grid(), tmp_path / "ray", engine=engine, options=OPTIONS)
    thread.join()
    assert killed
    assert max(read_status(on_ray.status_file(cell)).attempts for cell in grid().cells) > 1
    here = run_suite(grid(), tmp_path / "local", engine=EngineSettings(jobs=2), options=OPTIONS)
    for cell in grid().cells:
        ours, theirs = read_evaluation(here.cell_folder(cell)), read_evaluation(on_ray.cell_folder(cell))
        assert ours is not None
        assert theirs is not None
        assert ours["scores"] == theirs["scores"]


def test_both_nodes_get_a_cell(address: str) -> None:
    assert open_engine(EngineSettings(engine="ray", address=address), num_cells=5).jobs == 2


def test_an_address_without_a_cluster_is_refused_within_ten_seconds_of_rays_import() -> None:
    pytest.importorskip("ray.util.joblib")
    for wrong in ("127.0.0.1:9", "auto"):
        if wrong == "auto" and _processes("raylet"):
            continue
        start_s = time.monotonic()
        with pytest.raises(TopdisError, match="no cluster answers at"):
            open_engine(EngineSettings(engine="ray", address=wrong), num_cells=1)
        assert time.monotonic() - start_s < 10
