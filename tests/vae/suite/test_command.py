import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.vae.suite.test_folder import finish, grid
from vae.cli import report, suite
from vae.suite.command import show_status, write_suite_report
from vae.suite.folder import SuiteFolder


@pytest.fixture
def folder(tmp_path: Path) -> SuiteFolder:
    made = SuiteFolder.make(tmp_path / "out", grid())
    for cell in made.grid.cells[:3]:
        finish(made, cell, mig=0.1 * cell.seed)
    return made


def test_the_status_is_a_table_for_people_and_a_document_for_programs(folder: SuiteFolder) -> None:
    written: list[str] = []
    document = show_status(folder.path, written.append, live=False)
    assert written[0].startswith("4 cells: 3 finished, 1 missing")
    assert [cell["state"] for cell in document["cells"]].count("finished") == 3
    printed = CliRunner().invoke(suite, ["--status", str(folder.path), "--json"]).stdout
    assert json.loads(printed)["cells"] == document["cells"]


def test_the_report_goes_into_the_results_folder_or_where_it_is_told(folder: SuiteFolder, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert write_suite_report(folder.path, None, None)[0] == folder.path / "report" / "report.html"
    result = CliRunner().invoke(report, [str(folder.path), "--out", str(tmp_path / "there")])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == str(tmp_path / "there" / "report.html")


def test_two_results_are_set_side_by_side(folder: SuiteFolder, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    other = SuiteFolder.make(tmp_path / "old", dataclasses.replace(grid(), description="old"))
    finish(other, other.grid.cells[0], mig=0.5)
    text = write_suite_report(folder.path, tmp_path / "both", other.path)[1].read_text()
    assert f"Beside the results in {other.path}" in text
    assert "| MIG | VAE, plain | 0.050 ± 0.071 | 0.500 (1) | −0.450 |" in text


def test_a_suite_needs_either_a_grid_or_a_folder_to_show() -> None:
    assert CliRunner().invoke(suite, []).exit_code == 2
    assert CliRunner().invoke(suite, ["quick", "--status", "x"]).exit_code == 2
