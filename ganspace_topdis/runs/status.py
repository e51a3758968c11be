"""How a run stands: `status.json`, a mark that says running, finished, interrupted or failed, when and why.

A process that is killed leaves the mark "running" with nobody holding the folder's lock; it reads as "killed".
On a full disk no new mark can be written, so one that says "failed" is written at the start and kept beside it
(`keep_spare_mark`): it takes its place by being renamed, which needs no room.
"""

import contextlib
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, get_args

from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.lock import lock_holder
from ganspace_topdis.runs.reading import read_json

__all__ = [
    "RunState",
    "RunStatus",
    "drop_spare_mark",
    "keep_spare_mark",
    "read_status",
    "use_spare_mark",
    "write_status",
]

RunState = Literal["running", "finished", "interrupted", "failed", "killed"]

_NAME = "status.json"
_SPARE = ".status.json.spare.tmp"


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """How a run stands.

    Attributes:
        state: "killed" is never written, only read.
        reason: why it was interrupted or failed; empty otherwise.
        time: of the mark, UTC, ISO 8601.
        pid: the process that wrote the mark.
        metrics_sha256: of a finished run's metrics.jsonl; None where there is none.
    """

    state: RunState
    reason: str
    time: str
    pid: int
    metrics_sha256: str | None = None

    def __post_init__(self) -> None:
        texts = (self.reason, self.time, self.metrics_sha256 or "")
        if self.state not in get_args(RunState) or not all(isinstance(text, str) for text in texts):
            raise ValueError("not a mark of a run")


def write_status(
    folder: Path, state: RunState, reason: str = "", *, metrics_sha256: str | None = None, name: str = _NAME
) -> RunStatus:
    """Mark the run in `folder`, atomically; `name` is that of the mark's file.

    Raises:
        RunFolderError: the folder is read-only or the disk is full; the former mark stays.
    """
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    status = RunStatus(state=state, reason=reason, time=time, pid=os.getpid(), metrics_sha256=metrics_sha256)
    write_json(folder / name, asdict(status))
    return status


def keep_spare_mark(folder: Path) -> None:
    """Write the mark that `use_spare_mark` puts in place.

    Raises:
        RunFolderError: the folder is read-only or the disk is full.
    """
    write_status(folder, "failed", "it ended when nothing could be written any more, as on a full disk", name=_SPARE)


def use_spare_mark(folder: Path) -> None:
    """Mark the run as failed where no mark can be written."""
    with contextlib.suppress(OSError):
        (folder / _SPARE).replace(folder / _NAME)


def drop_spare_mark(folder: Path) -> None:
    """Remove the spare mark, which is not needed any more."""
    with contextlib.suppress(OSError):
        (folder / _SPARE).unlink()


def read_status(folder: Path, *, held: bool | None = None) -> RunStatus | None:
    """The mark of the run in `folder`; None where there is none or it cannot be read.

    Args:
        folder: the run folder.
        held: whether a process works there; found from the folder's lock by default.
    """
    try:
        status = RunStatus(**read_json(folder / _NAME))
    except (ValueError, TypeError):
        return None
    held = lock_holder(folder) is not None if held is None else held
    if status.state != "running" or held:
        return status
    reason = f"process {status.pid} ended without a mark: killed, or the machine stopped"
    return RunStatus(state="killed", reason=reason, time=status.time, pid=status.pid)
