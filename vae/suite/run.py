"""`topdis-gan suite`: run what is missing of a grid, wherever, and say how it stands.

read the grid -> open the results folder -> open the engine -> run the pending cells, marking each -> what failed
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.runs.lock import FolderLock
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.runs.signals import Interrupt, StopRequestedError
from vae.suite.cell import CellTask
from vae.suite.checks import data_root_for
from vae.suite.engine import Engine, EngineSettings, open_engine
from vae.suite.folder import SuiteFolder
from vae.suite.grid import Cell, Grid
from vae.suite.marks import Mark
from vae.suite.worker import STOP, WorkOrder

__all__ = ["CellOptions", "run_suite"]

_ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class CellOptions:
    """How the cells run; their results do not depend on it beyond rounding.

    Attributes:
        device: as train-vae takes it.
        data_root: the data set's file or folder.
        resident: whether the data set is put on the device.
        compiled: as train-vae's --compile.
        pictures: whether traversals and a page are drawn for each cell.
    """

    device: str = "auto"
    data_root: Path | None = None
    resident: bool = False
    compiled: str = "none"
    pictures: bool = True


def run_suite(
    grid: Grid,
    out: Path,
    *,
    engine: EngineSettings | None = None,
    options: CellOptions | None = None,
) -> SuiteFolder:
    """Run the cells of `grid` that `out` does not have yet.

    Args:
        grid: the suite.
        out: the results folder, made where it is missing.
        engine: where the cells run; here by default.
        options: how.

    Raises:
        RunFolderError: the folder cannot be used, or another process works in it.
        StopRequestedError: Ctrl-C or SIGTERM; what runs here has saved its work.
        TopdisError: the engine cannot be reached, or cells failed: the message says which; the others are done.
    """
    folder = SuiteFolder.make(out, grid)
    lock = FolderLock(out)
    try:
        _run_pending(folder, engine or EngineSettings(), options or CellOptions())
    finally:
        lock.release()
    failed = [(cell, mark) for cell in folder.grid.cells if (mark := folder.mark(cell)).state == "failed"]
    if failed:
        shown = "; ".join(f"{cell.name}: {mark.reason}" for cell, mark in failed[:3])
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        raise TopdisError(
            f"{len(failed)} of {len(folder.grid.cells)} cells failed ({shown}{more}); the same command tries them again"
        )
    return folder


def _run_pending(folder: SuiteFolder, settings: EngineSettings, options: CellOptions) -> None:
    pending = folder.pending()
    if not pending:
        return
    engine = open_engine(settings, num_cells=len(pending))
    STOP.clear()
    done: dict[str, Mark] = {}
    with _stopping(local=settings.engine == "local") as interrupt, ProgressReporter("cells") as progress:
        for _ in range(_ROUNDS):
            left = [cell for cell in pending if cell.name not in done]
            if not left or interrupt.requested:
                break
            for name, mark in _survived(engine, [_order(folder, cell, engine, options) for cell in left]):
                if interrupt.requested:
                    continue
                done[name] = mark
                progress(len(done), len(pending), failed=sum(mark.state == "failed" for mark in done.values()))
        interrupt.check("the cells that ran have saved their work; the same command goes on")
    if lost := [cell.name for cell in pending if cell.name not in done]:
        raise TopdisError(
            f"the engine lost {len(lost)} cells with their workers, {_ROUNDS} times in a row ({', '.join(lost[:3])}); "
            "see the workers' own logs; the same command goes on"
        )


def _survived(engine: Engine, orders: Sequence[WorkOrder]) -> Iterator[tuple[str, Mark]]:
    """The cells that end. Where the engine itself fails, as when a node is lost, the rest is left for the next round.

    What a lost worker's cell did is in its run folder, and in its mark.
    """
    try:
        yield from engine.run(orders)
    except (TopdisError, KeyboardInterrupt):
        raise
    except Exception as error:
        import warnings

        warnings.warn(
            f"the engine lost a worker ({type(error).__name__}); its cells are handed out again", stacklevel=2
        )


def _order(folder: SuiteFolder, cell: Cell, engine: Engine, options: CellOptions) -> WorkOrder:
    root = data_root_for(cell.settings, options.data_root)
    task = CellTask(
        folder=str(folder.cell_folder(cell).resolve()),
        settings=dict(cell.settings),
        seed=cell.seed,
        metrics=folder.grid.metrics,
        max_images=folder.grid.max_images,
        device=options.device,
        data_root=None if root is None else str(root.resolve()),
        resident=options.resident,
        compiled=options.compiled,
        pictures=options.pictures,
    )
    return WorkOrder(
        name=cell.name,
        task=task,
        mark=str(folder.mark_path(cell).resolve()),
        log=str(folder.log(cell).resolve()),
        before=folder.mark(cell),
        threads=engine.threads,
    )


@contextlib.contextmanager
def _stopping(*, local: bool) -> Iterator[Interrupt]:
    """Ctrl-C and SIGTERM stop the cells that run in this process' children; on a cluster they end the waiting."""

    def stop(message: str) -> None:
        STOP.set()
        if not local:
            raise StopRequestedError("stopped; the cluster's cells save their work and end; the same command goes on")

    with Interrupt(notify=stop) as interrupt:
        yield interrupt
