"""How far the cells of a suite are, from their statuses and logs, while they run or afterwards."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.runs.reading import parse_json
from vae.settings import TrainSettings
from vae.suite.folder import SuiteFolder
from vae.suite.grid import Cell
from vae.suite.tables import setting_name

__all__ = ["CellProgress", "progress_of", "progress_table"]

_TAIL_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class CellProgress:
    """Progress of a cell.

    Attributes:
        name: name of the cell.
        labels: axis -> label.
        seed: seed of the training.
        state: state in its status.
        step: last step in its log.
        num_steps: total number of steps.
        reason: why it failed.
    """

    name: str
    labels: Mapping[str, str]
    seed: int
    state: str
    step: int
    num_steps: int
    reason: str = ""

    @property
    def text(self) -> str:
        """Short description.

        >>> CellProgress(name="a", labels={}, seed=3, state="running", step=50, num_steps=200).text
        '3: 25 %'
        """
        if self.state == "running":
            share = "scoring" if self.step >= self.num_steps else f"{100 * self.step // max(self.num_steps, 1)} %"
            return f"{self.seed}: {share}"
        return f"{self.seed}: {'waiting' if self.state == 'missing' else self.state}"


def progress_of(folder: SuiteFolder) -> list[CellProgress]:
    """Return the progress of every cell."""
    return [_progress(folder, cell) for cell in folder.grid.cells]


def progress_table(statuses: list[CellProgress]) -> str:
    """Format the progress as a table: counts, then one row per setting."""
    states = [status.state for status in statuses]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    rows: dict[str, list[str]] = {}
    for status in statuses:
        rows.setdefault(setting_name(tuple(status.labels.items())), []).append(status.text)
    width = max(map(len, rows), default=0)
    lines = [f"{name:{width}}  {'   '.join(texts)}" for name, texts in rows.items()]
    reasons = [f"{status.name}: {status.reason}" for status in statuses if status.state == "failed"]
    return "\n".join([f"{len(statuses)} cells: {counts}", "", *lines, *([""] if reasons else []), *reasons])


def _progress(folder: SuiteFolder, cell: Cell) -> CellProgress:
    status = folder.status(cell)
    return CellProgress(
        name=cell.name,
        labels=cell.labels,
        seed=cell.seed,
        state=status.state,
        step=_last_step(folder.cell_folder(cell) / "metrics.jsonl"),
        num_steps=int(cell.settings.get("steps", TrainSettings.steps)),
        reason=status.reason,
    )


def _last_step(path: Path) -> int:
    """Return the step of the last complete line of a log; 0 if there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError, TypeError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        row: dict[str, Any] = parse_json(file.read().rsplit(b"\n", 2)[-2])
        return int(row["step"])
    return 0
