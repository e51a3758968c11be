"""The folder of a suite's results.

    suite.json        what the suite is: its cells, their settings, the version that made them
    cells/NAME/       the run folder of a cell: train-vae's files and evaluate-vae's
    marks/NAME.json   how the cell stands: finished, failed and why, running; its time, device and attempts
    logs/NAME.log     what the cell's process printed

Cells may be added later (more seeds, more labels): the folder keeps what it has. Results of another version are
left alone, and so is a cell of the same name with other settings.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ganspace_topdis import __version__
from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.files import make_folder, write_json
from ganspace_topdis.runs.lock import lock_holder
from ganspace_topdis.runs.reading import read_json
from vae.evaluation.run import read_evaluation
from vae.suite.grid import Cell, Grid
from vae.suite.marks import Mark, read_mark
from vae.suite.records import Record, Results

__all__ = ["SuiteFolder"]

_FILE = "suite.json"


@dataclass(frozen=True, kw_only=True)
class SuiteFolder:
    """A folder that holds the results of `grid`; use `make` or `load`."""

    path: Path
    grid: Grid
    version: str = __version__

    @classmethod
    def make(cls, path: Path, grid: Grid) -> "SuiteFolder":
        """Make the folder, or add the cells of `grid` to the suite of the same name that is there.

        Raises:
            RunFolderError: the folder holds another suite, results of another version, cells of the same name with
                other settings, or something else; or it cannot be written. Nothing there was changed.
        """
        if (path / _FILE).is_file():
            before = cls.load(path)
            _require_same_version(before, grid)
            grid = _joined(before, grid)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunFolderError(f"{path} is no results folder of a suite, and not empty; choose another --out")
        for name in ("cells", "marks", "logs"):
            make_folder(path / name)
        write_json(path / _FILE, {"version": __version__, "grid": _to_json(grid)})
        return cls(path=path, grid=grid)

    @classmethod
    def load(cls, path: Path) -> "SuiteFolder":
        """The suite whose results are in `path`; changes nothing.

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
        """The run folder of a cell."""
        return self.path / "cells" / cell.name

    def log(self, cell: Cell) -> Path:
        """Where the cell's process writes what it prints."""
        return self.path / "logs" / f"{cell.name}.log"

    def mark_path(self, cell: Cell) -> Path:
        """The file of the cell's mark."""
        return self.path / "marks" / f"{cell.name}.json"

    def mark(self, cell: Cell) -> Mark:
        """How the cell stands. A mark "running" that nobody works on any more reads as failed."""
        mark = read_mark(self.mark_path(cell))
        if mark.state == "running" and lock_holder(self.path) is None and lock_holder(self.cell_folder(cell)) is None:
            return replace(mark, state="failed", reason="ended without a mark: killed, or the machine stopped")
        return mark

    def evaluation(self, cell: Cell) -> dict[str, Any] | None:
        """The cell's evaluation, where it is the one that the suite asks for."""
        found = read_evaluation(self.cell_folder(cell))
        metrics = None if self.grid.metrics is None else list(self.grid.metrics)
        if found is None or found["request"].get("metrics") != metrics:
            return None
        return found if found["request"].get("max_images") == self.grid.max_images else None

    def pending(self) -> list[Cell]:
        """The cells without a finished training and the evaluation that is asked for.

        Seed by seed, so that what is there at any time can be compared.
        """
        left = [c for c in self.grid.cells if self.mark(c).state != "finished" or self.evaluation(c) is None]
        return sorted(left, key=lambda cell: cell.seed)

    def results(self) -> Results:
        """All cells as the report takes them."""
        return Results(
            name=self.grid.name,
            description=self.grid.description,
            notes=self.grid.notes,
            records=tuple(self._record(cell) for cell in self.grid.cells),
            axis=self.grid.axis,
            baseline=self.grid.baseline,
            version=self.version,
        )

    def _record(self, cell: Cell) -> Record:
        mark, evaluation = self.mark(cell), self.evaluation(cell)
        state = mark.state
        if state == "finished" and evaluation is None:
            state = "missing"
        return Record(
            labels=cell.labels,
            seed=cell.seed,
            state=state,
            reason=mark.reason,
            scores=evaluation["scores"] if state == "finished" and evaluation is not None else {},
            settings=cell.settings,
            duration_s=mark.duration_s or None,
            device=mark.device if evaluation is None else evaluation["device"],
        )


def _require_same_version(before: SuiteFolder, grid: Grid) -> None:
    if before.version == __version__:
        return
    old = {cell.name: cell for cell in before.grid.cells}
    both = [cell for cell in grid.cells if cell.name in old]
    same = sum(dict(cell.settings) == dict(old[cell.name].settings) for cell in both)
    raise RunFolderError(
        f"{before.path} holds results of topdis-gan {before.version}, this is {__version__}: {len(both)} of its "
        f"{len(old)} cells are in this suite too, {same} with the same settings. Nothing there was changed; "
        f"choose another --out, and compare with `topdis-gan report NEW --against {before.path}`"
    )


def _joined(before: SuiteFolder, grid: Grid) -> Grid:
    """`grid` with the cells that only the folder has."""
    if before.grid.name != grid.name:
        raise RunFolderError(f"{before.path} holds suite {before.grid.name!r}, not {grid.name!r}; choose another --out")
    old = {cell.name: cell for cell in before.grid.cells}
    changed = [cell for cell in grid.cells if cell.name in old and not _same(cell, old[cell.name])]
    if changed:
        raise RunFolderError(
            f"{before.path} has {len(changed)} cells of the same name with other settings, such as "
            f"{_change(old[changed[0].name], changed[0])}; choose another --out"
        )
    names = {cell.name for cell in grid.cells}
    kept = [cell for cell in before.grid.cells if cell.name not in names]
    if any(tuple(cell.labels) != tuple(grid.cells[0].labels) for cell in kept):
        raise RunFolderError(f"{before.path} has cells with other axes; choose another --out")
    return replace(grid, cells=_in_order([*grid.cells, *kept]))


def _same(a: Cell, b: Cell) -> bool:
    return _plain(a.settings) == _plain(b.settings) and dict(a.labels) == dict(b.labels)


def _change(old: Cell, new: Cell) -> str:
    before, now = _plain(old.settings), _plain(new.settings)
    key = next((key for key in [*before, *now] if before.get(key) != now.get(key)), "labels")
    return f"{new.name}, where {key} was {json.dumps(before.get(key))} and is now {json.dumps(now.get(key))}"


def _in_order(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells of one setting together, in the order of the settings' first cells."""
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
