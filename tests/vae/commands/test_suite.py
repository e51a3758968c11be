import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ganspace_topdis.errors import InvalidArgumentError
from tests.vae.suite.test_folder import finish, grid
from vae.cli import report, suite
from vae.commands import report as report_command
from vae.commands import suite as suite_command
from vae.suite.folder import SuiteFolder

TINY = """
name = "tiny"
seeds = [0]
metrics = ["mig"]
[base]
data = "dsprites:shape=2,scale=2,orientation=2,posX=4,posY=4"
network = "fc"
width = 0.02
steps = 4
batch_size = 8
[axes.method.VAE]
method = "vae"
"""


@pytest.fixture
def folder(tmp_path: Path) -> SuiteFolder:
    made = SuiteFolder.make(tmp_path / "out", grid())
    for cell in made.grid.cells[:3]:
        finish(made, cell, mig=0.1 * cell.seed)
    return made


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def status_options(path: Path, *, live: bool = False) -> dict[str, Any]:
    return {"grid": None, "status": path, "live": live, "dry_run": False}


def write(path: Path, out: Path | None = None, against: Path | None = None) -> list[str]:
    files: list[str] = report_command.execute({"results": path, "out": out, "against": against})["files"]
    return files


def test_the_status_is_a_table_for_people_and_a_document_for_programs(folder: SuiteFolder) -> None:
    options = status_options(folder.path)
    record = suite_command.execute(options)
    assert suite_command.to_text(record, options).startswith("4 cells: 3 finished, 1 missing")
    assert [cell["state"] for cell in record["cells"]].count("finished") == 3
    printed = CliRunner().invoke(suite, ["--status", str(folder.path), "--json"]).stdout
    assert json.loads(printed)["cells"] == record["cells"]


def test_a_live_status_ends_when_no_cell_runs_or_waits(folder: SuiteFolder) -> None:
    finish(folder, folder.grid.cells[3])
    record = suite_command.execute(status_options(folder.path, live=True))
    assert {cell["state"] for cell in record["cells"]} == {"finished"}


def test_a_suite_is_run_and_its_folder_printed(tiny: Path, tmp_path: Path) -> None:
    arguments = [str(tiny), "--out", str(tmp_path / "out"), "--jobs", "1", "--device", "cpu", "--no-pictures"]
    result = CliRunner().invoke(suite, arguments)
    assert result.stdout.strip() == str(tmp_path / "out"), result.output
    assert [record.state for record in SuiteFolder.load(tmp_path / "out").results().records] == ["finished"]


def test_a_dry_run_estimates_the_cost_and_runs_nothing(tiny: Path, tmp_path: Path) -> None:
    arguments = [str(tiny), "--out", str(tmp_path / "out"), "--jobs", "1", "--device", "cpu", "--dry-run"]
    assert CliRunner().invoke(suite, arguments).stdout.startswith("VAE  1 cells of 4 steps, ")
    assert json.loads(CliRunner().invoke(suite, [*arguments, "--json"]).stdout)["settings"][0]["steps"] == 4
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [{"grid": None, "status": None}, {"grid": "quick", "status": Path("x")}])
def test_a_suite_needs_either_a_grid_or_a_folder_to_show(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="give either a preset or a TOML file, or --status"):
        suite_command.execute({**given, "live": False, "dry_run": False})


def test_the_report_goes_into_the_results_folder_or_to_out(folder: SuiteFolder, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert write(folder.path)[0] == str(folder.path / "report" / "report.html")
    result = CliRunner().invoke(report, [str(folder.path), "--out", str(tmp_path / "there")])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == str(tmp_path / "there" / "report.html")


def test_two_results_are_compared(folder: SuiteFolder, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    other = SuiteFolder.make(tmp_path / "old", dataclasses.replace(grid(), description="old"))
    finish(other, other.grid.cells[0], mig=0.5)
    text = Path(write(folder.path, tmp_path / "both", other.path)[1]).read_text()
    assert f"Compared with the results in {other.path}" in text
    assert "| MIG | VAE, plain | 0.050 ± 0.071 | 0.500 (1) | −0.450 |" in text
