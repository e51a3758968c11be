from pathlib import Path

from tests.vae.suite.test_folder import finish, grid
from vae.suite.folder import SuiteFolder
from vae.suite.marks import Mark, write_mark
from vae.suite.status import status_of, status_table


def test_the_table_has_a_row_a_setting_and_says_why_cells_failed(tmp_path: Path) -> None:
    folder = SuiteFolder.make(tmp_path / "out", grid())
    first, second, third, _ = folder.grid.cells
    finish(folder, first)
    write_mark(folder.mark_path(second), Mark(state="failed", reason="killed by SIGKILL"))
    write_mark(folder.mark_path(third), Mark(state="stopped"))
    assert status_table(status_of(folder)).splitlines() == [
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
    assert [status.step for status in status_of(folder)] == [6, 0, 0, 0]
    assert status_of(folder)[0].num_steps == 10
