"""Run the missing cells of a grid, or estimate what they cost.

open the results folder -> open the engine -> run the pending cells, recording the status of each -> report failures

An estimate times a few steps of every setting on this machine, once its kernels are warm. It does not include the
evaluation, which takes minutes per cell and hardly depends on the setting.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.runs.devices import choose_device
from ganspace_topdis.runs.files import FolderLock, make_folder
from ganspace_topdis.runs.progress import Interrupt, Progress, ProgressReporter, StopRequestedError, format_duration
from vae.data import open_data
from vae.settings import ExecutionOptions, TrainSettings
from vae.suite.cell import STOP, CellTask, Job
from vae.suite.engine import CellOptions, Engine, EngineSettings, open_engine
from vae.suite.finished import finished_in, take_finished
from vae.suite.folder import SuiteFolder
from vae.suite.grid import Cell, Grid, data_root_for
from vae.suite.results import CellStatus, Setting
from vae.suite.tables import listed, setting_name
from vae.training.pace import plan_training

__all__ = ["SettingCost", "cells_left", "estimate", "estimate_text", "run_suite"]

_MAX_ROUNDS = 3
_UNFINISHED = ("failed", "stopped")
"""A cell that stopped although nobody stopped the suite was killed."""


def run_suite(
    grid: Grid,
    out: Path,
    *,
    engine: EngineSettings | None = None,
    options: CellOptions | None = None,
    only: str | None = None,
    finished: Path | None = None,
) -> SuiteFolder:
    """Run the cells of `grid` that `out` lacks.

    Args:
        grid: the suite.
        out: the results folder, created if missing.
        engine: where the cells run, by default here.
        options: how each cell is executed.
        only: pattern of the names of the cells that are run, such as "*--topdis--seed-0"; None for all.
        finished: cells.csv of a report; the cells that were finished there are not run here.

    Raises:
        InvalidArgumentError: no cell has a name like `only`.
        RunFolderError: the folder or `finished` cannot be used, or another process is using it.
        StopRequestedError: Ctrl-C or SIGTERM; the cells that run here have saved their work.
        TopdisError: the engine cannot be reached, or cells failed: the message names them; the others are done.
    """
    chosen = grid.names_like(only)
    SuiteFolder.joined(out, grid)
    lock = FolderLock(make_folder(out))
    try:
        folder = SuiteFolder.make(out, grid)
        folder.record_lost()
        if finished is not None:
            take_finished(folder, finished)
        pending = [cell for cell in folder.pending() if cell.name in chosen]
        _run_pending(folder, pending, engine or EngineSettings(), options or CellOptions())
    finally:
        lock.release()
    asked = [cell for cell in folder.grid.cells if cell.name in chosen]
    failed = [(cell, status) for cell in asked if (status := folder.status(cell)).state in _UNFINISHED]
    if failed:
        shown = listed([f"{cell.name}: {status.reason}" for cell, status in failed], most=3)
        raise TopdisError(f"{len(failed)} of {len(asked)} cells failed ({shown}); rerun the command to retry them")
    return folder


def _run_pending(folder: SuiteFolder, pending: Sequence[Cell], settings: EngineSettings, options: CellOptions) -> None:
    if not pending:
        return
    engine = open_engine(settings, num_cells=len(pending))
    STOP.clear()
    done: dict[str, CellStatus] = {}
    with _stop_on_signals(local=settings.engine == "local") as interrupt, ProgressReporter("cells") as progress:
        for _ in range(_MAX_ROUNDS):
            left = [cell for cell in pending if cell.name not in done]
            if not left or interrupt.requested:
                break
            for name, status in _run_round(engine, [_job(folder, cell, engine, options) for cell in left]):
                if interrupt.requested:
                    continue
                done[name] = status
                num_failed = sum(each.state in _UNFINISHED for each in done.values())
                progress(len(done), len(pending), failed=num_failed)
        interrupt.check("the running cells have saved their work; rerun the command to continue")
    if lost := [cell.name for cell in pending if cell.name not in done]:
        raise TopdisError(
            f"the engine lost {len(lost)} cells with their workers, {_MAX_ROUNDS} times in a row "
            f"({listed(lost, most=3)}); see the workers' own logs, and rerun the command to continue"
        )


def _run_round(engine: Engine, jobs: Sequence[Job]) -> Iterator[tuple[str, CellStatus]]:
    """Yield the cells that end. If the engine itself fails, as when a node is lost, the rest waits for the next round.

    The work of a lost worker's cell is in its run folder, and its status in the results folder.
    """
    try:
        yield from engine.run(jobs)
    except (TopdisError, KeyboardInterrupt):
        raise
    except Exception as error:
        warnings.warn(f"the engine lost a worker ({type(error).__name__}); its cells are retried", stacklevel=2)


def _job(folder: SuiteFolder, cell: Cell, engine: Engine, options: CellOptions) -> Job:
    root = data_root_for(cell.settings, options.data_root)
    execution = {entry.name: getattr(options, entry.name) for entry in fields(ExecutionOptions)}
    task = CellTask(
        folder=str(folder.cell_folder(cell).resolve()),
        settings=dict(cell.settings),
        seed=cell.seed,
        metrics=folder.grid.metrics,
        max_images=folder.grid.max_images,
        execution={**execution, "data_root": None if root is None else str(root.resolve())},
        pictures=options.pictures,
    )
    return Job(
        name=cell.name,
        task=task,
        status_file=str(folder.status_file(cell).resolve()),
        log=str(folder.log(cell).resolve()),
        before=folder.status(cell),
        threads=engine.threads,
    )


@contextlib.contextmanager
def _stop_on_signals(*, local: bool) -> Iterator[Interrupt]:
    """Stop the cells of this process' children on Ctrl-C and SIGTERM; on a cluster, stop waiting."""

    def stop(message: str) -> None:
        STOP.set()
        if not local:
            raise StopRequestedError(
                "stopped; the cluster's cells save their work and end; rerun the command to continue"
            )

    with Interrupt(notify=stop) as interrupt:
        yield interrupt


