"""The table that `topdis-gan suite --status` shows: a row a setting, how far each of its seeds is."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.runs.reading import parse_json
from vae.suite.folder import SuiteFolder
from vae.suite.grid import Cell
from vae.suite.tables import setting_name
from vae.training.settings import TrainSettings

__all__ = ["CellStatus", "status_of", "status_table"]

_TAIL_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class CellStatus:
    """How far a cell is.

    Attributes:
        name: of the cell.
        labels: axis -> label.
        seed: of the training.
        state: as in its mark.
        step: the last step in its log.
        num_steps: steps asked for.
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
        """In a word or two.

        >>> CellStatus(name="a", labels={}, seed=3, state="running", step=50, num_steps=200).text
        '3: 25 %'
        """
        if self.state == "running":
            share = "scoring" if self.step >= self.num_steps else f"{100 * self.step // max(self.num_steps, 1)} %"
            return f"{self.seed}: {share}"
        return f"{self.seed}: {'waiting' if self.state == 'missing' else self.state}"


def status_of(folder: SuiteFolder) -> list[CellStatus]:
    """How far every cell is."""
    return [_status(folder, cell) for cell in folder.grid.cells]


def status_table(statuses: list[CellStatus]) -> str:
    """The table as text: counts, then a row a setting."""
    states = [status.state for status in statuses]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    rows: dict[str, list[str]] = {}
    for status in statuses:
        rows.setdefault(setting_name(tuple(status.labels.items())), []).append(status.text)
    width = max(map(len, rows), default=0)
    lines = [f"{name:{width}}  {'   '.join(texts)}" for name, texts in rows.items()]
    reasons = [f"{status.name}: {status.reason}" for status in statuses if status.state == "failed"]
    return "\n".join([f"{len(statuses)} cells: {counts}", "", *lines, *([""] if reasons else []), *reasons])


def _status(folder: SuiteFolder, cell: Cell) -> CellStatus:
    mark = folder.mark(cell)
    return CellStatus(
        name=cell.name,
        labels=cell.labels,
        seed=cell.seed,
        state=mark.state,
        step=_last_step(folder.cell_folder(cell) / "metrics.jsonl"),
        num_steps=int(cell.settings.get("steps", TrainSettings().steps)),
        reason=mark.reason,
    )


def _last_step(path: Path) -> int:
    """The step of the last whole line of a log; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError, TypeError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        row: dict[str, Any] = parse_json(file.read().rsplit(b"\n", 2)[-2])
        return int(row["step"])
    return 0
