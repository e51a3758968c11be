from pathlib import Path

from vae.suite.checks import faults_of_settings
from vae.suite.estimate import SettingCost, estimate, estimate_text
from vae.suite.grid import parse_grid

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
    drawn, absent = estimate(parse_grid(GRID, faults_of_settings), device="cpu", data_root=tmp_path)
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
    assert first == "VAE   3 cells of 1000 steps, 100 ms each: 1 min 40 s a cell"
    assert "not timed (no data)" in second
    assert last.startswith("6 cells, 3 at once: 1 min 40 s of training, without the settings that could not be timed")
