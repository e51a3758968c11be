"""The results folder of a suite, and running the cells that it lacks."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganspace_topdis import __version__
from ganspace_topdis.errors import InvalidArgumentError, RunFolderError, TopdisError
from ganspace_topdis.program import cli
from ganspace_topdis.runs.files import FolderLock, make_folder
from tests.vae.suite.small_suite import finish, grid
from vae.settings import TrainSettings
from vae.suite import cell
from vae.suite.engine import CellOptions, EngineSettings
from vae.suite.folder import SuiteFolder
from vae.suite.grid import Cell
from vae.suite.grid_file import parse_grid
from vae.suite.progress import progress_of, progress_table
from vae.suite.report import write_report
from vae.suite.results import CellStatus, write_status
from vae.suite.run import SettingCost, cells_left, estimate, estimate_text, run_suite


def test_a_new_folder_has_every_cell_to_do_seed_by_seed(tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid())
    assert [(cell.labels["variant"], cell.seed) for cell in folder.pending()] == [
        ("plain", 0),
        ("TopDis", 0),
        ("plain", 1),
        ("TopDis", 1),
    ]


def test_what_was_made_is_loaded_as_it_was(tmp_path: Path) -> None:
    SuiteFolder.make(tmp_path / "out", grid(metrics=("mig",)))
    loaded = SuiteFolder.load(tmp_path / "out")
    assert loaded.grid == grid(metrics=("mig",))
    assert loaded.version == __version__


def test_only_finished_cells_with_the_evaluation_asked_for_are_done(tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid())
    first, second, third, _ = folder.grid.cells
    finish(folder, first)
    finish(folder, second, metrics=["dci"])
    write_status(folder.status_file(third), CellStatus(state="failed", reason="nan"))
    assert len(folder.pending()) == 3
    states = [record.state for record in folder.results().records]
    assert states == ["finished", "unevaluated", "failed", "missing"]
    report = write_report(folder.results(), tmp_path / "report")[1].read_text()
    assert "2 of 4 cells have no scores" not in report
    assert "3 of 4 cells have no scores (1 unevaluated, 1 failed, 1 missing)" in report
    assert "its evaluation is not the one that the suite asks for; rerun the suite" in report


@pytest.mark.parametrize("change", [{"step": 4}, {"seed": 7}, {"num_reconstructed": 3}, {"max_images": 60}])
def test_an_evaluation_of_part_of_the_training_or_with_other_draws_is_not_the_cell_s(change, tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid())
    first = folder.grid.cells[0]
    finish(folder, first)
    file = folder.cell_folder(first) / "evaluation.json"
    evaluation = json.loads(file.read_text())
    whole = {"step": 10, "seed": 0, "num_reconstructed": 5000, "metrics": None, "max_images": None, "version": "any"}
    file.write_text(json.dumps({**evaluation, "request": whole}))
    assert folder.evaluation(first) is not None
    file.write_text(json.dumps({**evaluation, "request": {**whole, **change}}))
    assert folder.evaluation(first) is None


def test_results_hold_scores_reasons_times_and_devices(tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid())
    finish(folder, folder.grid.cells[0], mig=0.25)
    results = folder.results()
    first = results.records[0]
    assert (first.score("mig"), first.duration_s, first.device) == (0.25, 60.0, "cpu")
    assert (results.axis, results.baseline, results.notes) == ("variant", "plain", ("A note.",))


def test_a_mark_that_nobody_works_on_reads_as_failed(tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid())
    write_status(folder.status_file(folder.grid.cells[0]), CellStatus(state="running"))
    status = folder.status(folder.grid.cells[0])
    assert status.state == "failed"
    assert "killed" in status.reason


def test_seeds_are_added_to_what_is_there(tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid(seeds=(0, 1)))
    finish(folder, folder.grid.cells[0])
    more = SuiteFolder.make(tmp_path / "out", grid(seeds=(2,)))
    assert [cell.seed for cell in more.grid.cells] == [0, 1, 2, 0, 1, 2]
    assert len(more.pending()) == 5


def test_another_suite_or_other_settings_are_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    SuiteFolder.make(tmp_path / "out", grid())
    before = (tmp_path / "out" / "suite.json").read_bytes()
    with pytest.raises(RunFolderError, match="holds suite 'small', not 'other'"):
        SuiteFolder.make(tmp_path / "out", grid(name="other"))
    with pytest.raises(RunFolderError, match="vae--plain--seed-0, where steps was 10 and is now 20"):
        SuiteFolder.make(tmp_path / "out", grid(steps=20))
    assert (tmp_path / "out" / "suite.json").read_bytes() == before


def test_results_of_another_version_are_compared_and_left_alone(tmp_path: Path) -> None:
    SuiteFolder.make(tmp_path / "out", grid())
    file = tmp_path / "out" / "suite.json"
    file.write_text(json.dumps({"version": "0.0.1", "grid": asdict(grid(steps=20))}))
    before = file.read_bytes()
    with pytest.raises(RunFolderError) as caught:
        SuiteFolder.make(tmp_path / "out", grid())
    message = str(caught.value)
    for part in ("topdis-gan 0.0.1", "4 of its 4 cells", "0 with the same settings", "report NEW --against"):
        assert part in message
    assert file.read_bytes() == before
    assert SuiteFolder.load(tmp_path / "out").results().version == "0.0.1"


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="not a results folder of a suite"):
        SuiteFolder.make(tmp_path, grid())
    with pytest.raises(RunFolderError, match=r"no suite\.json"):
        SuiteFolder.load(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"suite\.json cannot be read"):
        SuiteFolder.load(tmp_path)


def test_other_axes_cannot_be_added(tmp_path: Path) -> None:
    SuiteFolder.make(tmp_path / "out", grid())
    other = replace(grid(), cells=(Cell(labels={"method": "VAE"}, seed=0, settings={}),))
    with pytest.raises(RunFolderError, match="other axes"):
        SuiteFolder.make(tmp_path / "out", other)


def test_the_table_has_a_row_a_setting_and_says_why_cells_failed(tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid())
    first, second, third, _ = folder.grid.cells
    finish(folder, first)
    write_status(folder.status_file(second), CellStatus(state="failed", reason="killed by SIGKILL"))
    write_status(folder.status_file(third), CellStatus(state="stopped"))
    assert progress_table(progress_of(folder)).splitlines() == [
        "4 cells: 1 failed, 1 finished, 1 missing, 1 stopped",
        "",
        "VAE, plain   0: finished   1: failed",
        "VAE, TopDis  0: stopped   1: waiting",
        "",
        "vae--plain--seed-1: killed by SIGKILL",
    ]


def test_the_step_is_the_last_whole_line_of_the_log(tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid())
    run = folder.cell_folder(folder.grid.cells[0])
    run.mkdir()
    (run / "metrics.jsonl").write_bytes(b'{"step": 3}\n{"step": 6}\n{"step": 7, "lo')
    assert [cell.step for cell in progress_of(folder)] == [6, 0, 0, 0]
    assert progress_of(folder)[0].num_steps == 10


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
metrics = ["mig", "mcc", "infomec"]
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
    assert {"mig", "mcc_pearson", "infomec_modularity", "reconstruction", "live_latents"} < set(record.scores)
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
    drawn, absent = estimate(parse_grid(GRID).cells, options=CellOptions(device="cpu", data_root=tmp_path))
    assert drawn.step_s is not None
    assert 0 < drawn.step_s < 5
    assert (drawn.num_cells, drawn.steps) == (3, 1000)
    assert absent.step_s is None
    assert "3dshapes" in absent.reason


def test_a_dry_run_times_the_steps_before_topdis_as_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, str]] = []

    def step_seconds(settings: TrainSettings, _data: object, *, options: CellOptions, **_more: object) -> float:
        seen.append((settings.topdis is None, options.compile))
        return 1.0 if settings.topdis is None else 3.0

    monkeypatch.setattr("vae.training.pace.step_seconds", step_seconds)
    cells = parse_grid(GRID.replace("[axes.data.absent]", "[axes.data.other]\ntopdis.delay = 750")).cells[-1:]
    assert cells[0].settings["topdis"] == {"delay": 750}
    cells[0].settings["data"] = "dsprites"
    (cost,) = estimate(cells, options=CellOptions(device="cpu", compile="default"))
    assert cost.step_s == 1.5
    assert seen == [(True, "default"), (False, "default")]


def test_a_dry_run_leaves_out_what_is_not_asked_for_and_what_is_finished(tmp_path: Path) -> None:
    suite, out = parse_grid(GRID), tmp_path / "out"
    left = cells_left(suite, out, only="drawn--seed-[01]")
    assert [cell.seed for cell in left] == [0, 1]
    assert [cost.num_cells for cost in estimate(left, options=CellOptions(device="cpu"))] == [2]
    assert not out.exists()
    folder = SuiteFolder.make(tmp_path / "elsewhere", suite)
    for each in folder.grid.cells[:2]:
        finish(folder, each)
    assert len(cells_left(suite, folder.path, only="drawn*")) == 1
    table = next(file for file in write_report(folder.results(), tmp_path / "report") if file.name == "cells.csv")
    assert len(cells_left(suite, out, finished=table)) == 4
    assert cells_left(suite, folder.path, only="drawn--seed-0") == []
    assert estimate([]) == []
    assert estimate_text([], jobs=2).startswith("0 cells")
    with pytest.raises(InvalidArgumentError, match="matches no cell"):
        cells_left(suite, out, only="none")


def test_a_dry_run_plans_jobs_for_the_cells_that_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae.suite.engine._num_cores", lambda: 4)
    grid, out = tmp_path / "grid.toml", tmp_path / "out"
    grid.write_text(GRID)

    def dry(only: str, *more: str) -> str:
        given = ["suite", str(grid), "--only", only, "--dry-run", "--out", str(out), *more]
        result = CliRunner().invoke(cli, given, catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    for only, jobs in (("drawn--seed-0", 1), ("drawn*", 3), ("*", 4)):
        assert json.loads(dry(only, "--json"))["jobs"] == jobs
    folder = SuiteFolder.make(out, parse_grid(GRID))
    finish(folder, folder.grid.cells[0])
    assert dry("drawn--seed-0").startswith("0 cells, 1 at once")


def test_the_text_counts_the_cells_and_shares_the_time_among_those_at_once() -> None:
    costs = [
        SettingCost(setting=(("method", "VAE"),), num_cells=3, steps=1000, step_s=0.1),
        SettingCost(setting=(("method", "DAVA"),), num_cells=3, steps=2000, step_s=None, reason="no data"),
    ]
    first, second, last = estimate_text(costs, jobs=3).splitlines()
    assert first == "VAE   3 cells of 1000 steps, 100 ms each: 1 min 40 s per cell"
    assert "not timed (no data)" in second
    assert last.startswith("6 cells, 3 at once: 1 min 40 s of training, without the settings that could not be timed")


def test_mig_that_was_logged_while_training_is_the_curve_of_a_cell(tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid())
    first = folder.grid.cells[0]
    finish(folder, first)
    lines = ({"step": 5, "loss": 1.0}, {"step": 10, "loss": 0.5, "mig": 0.25})
    (folder.cell_folder(first) / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    curves = [record.curve for record in folder.results().records]
    assert curves == [((10, 0.25),), (), (), ()]


def test_a_cell_that_a_killed_suite_left_running_is_recorded_as_failed(tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid())
    lost, alive, done = folder.grid.cells[:3]
    finish(folder, done)
    for each in (lost, alive):
        write_status(folder.status_file(each), CellStatus(state="running", attempts=2))
    suite_lock, cell_lock = FolderLock(folder.path), FolderLock(make_folder(folder.cell_folder(alive)))
    try:
        assert folder.status(lost).state == "running"  # as far as the status tells, the holder of the lock runs it
        folder.record_lost()
        assert [folder.status(each).state for each in (lost, alive, done)] == ["failed", "running", "finished"]
        assert folder.status(lost).attempts == 2
    finally:
        cell_lock.release()
        suite_lock.release()


def test_a_folder_in_use_keeps_its_cells(tmp_path: Path) -> None:
    SuiteFolder.make(tmp_path / "out", grid(seeds=(0,)))
    before = (tmp_path / "out" / "suite.json").read_text()
    with FolderLock(tmp_path / "out"), pytest.raises(RunFolderError, match="is in use by process"):
        run_suite(grid(seeds=(0, 1)), tmp_path / "out")
    assert (tmp_path / "out" / "suite.json").read_text() == before


def test_a_cell_that_was_not_asked_for_fails_no_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(job: cell.Job) -> tuple[str, CellStatus]:
        return job.name, write_status(job.status_file, CellStatus(state="failed", reason="nan"))

    monkeypatch.setattr("vae.suite.engine.work", fail)
    with pytest.raises(TopdisError, match=r"1 of 1 cells failed \(vae--plain--seed-0: nan\)"):
        run_suite(grid(), tmp_path / "out", only="vae--plain--seed-0", engine=EngineSettings(jobs=1))
    folder = SuiteFolder.load(tmp_path / "out")
    finish(folder, folder.grid.cells[1])
    assert run_suite(grid(), tmp_path / "out", only="vae--plain--seed-1").path == tmp_path / "out"


def test_a_cell_that_was_stopped_by_another_than_the_suite_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(job: cell.Job) -> tuple[str, CellStatus]:
        return job.name, write_status(job.status_file, CellStatus(state="stopped", reason="stopped at step 4"))

    monkeypatch.setattr("vae.suite.engine.work", stop)
    with pytest.raises(TopdisError, match=r"1 of 1 cells failed \(vae--plain--seed-0: stopped at step 4\)"):
        run_suite(grid(), tmp_path / "out", only="vae--plain--seed-0", engine=EngineSettings(jobs=1))


def test_a_dry_run_refuses_what_the_run_would(tmp_path: Path) -> None:
    SuiteFolder.make(tmp_path / "out", grid(steps=3))
    with pytest.raises(RunFolderError, match="cells of the same name with other settings"):
        cells_left(grid(steps=6), tmp_path / "out")


def test_only_the_named_cells_run_and_a_name_without_a_cell_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_names: list[str] = []

    def run_one(job: cell.Job) -> tuple[str, CellStatus]:
        run_names.append(job.name)
        return job.name, write_status(job.status_file, CellStatus(state="finished"))

    monkeypatch.setattr("vae.suite.engine.work", run_one)
    run_suite(grid(), tmp_path / "out", only="*--topdis--*", engine=EngineSettings(jobs=1))
    assert sorted(run_names) == ["vae--topdis--seed-0", "vae--topdis--seed-1"]
    with pytest.raises(InvalidArgumentError, match="matches no cell of small; a name is such as vae--plain--seed-0"):
        run_suite(grid(), tmp_path / "out", only="vae--other--*")
