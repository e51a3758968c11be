"""How a run stands: `status.json`, a mark that says running, finished, interrupted or failed, when and why.

A process that is killed leaves the mark "running" with nobody holding the folder's lock; it reads as "killed".
"""

import os
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.lock import lock_holder
from ganspace_topdis.runs.reading import read_json

__all__ = ["RunState", "RunStatus", "read_status", "write_status"]

RunState = Literal["running", "finished", "interrupted", "failed", "killed"]

_NAME = "status.json"


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """How a run stands.

    Attributes:
        state: "killed" is never written, only read.
        reason: why it was interrupted or failed; empty otherwise.
        time: of the mark, UTC, ISO 8601.
        pid: the process that wrote the mark.
    """

    state: RunState
    reason: str
    time: str
    pid: int


def write_status(folder: Path, state: RunState, reason: str = "") -> RunStatus:
    """Mark the run in `folder`, atomically.

    Raises:
        RunFolderError: the folder is read-only or the disk is full; the former mark stays.
    """
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    status = RunStatus(state=state, reason=reason, time=time, pid=os.getpid())
    write_json(folder / _NAME, asdict(status))
    return status


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
