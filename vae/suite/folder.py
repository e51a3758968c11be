"""The results folder of a suite.

    suite.json        the cells of the suite, their settings, the version that made them
    cells/NAME/       run folder of a cell: the files of train-vae and evaluate-vae
    marks/NAME.json   status of a cell: its state, reason, duration, device and attempts
    logs/NAME.log     output of the cell's process
    taken/NAME/       evaluation and curve of a cell that was finished elsewhere, from its tables

Cells can be added later (more seeds, more labels); existing ones are kept. Results of another version are never
modified, and neither is a cell of the same name with other settings.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ganspace_topdis import __version__
from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.files import LOCK, lock_holder, make_folder, write_json
from ganspace_topdis.runs.reading import read_json
from ganspace_topdis.runs.records import METRICS, read_metrics
from vae.evaluation.metrics import EvaluationSettings
from vae.evaluation.run import read_evaluation
from vae.settings import TrainSettings
from vae.suite.grid import Cell, Grid
from vae.suite.results import CellResult, CellStatus, SuiteResults, read_status, write_status

__all__ = ["SuiteFolder"]

_FILE = "suite.json"


@dataclass(frozen=True, kw_only=True)
class SuiteFolder:
    """The results of `grid` in a folder; use `make` or `load`."""

    path: Path
    grid: Grid
    version: str = __version__

    @classmethod
    def make(cls, path: Path, grid: Grid) -> "SuiteFolder":
        """Create the folder, or add the cells of `grid` to the suite of the same name in it.

        Raises:
            RunFolderError: the folder holds another suite, results of another version, cells of the same name with
                other settings, or something else; or it is not writable. Nothing in it was changed.
        """
        grid = cls.joined(path, grid)
        for name in ("cells", "marks", "logs"):
            make_folder(path / name)
        write_json(path / _FILE, {"version": __version__, "grid": _to_json(grid)})
        return cls(path=path, grid=grid)

    @classmethod
    def joined(cls, path: Path, grid: Grid) -> Grid:
        """Return `grid` with the cells that the folder has besides; changes nothing.

        Raises:
            RunFolderError: as `make`, unless the folder cannot be written.
        """
        if (path / _FILE).is_file():
            before = cls.load(path)
            _require_same_version(before, grid)
            return _join(before, grid)
        if path.exists() and (not path.is_dir() or any(entry.name != LOCK for entry in path.iterdir())):
            raise RunFolderError(f"{path} is not a results folder of a suite and not empty; choose another `out`")
        return grid

    @classmethod
    def load(cls, path: Path) -> "SuiteFolder":
        """Load the suite whose results are in `path`; changes nothing.

        Raises:
            RunFolderError: there are none, or suite.json is damaged.
        """
        if not (path / _FILE).is_file():
            raise RunFolderError(f"{path} holds no results of a suite: it has no {_FILE}; check the path")
        try:
            stored = read_json(path / _FILE)
            return cls(path=path, grid=_from_json(stored["grid"]), version=stored["version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(f"{path / _FILE} cannot be read ({error}); choose another folder") from error

    def cell_folder(self, cell: Cell) -> Path:
        """Return the run folder of a cell."""
        return self.path / "cells" / cell.name

    def log(self, cell: Cell) -> Path:
        """Return the file of the output of a cell's process."""
        return self.path / "logs" / f"{cell.name}.log"

    def status_file(self, cell: Cell) -> Path:
        """Return the file of a cell's status."""
        return self.path / "marks" / f"{cell.name}.json"

    def taken_folder(self, cell: Cell) -> Path:
        """Return the folder of a cell that was finished elsewhere, see `vae.suite.finished`."""
        return self.path / "taken" / cell.name

    def status(self, cell: Cell) -> CellStatus:
        """Return the status of a cell; "running" without a live process is returned as failed."""
        status = read_status(self.status_file(cell))
        return status if lock_holder(self.path) is not None else self._unless_lost(cell, status)

    def record_lost(self) -> None:
        """Record as failed what a killed suite left as running; for the process that has the folder's lock."""
        for cell in self.grid.cells:
            before = read_status(self.status_file(cell))
            if (now := self._unless_lost(cell, before)) is not before:
                write_status(self.status_file(cell), now)

    def _unless_lost(self, cell: Cell, status: CellStatus) -> CellStatus:
        if status.state != "running" or lock_holder(self.cell_folder(cell)) is not None:
            return status
        return replace(status, state="failed", reason="ended without a status: killed, or the machine stopped")

    def evaluation(self, cell: Cell) -> dict[str, Any] | None:
        """Return the evaluation of a cell; None unless it is the one that the suite requests."""
        return self._evaluated(cell)[1]

    def _evaluated(self, cell: Cell) -> tuple[Path, dict[str, Any] | None]:
        """Return the folder that has the requested evaluation of the whole training, and the evaluation.

        Without one, the run folder of the cell and None.
        """
        settings = asdict(EvaluationSettings(metrics=self.grid.metrics, max_images=self.grid.max_images))
        asked = _plain({"step": cell.settings.get("steps", TrainSettings.steps), **settings})
        for folder in (self.cell_folder(cell), self.taken_folder(cell)):
            found = read_evaluation(folder)
            # what was taken from a table says nothing of steps and draws: there, they are those of the suite
            if found is not None and {**asked, **found["request"], "version": ""} == {**asked, "version": ""}:
                return folder, found
        return self.cell_folder(cell), None

    def pending(self) -> list[Cell]:
        """Return the cells that lack a finished training or the requested evaluation.

        Ordered by seed, so that partial results can be compared.
        """
        left = [c for c in self.grid.cells if self.status(c).state != "finished" or self.evaluation(c) is None]
        return sorted(left, key=lambda cell: cell.seed)

    def results(self, *, only: str | None = None) -> SuiteResults:
        """Return the results of the cells that match `only`, see `Grid.names_like`, for the report.

        Raises:
            InvalidArgumentError: no cell has such a name.
        """
        names = self.grid.names_like(only)
        return SuiteResults(
            name=self.grid.name,
            description=self.grid.description,
            notes=self.grid.notes,
            records=tuple(self._record(cell) for cell in self.grid.cells if cell.name in names),
            axis=self.grid.axis,
            baseline=self.grid.baseline,
            version=self.version,
            metrics=self.grid.metrics,
            max_images=self.grid.max_images,
        )

    def _record(self, cell: Cell) -> CellResult:
        status, (folder, evaluation) = self.status(cell), self._evaluated(cell)
        state, reason = status.state, status.reason
        if state == "finished" and evaluation is None:
            state, reason = "unevaluated", "its evaluation is not the one that the suite asks for; rerun the suite"
        return CellResult(
            labels=cell.labels,
            seed=cell.seed,
            state=state,
            reason=reason,
            scores=evaluation["scores"] if state == "finished" and evaluation is not None else {},
            settings=cell.settings,
            duration_s=status.duration_s or None,
            device=status.device if evaluation is None else evaluation["device"],
            curve=_curve(folder / METRICS),
        )


