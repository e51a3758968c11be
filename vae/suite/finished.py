"""Cells that were finished elsewhere, from the tables of a report: cells.csv, and curves.csv beside it.

So a suite continues on another machine with nothing but a small table. A row is taken only if it is a row of this
suite: the same settings, the same requested scores, the same version.
"""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.files import make_folder, write_json, write_text
from ganspace_topdis.runs.reading import MAX_JSON_BYTES, read_bytes, reason_of
from ganspace_topdis.runs.records import METRICS
from vae.evaluation.run import EVALUATION
from vae.suite.folder import SuiteFolder
from vae.suite.grid import Cell
from vae.suite.results import CELL_COLUMNS, CURVES, CellStatus, request_columns, settings_digest, write_status

__all__ = ["FinishedCell", "finished_in", "take_finished"]

_Rows = dict[tuple[tuple[str, ...], int], list[dict[str, str]]]
"""Rows of a table by the labels and the seed of their cell."""


@dataclass(frozen=True, kw_only=True)
class FinishedCell:
    """A cell of a suite, and its rows in a cells.csv, one per score."""

    cell: Cell
    rows: list[dict[str, str]]


def take_finished(folder: SuiteFolder, table: Path) -> int:
    """Store the finished cells of a cells.csv as finished in `folder`; return how many.

    Cells that are finished here, that the suite lacks, or that are not finished there, are left alone.

    Args:
        folder: the suite that takes them.
        table: cells.csv of a report. A curves.csv beside it is taken too.

    Raises:
        RunFolderError: as `finished_in`, or curves.csv is damaged. Nothing was changed.
    """
    taken, curves = finished_in(folder, table), table.with_name(CURVES)
    points = _read_rows(curves, _axes(folder), (), ("step", "mig")) if curves.exists() else {}
    for found in taken:
        _store(folder, found, points.get(_key(found.cell), []))
    return len(taken)


def finished_in(folder: SuiteFolder, table: Path) -> list[FinishedCell]:
    """Return the unfinished cells of a suite that a cells.csv has as finished; changes nothing.

    Raises:
        RunFolderError: it is no such table, or has a cell of this suite with other settings, with scores that this
            suite does not ask for, of another version, or twice with different scores. Older tables do not say
            which scores were asked for, nor the version.
    """
    rows = _read_rows(table, _axes(folder), (*CELL_COLUMNS, "metric"), ("score",))
    found = [FinishedCell(cell=cell, rows=rows[_key(cell)]) for cell in folder.pending() if _key(cell) in rows]
    request = request_columns(folder.grid.metrics, folder.grid.max_images, folder.version)
    for each in found:
        _check(each, request, table)
    return found


def _check(found: FinishedCell, request: dict[str, str], table: Path) -> None:
    cell, rows = found.cell, found.rows
    if {row["settings"] for row in rows} != {settings_digest(cell.settings)}:
        raise RunFolderError(f"{table} has {cell.name} with other settings than this suite; leave it out")
    for name, asked in request.items():
        if other := {row.get(name, asked) for row in rows} - {asked}:
            raise RunFolderError(
                f"{table} has {cell.name} with {name.replace('_', ' ')} {min(other)}, this suite has {asked}; "
                "leave it out"
            )
    if len({(row["metric"], float(row["score"])) for row in rows}) > len({row["metric"] for row in rows}):
        raise RunFolderError(f"{table} has {cell.name} twice, with different scores; leave one out")


def _store(folder: SuiteFolder, found: FinishedCell, curve: list[dict[str, str]]) -> None:
    first, grid = found.rows[0], folder.grid
    path = make_folder(folder.taken_folder(found.cell))
    if curve:
        lines = (json.dumps({"step": int(float(row["step"])), "mig": float(row["mig"])}) for row in curve)
        write_text(path / METRICS, "".join(f"{line}\n" for line in lines))
    evaluation = {
        "request": {"metrics": grid.metrics, "max_images": grid.max_images},
        "scores": {row["metric"]: float(row["score"]) for row in found.rows},
        "files": [],
        "device": first["device"],
    }
    write_json(path / EVALUATION, evaluation)
    status = CellStatus(state="finished", duration_s=float(first["duration_s"] or 0), device=first["device"])
    write_status(folder.status_file(found.cell), status)


def _axes(folder: SuiteFolder) -> tuple[str, ...]:
    return tuple(folder.grid.cells[0].labels)


def _key(cell: Cell) -> tuple[tuple[str, ...], int]:
    return tuple(cell.labels.values()), cell.seed


def _read_rows(table: Path, axes: tuple[str, ...], columns: tuple[str, ...], numbers: tuple[str, ...]) -> _Rows:
    """Return the rows of finished cells in a table of a report.

    Raises:
        RunFolderError: it lacks one of the columns, or one of `numbers`, or a given duration, is none.
    """
    found: _Rows = {}
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
