"""The suite with cells that train for real, and with cells that only pretend to."""

import json
import sys
from pathlib import Path

import pytest

from ganspace_topdis.errors import RunFolderError, TopdisError
from ganspace_topdis.runs.lock import FolderLock
from tests.vae.suite.test_folder import grid
from vae.suite import cell
from vae.suite.folder import SuiteFolder
from vae.suite.grid_file import parse_grid
from vae.suite.run import SettingCost, estimate, estimate_text, run_suite
from vae.suite.settings import CellOptions, EngineSettings

PRETEND = """
import json, os, pathlib, sys
task = json.loads(sys.stdin.readline())
count = pathlib.Path(task["folder"] + ".count")
tries = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(tries))
if task["seed"] == 1 and "topdis" in task["settings"] and tries == 1:
    os.kill(os.getpid(), 9)
folder = pathlib.Path(task["folder"])
folder.mkdir(exist_ok=True)
request = {"metrics": task["metrics"], "max_images": task["max_images"]}
scores = {"request": request, "scores": {"mig": task["seed"] / 10}, "files": [], "device": "cpu"}
(folder / "evaluation.json").write_text(json.dumps(scores))
"""
REAL = """
name = "real"
seeds = [0]
metrics = ["mig", "unsupervised"]
[base]
data = "dsprites:shape=2,scale=2,orientation=2,posX=4,posY=4"
network = "fc"
width = 0.02
steps = 6
batch_size = 8
log_every = 2
[axes.method.VAE]
method = "vae"
topdis = { weight = 5.0 }
"""


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell, "_COMMAND", [sys.executable, "-c", PRETEND])


@pytest.mark.usefixtures("pretend")
def test_a_killed_cell_is_marked_the_rest_go_on_and_the_same_command_fills_the_gap(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(TopdisError, match=r"1 of 4 cells failed \(vae--topdis--seed-1: killed by SIGKILL\)"):
        run_suite(grid(), out, engine=EngineSettings(jobs=2))
    assert [record.state for record in SuiteFolder.load(out).results().records].count("finished") == 3
    run_suite(grid(), out, engine=EngineSettings(jobs=2))
    folder = SuiteFolder.load(out)
    assert not folder.pending()
    counts = {path.name.removesuffix(".count"): path.read_text() for path in (out / "cells").glob("*.count")}
    assert counts == {cell.name: "2" if cell.name == "vae--topdis--seed-1" else "1" for cell in folder.grid.cells}


@pytest.mark.usefixtures("pretend")
def test_a_second_suite_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    SuiteFolder.make(tmp_path / "out", grid())
    lock = FolderLock(tmp_path / "out")
    with pytest.raises(RunFolderError, match="in use by process"):
        run_suite(grid(), tmp_path / "out")
    lock.release()


def test_a_real_cell_trains_is_scored_and_leaves_a_run_folder(tmp_path: Path) -> None:
    folder = run_suite(
        parse_grid(REAL),
        tmp_path / "out",
        engine=EngineSettings(jobs=1),
        options=CellOptions(device="cpu", pictures=False),
    )
    [record] = folder.results().records
    assert record.state == "finished"
    assert {"mig", "reconstruction", "live_latents"} < set(record.scores)
    run = folder.cell_folder(folder.grid.cells[0])
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    assert (run / "checkpoints").is_dir()


GRID = """
name = "two"
seeds = [0, 1, 2]
[base]
network = "fc"
width = 0.02
steps = 1000
batch_size = 8
[axes.data.drawn]
data = "dsprites"
[axes.data.absent]
data = "3dshapes"
"""


def test_every_setting_is_timed_and_one_without_its_data_says_why(tmp_path: Path) -> None:
    drawn, absent = estimate(parse_grid(GRID), device="cpu", data_root=tmp_path)
    assert drawn.step_s is not None
    assert 0 < drawn.step_s < 5
    assert (drawn.num_cells, drawn.steps) == (3, 1000)
    assert absent.step_s is None
    assert "3dshapes" in absent.reason


def test_the_text_counts_the_cells_and_shares_the_time_among_those_at_once() -> None:
    costs = [
        SettingCost(setting=(("method", "VAE"),), num_cells=3, steps=1000, step_s=0.1),
        SettingCost(setting=(("method", "DAVA"),), num_cells=3, steps=2000, step_s=None, reason="no data"),
    ]
    first, second, last = estimate_text(costs, jobs=3).splitlines()
    assert first == "VAE   3 cells of 1000 steps, 100 ms each: 1 min 40 s per cell"
    assert "not timed (no data)" in second
    assert last.startswith("6 cells, 3 at once: 1 min 40 s of training, without the settings that could not be timed")
