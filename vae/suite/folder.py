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
import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ganspace_topdis import __version__
from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.files import LOCK, lock_holder, make_folder, write_json, write_text
from ganspace_topdis.runs.reading import MAX_JSON_BYTES, read_bytes, read_json, reason_of
from ganspace_topdis.runs.records import METRICS, read_metrics
from vae.evaluation.metrics import EvaluationSettings
from vae.evaluation.run import EVALUATION, read_evaluation
from vae.settings import TrainSettings
from vae.suite.grid import Cell, Grid
from vae.suite.results import (
    CELL_COLUMNS,
    CURVES,
    CellResult,
    CellStatus,
    SuiteResults,
    read_status,
    request_columns,
    settings_digest,
    write_status,
)

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
        for folder in (self.cell_folder(cell), self._taken_folder(cell)):
            found = read_evaluation(folder)
            # what was taken from a table says nothing of steps and draws: there, they are those of the suite
            if found is not None and {**asked, **found["request"], "version": ""} == {**asked, "version": ""}:
                return folder, found
        return self.cell_folder(cell), None

    @property
    def _axes(self) -> tuple[str, ...]:
        return tuple(self.grid.cells[0].labels)

    def _taken_folder(self, cell: Cell) -> Path:
        return self.path / "taken" / cell.name

    def pending(self) -> list[Cell]:
        """Return the cells that lack a finished training or the requested evaluation.

        Ordered by seed, so that partial results can be compared.
        """
        left = [c for c in self.grid.cells if self.status(c).state != "finished" or self.evaluation(c) is None]
        return sorted(left, key=lambda cell: cell.seed)

    def take_finished(self, table: Path) -> int:
        """Store the finished cells of a cells.csv, made elsewhere, as finished here; return how many.

        Cells that are finished here, that the suite lacks, or that are not finished there, are left alone.

        Args:
            table: cells.csv of a report. A curves.csv beside it is taken too.

        Raises:
            RunFolderError: as `finished_in`, or curves.csv is damaged. Nothing was changed.
        """
        taken, curves = self.finished_in(table), table.with_name(CURVES)
        points = _rows(curves, self._axes, (), ("step", "mig")) if curves.exists() else {}
        for cell, found in taken:
            first = found[0]
            evaluation = {
                "request": {"metrics": self.grid.metrics, "max_images": self.grid.max_images},
                "scores": {row["metric"]: float(row["score"]) for row in found},
                "files": [],
                "device": first["device"],
            }
            folder = make_folder(self._taken_folder(cell))
            if curve := points.get(_key(cell)):
                lines = (json.dumps({"step": int(float(row["step"])), "mig": float(row["mig"])}) for row in curve)
                write_text(folder / METRICS, "".join(f"{line}\n" for line in lines))
            write_json(folder / EVALUATION, evaluation)
            duration_s = float(first["duration_s"] or 0)
            write_status(
                self.status_file(cell), CellStatus(state="finished", duration_s=duration_s, device=first["device"])
            )
        return len(taken)

    def finished_in(self, table: Path) -> list[tuple[Cell, list[dict[str, str]]]]:
        """Return the unfinished cells of this suite that a cells.csv has as finished, each with its rows there.

        Raises:
            RunFolderError: it is no such table, or has a cell of this suite with other settings, with scores that this
                suite does not ask for, of another version, or twice with different scores. Older tables do not say
                which scores were asked for, nor the version.
        """
        rows = _rows(table, self._axes, (*CELL_COLUMNS, "metric"), ("score",))
        found = [(cell, rows[_key(cell)]) for cell in self.pending() if _key(cell) in rows]
        request = request_columns(self.grid.metrics, self.grid.max_images, self.version)
        for cell, of_cell in found:
            if {row["settings"] for row in of_cell} != {settings_digest(cell.settings)}:
                raise RunFolderError(f"{table} has {cell.name} with other settings than this suite; leave it out")
            for name, asked in request.items():
                if other := {row.get(name, asked) for row in of_cell} - {asked}:
                    raise RunFolderError(
                        f"{table} has {cell.name} with {name.replace('_', ' ')} {min(other)}, this suite has {asked}; "
                        "leave it out"
                    )
            if len({(row["metric"], float(row["score"])) for row in of_cell}) > len({row["metric"] for row in of_cell}):
                raise RunFolderError(f"{table} has {cell.name} twice, with different scores; leave one out")
        return found

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


_Key = tuple[tuple[str, ...], int]


def _key(cell: Cell) -> _Key:
    return tuple(cell.labels.values()), cell.seed


def _rows(
    table: Path, axes: tuple[str, ...], columns: tuple[str, ...], numbers: tuple[str, ...]
) -> dict[_Key, list[dict[str, str]]]:
    """Return the rows of a table of a report by the labels and the seed of their cell; those of unfinished cells not.

    Raises:
        RunFolderError: it lacks one of the columns, or one of `numbers`, or a given duration, is none.
    """
    found: dict[_Key, list[dict[str, str]]] = {}
    try:
        lines = read_bytes(table, MAX_JSON_BYTES).decode("utf-8").splitlines()
        reader = csv.DictReader(lines, strict=True)
        if not {*axes, "seed", *columns, *numbers} <= {*(reader.fieldnames or ())}:
            raise ValueError("its columns are not those of this suite")
        for row in reader:
            if row.get("state", "finished") == "finished":
                for name in numbers:
                    if not math.isfinite(float(row[name])):
                        raise ValueError(f"a {name} is not finite")
                if not 0 <= float(row.get("duration_s") or 0) < math.inf:
                    raise ValueError("a duration_s is no number of seconds")
                found.setdefault((tuple(row[axis] for axis in axes), int(row["seed"])), []).append(row)
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise RunFolderError(f"{table} is no table of a report of this suite ({reason_of(error)})") from error
    return found


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
