"""`topdis-gan suite`: run a grid, estimate what it costs (--dry-run), or show its progress (--status)."""

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Command, Settings, nested, option
from vae.suite.engine import CellOptions, EngineSettings

if TYPE_CHECKING:
    from vae.suite.folder import SuiteFolder

__all__ = ["COMMAND", "Options", "estimate", "run", "to_text"]

_REFRESH_S = 2.0


def grid_names() -> Iterable[str]:
    """Return the names of the preset grids, for completion."""
    return sorted(path.stem for path in (Path(__file__).parents[1] / "suite" / "grids").glob("*.toml"))


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """A grid, its results folder, and where its cells run.

    Raises:
        InvalidArgumentError: not exactly one of `grid` and `status` is given.
    """

    grid: str | None = option(
        None, help="Preset, or TOML file of a grid.", argument=True, metavar="PRESET|FILE.toml", complete=grid_names
    )
    out: Path | None = option(None, help="Results folder.", group="Suite", default_text="runs/suite-NAME")
    only: str | None = option(
        None,
        help="Run only the cells with such names, the folders in cells/: *--topdis--seed-0.",
        group="Suite",
        metavar="PATTERN",
        default_text="all",
    )
    finished: Path | None = option(
        None,
        help="Table cells.csv of a report: what was finished there is not run here.",
        group="Suite",
        metavar="CSV",
    )
    status: Path | None = option(
        None, help="Only show the progress of the suite in this folder.", group="Suite", metavar="DIR"
    )
    engine: EngineSettings = nested(EngineSettings)
    cells: CellOptions = nested(CellOptions, hide=("tensorboard", "checkpoint_every_s"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.grid is None) == (self.status is None):
            raise InvalidArgumentError(
                "give either a preset or a TOML file, or `status` with a results folder", field="grid"
            )


def run(options: Options) -> dict[str, Any]:
    """Run the missing cells, or show the progress, which is refreshed on a terminal until no cell runs or waits.

    Returns:
        {"suite": the results folder, "cells": the progress of every cell}.

    Raises:
        InvalidArgumentError: the grid has errors.
        RunFolderError: there are no results to show.
        TopdisError: see `vae.suite.run.run_suite`.
    """
    from vae.suite.folder import SuiteFolder
    from vae.suite.grid_file import find_grid
    from vae.suite.run import run_suite

    if options.grid is None:
        assert options.status is not None, "validated on construction"
        folder = SuiteFolder.load(options.status)
        if sys.stderr.isatty():
            _watch(folder)
        return _record(folder)
    folder = run_suite(
        find_grid(options.grid),
        _out(options),
        engine=options.engine,
        options=options.cells,
        only=options.only,
        finished=options.finished,
    )
    return _record(folder)


def _out(options: Options) -> Path:
    return options.out or Path("runs") / f"suite-{Path(str(options.grid)).stem}"


def estimate(options: Options) -> dict[str, Any]:
    """Time a few steps of every setting that is left; return {"jobs", "settings": the cost of each}.

    Raises:
        InvalidArgumentError: the grid has errors, no cell has such a name, or only `status` is given.
        RunFolderError: the table of finished cells cannot be used.
    """
    import torch

    from ganspace_topdis.runs.progress import ProgressReporter
    from vae.suite.engine import plan_here
    from vae.suite.grid_file import find_grid
    from vae.suite.run import cells_left
    from vae.suite.run import estimate as estimate_costs

    if options.grid is None:
        raise InvalidArgumentError("a dry run needs a preset or a TOML file; leave `status` out", field="status")
    cells = cells_left(find_grid(options.grid), _out(options), only=options.only, finished=options.finished)
    jobs, threads = plan_here(max(len(cells), 1), jobs=options.engine.jobs, threads=options.engine.threads)
    torch.set_num_threads(threads)
    with ProgressReporter("probe") as progress:
        costs = estimate_costs(cells, options=options.cells, progress=progress)
    return {"jobs": jobs, "settings": [asdict(cost) for cost in costs]}


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """Return the results folder, the table of an estimate, or that of the progress."""
    from vae.suite.progress import CellProgress, progress_table
    from vae.suite.run import SettingCost, estimate_text

    if "settings" in record:
        return estimate_text([SettingCost(**cost) for cost in record["settings"]], jobs=record["jobs"])
    if options.status is not None:
        return progress_table([CellProgress(**cell) for cell in record["cells"]])
    return str(record["suite"])


def _record(folder: "SuiteFolder") -> dict[str, Any]:
    from vae.suite.progress import progress_of

    return {"suite": str(folder.path), "cells": [asdict(cell) for cell in progress_of(folder)]}


def _watch(folder: "SuiteFolder") -> None:
    """Show the progress on stderr until no cell runs or waits."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from vae.suite.progress import progress_of, progress_table

    with Live(auto_refresh=False, transient=True, console=Console(stderr=True)) as live:
        while True:
            cells = progress_of(folder)
            live.update(Text(progress_table(cells)), refresh=True)
            if all(cell.state in ("finished", "failed") for cell in cells):
                return
            time.sleep(_REFRESH_S)


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help=f"""Train and evaluate a grid of settings and seeds; the same command runs what is missing.

    Presets: {", ".join(grid_names())}. --dry-run counts the cells that are left and times a few steps of each.""",
    examples=(
        "topdis-gan suite quick --out results/quick",
        "topdis-gan suite --status results/quick",
        "topdis-gan suite paper-dsprites --dry-run",
        "topdis-gan suite replication --only '*--beta-vae--*--seed-0' --out results",
    ),
    estimate=estimate,
)
