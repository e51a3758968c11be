import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ganspace_topdis import __version__
from ganspace_topdis.errors import RunFolderError
from vae.suite.folder import SuiteFolder, progress_of, progress_table
from vae.suite.grid import Cell, Grid
from vae.suite.results import CellStatus, write_status


def grid(
    *, seeds: tuple[int, ...] = (0, 1), name: str = "small", steps: int = 10, metrics: tuple[str, ...] = ()
) -> Grid:
    cells = [
        Cell(
            labels={"method": "VAE", "variant": variant}, seed=seed, settings={"method": "vae", "steps": steps, **more}
        )
        for variant, more in (("plain", {}), ("TopDis", {"topdis": {"weight": 5.0}}))
        for seed in seeds
    ]
    return Grid(
        name=name,
        description="",
        notes=("A note.",),
        cells=tuple(cells),
        metrics=metrics or None,
        max_images=None,
        axis="variant",
        baseline="plain",
    )


def finish(folder: SuiteFolder, cell: Cell, *, mig: float = 0.5, metrics: list[str] | None = None) -> None:
    run = folder.cell_folder(cell)
    run.mkdir()
    evaluation = {
        "request": {"metrics": metrics, "max_images": None},
        "scores": {"mig": mig},
        "files": [],
        "device": "cpu",
    }
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    write_status(folder.status_file(cell), CellStatus(state="finished", attempts=1, duration_s=60.0))


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
    assert states == ["finished", "missing", "failed", "missing"]


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