@dataclass(frozen=True, kw_only=True)
class SettingCost:
    """Cost of the cells of one setting.

    Attributes:
        setting: the setting.
        num_cells: number of seeds.
        steps: steps of each cell.
        step_s: mean seconds of a step on this machine; None if it could not be timed.
        reason: why not.
    """

    setting: Setting
    num_cells: int
    steps: int
    step_s: float | None
    reason: str = ""

    @property
    def duration_s(self) -> float | None:
        """Duration of all its cells, one after the other."""
        return None if self.step_s is None else self.step_s * self.steps * self.num_cells


def cells_left(grid: Grid, out: Path, *, only: str | None = None, finished: Path | None = None) -> list[Cell]:
    """The cells that `run_suite` would train.

    Args:
        grid: the suite.
        out: the results folder, not created here.
        only: as in `run_suite`.
        finished: as in `run_suite`.

    Raises:
        InvalidArgumentError: no cell has a name like `only`.
        RunFolderError: `out` holds something else, or `finished` cannot be used.
    """
    folder = SuiteFolder(path=out, grid=SuiteFolder.joined(out, grid))
    left = {cell.name for cell in folder.pending()} & grid.names_like(only)
    if finished is not None:
        left -= {found.cell.name for found in finished_in(folder, finished)}
    return [cell for cell in grid.cells if cell.name in left]


def estimate(
    cells: Sequence[Cell], *, options: CellOptions | None = None, progress: Progress | None = None
) -> list[SettingCost]:
    """Time a few steps of every setting of `cells`; if one cannot be trained here, say why.

    Args:
        cells: the cells that are left.
        options: how each cell is executed.
        progress: called with the number of settings done and in total.
    """
    by_setting: dict[Setting, list[Cell]] = {}
    for cell in cells:
        by_setting.setdefault(tuple(cell.labels.items()), []).append(cell)
    costs = []
    for number, (setting, own) in enumerate(by_setting.items(), start=1):
        costs.append(_cost(setting, own, options or CellOptions()))
        if progress is not None:
            progress(number, len(by_setting))
    return costs


def estimate_text(costs: Sequence[SettingCost], *, jobs: int) -> str:
    """Format the estimate as a table, with the total time if `jobs` cells run at once without slowing each other."""
    names = [setting_name(cost.setting) for cost in costs]
    width = max(map(len, names), default=0)
    lines = [f"{name:{width}}  {_cost_text(cost)}" for name, cost in zip(names, costs, strict=True)]
    num_cells, known = sum(cost.num_cells for cost in costs), [cost.duration_s for cost in costs if cost.duration_s]
    missing = "" if len(known) == len(costs) else ", without the settings that could not be timed"
    last = f"{num_cells} cells, {jobs} at once: {format_duration(sum(known) / jobs)} of training{missing}"
    return "\n".join([*lines, f"{last}; evaluation adds minutes per cell"])


def _cost(setting: Setting, cells: Sequence[Cell], options: CellOptions) -> SettingCost:
    settings = TrainSettings.from_tables(cells[0].settings, seed=cells[0].seed)
    root = data_root_for(cells[0].settings, options.data_root)
    cost = SettingCost(setting=setting, num_cells=len(cells), steps=settings.steps, step_s=None)
    try:
        data = open_data(settings.data, root=root, verify=options.verify)
        parts = plan_training(settings, data, device=choose_device(options.device), options=options)
        return replace(cost, step_s=sum(part.duration_s for part in parts) / max(settings.steps, 1))
    except TopdisError as error:
        return replace(cost, reason=str(error))


def _cost_text(cost: SettingCost) -> str:
    if cost.step_s is None or cost.duration_s is None:
        return f"{cost.num_cells} cells of {cost.steps} steps: not timed ({cost.reason})"
    one = format_duration(cost.step_s * cost.steps)
    return f"{cost.num_cells} cells of {cost.steps} steps, {1000 * cost.step_s:.3g} ms each: {one} per cell"
