"""Cells that were finished elsewhere, from the tables of a report."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ganspace_topdis import __version__
from ganspace_topdis.errors import RunFolderError
from tests.vae.suite.small_suite import finish, grid
from vae.suite.finished import take_finished
from vae.suite.folder import SuiteFolder
from vae.suite.report import write_report
from vae.suite.results import CellStatus, write_status
from vae.suite.run import run_suite


def table_of_finished(tmp_path: Path, *, num: int = 1) -> Path:
    """cells.csv of a folder elsewhere where the first cells are finished."""
    elsewhere = SuiteFolder.make(tmp_path / "elsewhere", grid())
    for number, each in enumerate(elsewhere.pending()[:num]):
        finish(elsewhere, each, mig=0.1 * (number + 1))
    return next(file for file in write_report(elsewhere.results(), tmp_path / "report") if file.name == "cells.csv")


def test_cells_that_were_finished_elsewhere_are_taken_from_their_table_and_never_twice(tmp_path: Path) -> None:
    table = table_of_finished(tmp_path, num=2)
    here = SuiteFolder.make(tmp_path / "here", grid(seeds=(0, 1, 2)))
    own = here.pending()[0]
    finish(here, own, mig=0.9)
    assert take_finished(here, table) == 1
    assert take_finished(here, table) == 0
    taken = {(r.labels["variant"], r.seed): r for r in here.results().records if r.state == "finished"}
    assert {key: record.scores for key, record in taken.items()} == {
        ("plain", 0): {"mig": 0.9},  # what is finished here stays
        ("TopDis", 0): {"mig": 0.2},
    }
    assert (taken["TopDis", 0].duration_s, taken["TopDis", 0].device) == (60.0, "cpu")
    assert len(here.pending()) == 4


def test_the_curve_of_a_cell_is_taken_with_its_scores(tmp_path: Path) -> None:
    elsewhere = SuiteFolder.make(tmp_path / "elsewhere", grid())
    for each in elsewhere.pending()[:2]:
        finish(elsewhere, each)
    with_curve = elsewhere.grid.cells[0]
    log = elsewhere.cell_folder(with_curve) / "metrics.jsonl"
    log.write_text('{"step": 5, "mig": 0.125}\n{"step": 7, "loss": 1}\n{"step": 10, "mig": 0.25}\n')
    write_report(elsewhere.results(), tmp_path / "report")
    lines = (tmp_path / "report" / "curves.csv").read_text().splitlines()
    assert lines == ["method,variant,seed,step,mig", "VAE,plain,0,5,0.125", "VAE,plain,0,10,0.25"]
    here = SuiteFolder.make(tmp_path / "here", grid())
    (tmp_path / "report" / "curves.csv").write_text("\n".join([*lines[:2], "VAE,plain,0,10,much"]))
    with pytest.raises(RunFolderError, match=r"curves.csv is no table of a report of this suite .could not convert"):
        take_finished(here, tmp_path / "report" / "cells.csv")
    assert not any(record.scores for record in here.results().records)
    (tmp_path / "report" / "curves.csv").write_text("\n".join(lines))
    assert take_finished(here, tmp_path / "report" / "cells.csv") == 2
    assert {r.setting: r.curve for r in here.results().records if r.curve} == {
        tuple(with_curve.labels.items()): ((5, 0.125), (10, 0.25))
    }
    write_report(here.results(), tmp_path / "next")
    assert (tmp_path / "next" / "curves.csv").read_bytes() == b"\n".join(map(str.encode, [*lines, ""]))


def test_a_report_without_curves_has_no_file_of_them(tmp_path: Path) -> None:
    assert not table_of_finished(tmp_path).with_name("curves.csv").exists()


def test_a_table_of_other_scores_or_another_version_is_refused_and_an_older_one_is_not(tmp_path: Path) -> None:
    table = table_of_finished(tmp_path)
    here = SuiteFolder.make(tmp_path / "here", grid(metrics=("mig", "sap")))
    with pytest.raises(RunFolderError, match=r"with metrics all, this suite has mig\+sap; leave it out"):
        take_finished(here, table)
    here = SuiteFolder.make(tmp_path / "newer", grid())
    table.write_text(table.read_text().replace(f",{__version__},", ",0.0.1,"))
    with pytest.raises(RunFolderError, match=f"with version 0.0.1, this suite has {__version__}"):
        take_finished(here, table)
    rows = [line.split(",") for line in table.read_text().splitlines()]
    kept = [place for place, name in enumerate(rows[0]) if name not in ("metrics", "max_images", "version")]
    table.write_text("".join(",".join(row[place] for place in kept) + "\n" for row in rows))
    assert take_finished(here, table) == 1


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("settings", "0" * 12, "with other settings than this suite"),
        ("score", "0.9", "twice, with different scores"),
        ("version", "0.0.1", "with version 0.0.1"),
        ("duration_s", "nan", "a duration_s is no number of seconds"),
        ("duration_s", "-1", "a duration_s is no number of seconds"),
        ("duration_s", "1h", "could not convert"),
    ],
)
def test_a_later_row_that_does_not_fit_the_first_of_its_cell_is_refused(
    tmp_path: Path, column: str, value: str, reason: str
) -> None:
    table = table_of_finished(tmp_path, num=2)
    here = SuiteFolder.make(tmp_path / "here", grid())
    rows = [line.split(",") for line in table.read_text().splitlines()]
    last = next(row for row in reversed(rows) if "finished" in row)
    changed = [value if name == column else cell for name, cell in zip(rows[0], last, strict=True)]
    table.write_text("".join(",".join(row) + "\n" for row in [*rows, changed]))
    with pytest.raises(RunFolderError, match=reason):
        take_finished(here, table)
    assert len(here.pending()) == 4


def test_a_row_that_stands_twice_is_taken_once(tmp_path: Path) -> None:
    table = table_of_finished(tmp_path)
    row = next(line for line in table.read_text().splitlines() if ",finished," in line)
    table.write_text(f"{table.read_text()}{row}\n")
    assert take_finished(SuiteFolder.make(tmp_path / "here", grid()), table) == 1


def test_a_cell_that_stopped_halfway_has_neither_its_score_nor_its_curve_where_another_finished(tmp_path: Path) -> None:
    elsewhere = SuiteFolder.make(tmp_path / "elsewhere", grid())
    finish(elsewhere, elsewhere.grid.cells[0], mig=0.9)
    log = elsewhere.cell_folder(elsewhere.grid.cells[0]) / "metrics.jsonl"
    log.write_text('{"step": 10, "mig": 0.9}\n')
    write_report(elsewhere.results(), tmp_path / "report")
    here = SuiteFolder.make(tmp_path / "here", grid())
    first = here.grid.cells[0]
    finish(here, first, mig=0.1)
    file = here.cell_folder(first) / "evaluation.json"
    file.write_text(file.read_text().replace('"metrics": null', '"step": 4, "metrics": null'))
    (here.cell_folder(first) / "metrics.jsonl").write_text('{"step": 4, "mig": 0.1}\n')
    write_status(here.status_file(first), CellStatus(state="stopped"))
    assert take_finished(here, tmp_path / "report" / "cells.csv") == 1
    record = here.results().records[0]
    assert (record.scores, record.curve) == ({"mig": 0.9}, ((10, 0.9),))


def test_a_cell_whose_scores_were_taken_can_be_trained_here_when_more_are_asked_for(tmp_path: Path) -> None:
    table = table_of_finished(tmp_path, num=4)
    take_finished(SuiteFolder.make(tmp_path / "here", grid()), table)
    more = SuiteFolder.make(tmp_path / "here", grid(metrics=("mig", "sap")))
    assert len(more.pending()) == 4
    assert not any(more.cell_folder(each).exists() for each in more.pending())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("seed", "side"), "its columns are not those of this suite"),
        (lambda text: text.replace(",0.1\n", ",nan\n"), "a score is not finite"),
        (lambda text: text.replace(",0.1\n", ",much\n"), "could not convert"),
        (lambda text: text.replace("plain,0", "plain,x"), "invalid literal"),
        (lambda text: "", "its columns"),
    ],
)
def test_a_table_that_is_none_changes_nothing(change: Callable[[str], str], reason: str, tmp_path: Path) -> None:
    table = table_of_finished(tmp_path)
    table.write_text(change(table.read_text()))
    here = SuiteFolder.make(tmp_path / "here", grid())
    with pytest.raises(RunFolderError, match=reason):
        take_finished(here, table)
    assert len(here.pending()) == 4


def test_finished_cells_with_other_settings_are_refused(tmp_path: Path) -> None:
    table = table_of_finished(tmp_path)
    here = SuiteFolder.make(tmp_path / "here", grid(steps=11))
    with pytest.raises(RunFolderError, match="vae--plain--seed-0 with other settings"):
        take_finished(here, table)
    with pytest.raises(RunFolderError, match="No such file"):
        take_finished(here, tmp_path / "none.csv")
    assert len(here.pending()) == 4


def test_a_suite_whose_cells_are_all_finished_elsewhere_runs_nothing(tmp_path: Path) -> None:
    table = table_of_finished(tmp_path, num=4)
    folder = run_suite(grid(), tmp_path / "here", finished=table)
    assert not folder.pending()
    assert not list((tmp_path / "here" / "logs").iterdir())