def _curve(log: Path) -> tuple[tuple[int, float], ...]:
    """Return the steps at which MIG was logged, and its values."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return tuple((int(row["step"]), float(row["mig"])) for row in read_metrics(log) if "mig" in row)
    return ()


def _require_same_version(before: SuiteFolder, grid: Grid) -> None:
    if before.version == __version__:
        return
    old = {cell.name: cell for cell in before.grid.cells}
    both = [cell for cell in grid.cells if cell.name in old]
    same = sum(dict(cell.settings) == dict(old[cell.name].settings) for cell in both)
    raise RunFolderError(
        f"{before.path} holds results of topdis-gan {before.version}, this is {__version__}: {len(both)} of its "
        f"{len(old)} cells are also in this suite, {same} with the same settings. Nothing was changed; "
        f"choose another `out`, and compare both with `topdis-gan report NEW --against {before.path}`"
    )


def _join(before: SuiteFolder, grid: Grid) -> Grid:
    """Return `grid` with the cells that only the folder has."""
    if before.grid.name != grid.name:
        raise RunFolderError(f"{before.path} holds suite {before.grid.name!r}, not {grid.name!r}; choose another `out`")
    old = {cell.name: cell for cell in before.grid.cells}
    changed = [cell for cell in grid.cells if cell.name in old and not _same(cell, old[cell.name])]
    if changed:
        raise RunFolderError(
            f"{before.path} has {len(changed)} cells of the same name with other settings, such as "
            f"{_change(old[changed[0].name], changed[0])}; choose another `out`"
        )
    names = {cell.name for cell in grid.cells}
    kept = [cell for cell in before.grid.cells if cell.name not in names]
    if any(tuple(cell.labels) != tuple(grid.cells[0].labels) for cell in kept):
        raise RunFolderError(f"{before.path} has cells with other axes; choose another `out`")
    return replace(grid, cells=_in_order([*grid.cells, *kept]))


def _same(a: Cell, b: Cell) -> bool:
    return _plain(a.settings) == _plain(b.settings) and dict(a.labels) == dict(b.labels)


def _change(old: Cell, new: Cell) -> str:
    before, now = _plain(old.settings), _plain(new.settings)
    key = next((key for key in [*before, *now] if before.get(key) != now.get(key)), "labels")
    return f"{new.name}, where {key} was {json.dumps(before.get(key))} and is now {json.dumps(now.get(key))}"


def _in_order(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Sort the cells by setting, in the order of each setting's first cell, then by seed."""
    settings = list(dict.fromkeys(tuple(cell.labels.items()) for cell in cells))
    return tuple(sorted(cells, key=lambda cell: (settings.index(tuple(cell.labels.items())), cell.seed)))


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def _to_json(grid: Grid) -> dict[str, Any]:
    return asdict(grid)


def _from_json(stored: Mapping[str, Any]) -> Grid:
    values = dict(stored)
    metrics = values["metrics"]
    values["cells"] = tuple(Cell(**cell) for cell in values["cells"])
    values["notes"], values["metrics"] = tuple(values["notes"]), None if metrics is None else tuple(metrics)
    return Grid(**values)
