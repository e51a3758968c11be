"""What the commands `suite` and `report` do, from options as they were typed."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ganspace_topdis.runs.progress import ProgressReporter
from vae.suite.checks import faults_of_settings
from vae.suite.engine import EngineSettings, plan_here
from vae.suite.estimate import estimate, estimate_text
from vae.suite.folder import SuiteFolder
from vae.suite.presets import find_grid
from vae.suite.report import write_report
from vae.suite.run import CellOptions, run_suite
from vae.suite.status import status_of, status_table

__all__ = ["estimate_suite", "run_from_options", "show_status", "write_suite_report"]

_CELL_OPTIONS = ("device", "data_root", "resident", "compiled", "pictures")
_ENGINE_OPTIONS = ("engine", "address", "jobs", "threads", "gpus_per_cell")
_REFRESH_S = 2.0


def run_from_options(name: str, out: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Run a preset or TOML file into `out`; return the folder and how its cells stand.

    Raises:
        InvalidArgumentError: the grid or an option has faults; nothing was run.
        TopdisError: see `run_suite`.
    """
    engine = EngineSettings(**{key: options[key] for key in _ENGINE_OPTIONS})
    cells = CellOptions(**{key: options[key] for key in _CELL_OPTIONS})
    folder = run_suite(find_grid(name, faults_of_settings), out, engine=engine, options=cells)
    return {"suite": str(folder.path), "cells": [asdict(status) for status in status_of(folder)]}


def estimate_suite(name: str, options: Mapping[str, Any]) -> str:
    """The number of cells of a preset or TOML file and what they will take, from a timed probe; runs nothing else.

    Raises:
        InvalidArgumentError: the grid has faults.
    """
    grid = find_grid(name, faults_of_settings)
    jobs, threads = plan_here(len(grid.cells), jobs=options["jobs"], threads=options["threads"])
    import torch

    torch.set_num_threads(threads)
    with ProgressReporter("probe") as progress:
        costs = estimate(grid, device=options["device"], data_root=options["data_root"], progress=progress)
    return estimate_text(costs, jobs=jobs)


def show_status(path: Path, write: Callable[[str], object], *, live: bool) -> dict[str, Any]:
    """Show how the cells of the results in `path` stand; `live` keeps showing until none runs or waits.

    Raises:
        RunFolderError: there are no results.
    """
    folder = SuiteFolder.load(path)
    statuses = status_of(folder)
    if live:
        _watch(folder)
        statuses = status_of(folder)
    else:
        write(status_table(statuses))
    return {"suite": str(path), "cells": [asdict(status) for status in statuses]}


def write_suite_report(path: Path, out: Path | None, against: Path | None) -> list[Path]:
    """Write the report of the results in `path` into `out`, by default `report` within them.

    Args:
        path: the results folder.
        out: where to.
        against: another results folder, whose scores stand beside these.

    Raises:
        RunFolderError: there are no results, or the report cannot be written.
    """
    results = SuiteFolder.load(path).results()
    other = None if against is None else replace(SuiteFolder.load(against).results(), name=os.fspath(against))
    return write_report(results, out or path / "report", against=other)


def _watch(folder: SuiteFolder) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        while True:
            statuses = status_of(folder)
            live.update(Text(status_table(statuses)), refresh=True)
            if all(status.state in ("finished", "failed") for status in statuses):
                return
            time.sleep(_REFRESH_S)
