"""`topdis-gan suite`: run a grid, estimate what it costs (--dry-run), or show its progress (--status)."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.progress import ProgressReporter
from vae.suite.engine import CellOptions, EngineSettings, plan_here
from vae.suite.folder import CellProgress, SuiteFolder, progress_of, progress_table
from vae.suite.grid_file import find_grid
from vae.suite.run import SettingCost, estimate, estimate_text, run_suite

__all__ = ["execute", "to_text"]

_CELL_OPTIONS = ("device", "data_root", "verify", "resident", "compiled", "pictures")
_ENGINE_OPTIONS = ("engine", "address", "jobs", "threads", "gpus_per_cell")
_REFRESH_S = 2.0


def execute(options: Mapping[str, Any]) -> dict[str, Any]:
    """Run, estimate, or show the progress; "live" keeps showing it until no cell runs or waits.

    Returns:
        {"suite": the results folder, "cells": the progress of every cell}; for an estimate {"jobs", "settings"}.

    Raises:
        InvalidArgumentError: not exactly one of a grid and --status is given, or the grid or an option has errors.
        RunFolderError: there are no results to show.
        TopdisError: see `vae.suite.run.run_suite`.
    """
    if (options["grid"] is None) == (options["status"] is None):
        raise InvalidArgumentError("give either a preset or a TOML file, or --status with a results folder")
    if options["status"] is not None:
        return _show(options["status"], live=options["live"])
    if options["dry_run"]:
        return _estimate(options)
    engine = EngineSettings(**{name: options[name] for name in _ENGINE_OPTIONS})
    cells = CellOptions(**{name: options[name] for name in _CELL_OPTIONS})
    out = options["out"] or Path("runs") / f"suite-{Path(options['grid']).stem}"
    return _record(run_suite(find_grid(options["grid"]), out, engine=engine, options=cells))


def to_text(record: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return the results folder, the table of an estimate, or that of the progress."""
    if options["status"] is not None:
        return progress_table([CellProgress(**cell) for cell in record["cells"]])
    if options["dry_run"]:
        return estimate_text([SettingCost(**cost) for cost in record["settings"]], jobs=record["jobs"])
    return str(record["suite"])


def _record(folder: SuiteFolder) -> dict[str, Any]:
    return {"suite": str(folder.path), "cells": [asdict(cell) for cell in progress_of(folder)]}


def _estimate(options: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    grid = find_grid(options["grid"])
    jobs, threads = plan_here(len(grid.cells), jobs=options["jobs"], threads=options["threads"])
    torch.set_num_threads(threads)
    with ProgressReporter("probe") as progress:
        costs = estimate(grid, device=options["device"], data_root=options["data_root"], progress=progress)
    return {"jobs": jobs, "settings": [asdict(cost) for cost in costs]}


def _show(path: Path, *, live: bool) -> dict[str, Any]:
    folder = SuiteFolder.load(path)
    if live:
        _watch(folder)
    return _record(folder)


def _watch(folder: SuiteFolder) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, transient=True) as live:
        while True:
            cells = progress_of(folder)
            live.update(Text(progress_table(cells)), refresh=True)
            if all(cell.state in ("finished", "failed") for cell in cells):
                return
            time.sleep(_REFRESH_S)
