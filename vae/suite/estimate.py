"""What a suite will cost: a few steps of every different setting, timed on this machine.

Trained steps and cells at once come from the grid and the engine; a step is timed once its kernels are warm. The
evaluation is not in it: minutes a cell, and its length hardly depends on the setting.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.runs.devices import choose_device
from ganspace_topdis.runs.progress import Progress, format_duration
from vae.data import open_data
from vae.suite.checks import data_root_for, train_settings
from vae.suite.grid import Cell, Grid
from vae.suite.records import Setting
from vae.suite.tables import setting_name
from vae.training.loop import Training

__all__ = ["SettingCost", "estimate", "estimate_text"]

_WARM_STEPS, _TIMED_STEPS = 3, 10


@dataclass(frozen=True, kw_only=True)
class SettingCost:
    """What the cells of one setting take.

    Attributes:
        setting: which.
        num_cells: seeds.
        steps: of each.
        step_s: seconds a step here; None where it could not be timed.
        reason: why not.
    """

    setting: Setting
    num_cells: int
    steps: int
    step_s: float | None
    reason: str = ""

    @property
    def duration_s(self) -> float | None:
        """Of all its cells, one after the other."""
        return None if self.step_s is None else self.step_s * self.steps * self.num_cells


def estimate(
    grid: Grid, *, device: str = "auto", data_root: Path | None = None, progress: Progress | None = None
) -> list[SettingCost]:
    """Time a few steps of every setting of `grid`; a setting that cannot be trained here says why.

    Args:
        grid: the suite.
        device: as train-vae takes it.
        data_root: the data set's file or folder.
        progress: called with settings done and to do.
    """
    by_setting: dict[Setting, list[Cell]] = {}
    for cell in grid.cells:
        by_setting.setdefault(tuple(cell.labels.items()), []).append(cell)
    costs = []
    for number, (setting, cells) in enumerate(by_setting.items(), start=1):
        costs.append(_cost(setting, cells, device, data_root))
        if progress is not None:
            progress(number, len(by_setting))
    return costs


def estimate_text(costs: Sequence[SettingCost], *, jobs: int) -> str:
    """The estimate as a table, with the time that all cells take when `jobs` run at once without slowing each other."""
    names = [setting_name(cost.setting) for cost in costs]
    width = max(map(len, names))
    lines = [f"{name:{width}}  {_text(cost)}" for name, cost in zip(names, costs, strict=True)]
    num_cells, known = sum(cost.num_cells for cost in costs), [cost.duration_s for cost in costs if cost.duration_s]
    total = sum(known)
    missing = "" if len(known) == len(costs) else ", without the settings that could not be timed"
    last = f"{num_cells} cells, {jobs} at once: {format_duration(total / jobs)} of training{missing}"
    return "\n".join([*lines, f"{last}; evaluations come on top, minutes a cell"])


def _text(cost: SettingCost) -> str:
    if cost.step_s is None or cost.duration_s is None:
        return f"{cost.num_cells} cells of {cost.steps} steps: not timed ({cost.reason})"
    one = format_duration(cost.step_s * cost.steps)
    return f"{cost.num_cells} cells of {cost.steps} steps, {1000 * cost.step_s:.3g} ms each: {one} a cell"


def _cost(setting: Setting, cells: Sequence[Cell], device: str, data_root: Path | None) -> SettingCost:
    settings = train_settings(cells[0].settings, seed=cells[0].seed)
    root = data_root_for(cells[0].settings, data_root)
    cost = SettingCost(setting=setting, num_cells=len(cells), steps=settings.steps, step_s=None)
    if settings.topdis is not None:  # the probe times the steps in which the term acts
        settings = replace(settings, topdis=replace(settings.topdis, delay=0))
    try:
        chosen = choose_device(device)
        training = Training(settings, open_data(settings.data, root=root), device=chosen)
        for _ in range(_WARM_STEPS):
            training.step()
        start_s = time.perf_counter()
        for _ in range(_TIMED_STEPS):
            training.step()
        return replace(cost, step_s=(time.perf_counter() - start_s) / _TIMED_STEPS)
    except TopdisError as error:
        return replace(cost, reason=str(error))
