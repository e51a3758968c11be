"""The records of a run: config.json, status.json and metrics.jsonl.

config.json     the command and its configuration, which never change
status.json     the state of the run (running, finished, interrupted or failed), with time and reason
metrics.jsonl   one JSON object per line, written to the file at once and completely

`read_run(path)` reads a run folder without changing it; `runs.folder` writes it.

A killed process leaves the state "running" and no holder of the folder's lock: the state reads as "killed". On a full
disk no new status can be written, so a spare one that says "failed" is written at the start; renaming it needs no
space.

A resumed run truncates metrics.jsonl to the step of its checkpoint, so that the file equals that of an uninterrupted
run. JSON has no NaN: a number that is not finite is written as a string.
"""

import contextlib
import json
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, get_args

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.checkpoints import CheckpointStore
from ganspace_topdis.runs.files import lock_holder, write_bytes, write_json
from ganspace_topdis.runs.reading import parse_json, read_json

__all__ = [
    "MetricsLog",
    "RunRecord",
    "RunState",
    "RunStatus",
    "drop_spare_status",
    "read_metrics",
    "read_run",
    "read_status",
    "use_spare_status",
    "write_spare_status",
    "write_status",
]

RunState = Literal["running", "finished", "interrupted", "failed", "killed"]

CONFIG, STATUS, METRICS = "config.json", "status.json", "metrics.jsonl"
_SPARE_STATUS = ".status.json.spare.tmp"


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """The state of a run.

    Attributes:
        state: "killed" is only read, never written.
        reason: why the run was interrupted or failed; otherwise empty.
        time: when the status was written, in UTC, ISO 8601.
        pid: the process that wrote it.
        metrics_sha256: of a finished run's metrics.jsonl, or None.
    """

    state: RunState
    reason: str
    time: str
    pid: int
    metrics_sha256: str | None = None

    def __post_init__(self) -> None:
        texts = (self.reason, self.time, self.metrics_sha256 or "")
        if self.state not in get_args(RunState) or not all(isinstance(text, str) for text in texts):
            raise ValueError("not the status of a run")


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The contents of a run folder. `status` is None if it is missing or damaged."""

    path: Path
    command: str
    config: dict[str, Any]
    status: RunStatus | None

    @property
    def checkpoints(self) -> CheckpointStore:
        """The run's checkpoints."""
        return CheckpointStore(self.path / "checkpoints")


def read_run(path: str | os.PathLike[str]) -> RunRecord:
    """Read command, configuration and status of the run in `path`.

    Raises:
        RunFolderError: `path` is not a run folder, or its config.json is damaged.
    """
    folder = Path(path)
    if not (folder / CONFIG).is_file():
        raise RunFolderError(f"there is no run folder at {folder}: it has no {CONFIG}; check the path")
    try:
        stored = read_json(folder / CONFIG)
        command, config = stored["command"], dict(stored["config"])
        if not isinstance(command, str):
            raise ValueError("it names no command")
    except (ValueError, KeyError, TypeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise RunFolderError(f"{folder / CONFIG} cannot be read ({reason})") from error
    return RunRecord(path=folder, command=command, config=config, status=read_status(folder))


def read_status(folder: Path, *, held: bool | None = None) -> RunStatus | None:
    """Read the status of the run in `folder`; None if it is missing or damaged.

    Args:
        folder: the run folder.
        held: whether a process is working in the folder; None determines it from the folder's lock.
    """
    try:
        status = RunStatus(**read_json(folder / STATUS))
    except (ValueError, TypeError):
        return None
    held = lock_holder(folder) is not None if held is None else held
    if status.state != "running" or held:
        return status
    reason = f"process {status.pid} ended without a status: it was killed, or the machine stopped"
    return RunStatus(state="killed", reason=reason, time=status.time, pid=status.pid)


def write_status(
    folder: Path, state: RunState, reason: str = "", *, metrics_sha256: str | None = None, name: str = STATUS
) -> RunStatus:
    """Write the status of the run in `folder` to the file `name`, atomically; return it.

    Raises:
        RunFolderError: the folder is read-only or the disk is full; the previous status stays.
    """
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    status = RunStatus(state=state, reason=reason, time=time, pid=os.getpid(), metrics_sha256=metrics_sha256)
    write_json(folder / name, asdict(status))
    return status


def write_spare_status(folder: Path) -> None:
    """Write the status that `use_spare_status` renames.

    Raises:
        RunFolderError: the folder is read-only or the disk is full.
    """
    reason = "it ended when nothing could be written any more, as on a full disk"
    write_status(folder, "failed", reason, name=_SPARE_STATUS)


def use_spare_status(folder: Path) -> None:
    """Set the status to failed when none can be written."""
    with contextlib.suppress(OSError):
        (folder / _SPARE_STATUS).replace(folder / STATUS)


def drop_spare_status(folder: Path) -> None:
    """Remove the spare status."""
    with contextlib.suppress(OSError):
        (folder / _SPARE_STATUS).unlink()


class MetricsLog:
    """Appends to a metrics file, which is created with the first line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def append(self, values: Mapping[str, Any]) -> None:
        """Write one line. It must have an integer `step`, which `cut` needs.

        Raises:
            RunFolderError: the disk is full or the folder read-only; the earlier lines stay intact.
        """
        assert isinstance(values.get("step"), int), f"a line of metrics needs its step: {values}"
        line = json.dumps({name: _plain(value) for name, value in values.items()}, allow_nan=False) + "\n"
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            _write_all(self._descriptor, line.encode())
        except OSError as error:
            raise RunFolderError(
                f"cannot write {self.path}: {error.strerror}; free some space and give the same command again"
            ) from error

    def cut(self, step: int) -> None:
        """Remove all lines after `step`, damaged lines, and an incomplete last line.

        Raises:
            RunFolderError: the file cannot be written.
        """
        if not self.path.is_file():
            return
        before = self.path.read_bytes()
        lines = before.splitlines(keepends=True)
        after = b"".join(line for line in lines if _is_up_to(line, step))
        if damaged := sum(line.endswith(b"\n") and _parse_line(line) is None for line in lines):
            warnings.warn(f"{self.path} is damaged: {damaged} of its {len(lines)} lines are left out", stacklevel=2)
        if after != before:
            self.close()
            write_bytes(self.path, after)

    def sync(self) -> None:
        """Sync the lines to disk; called before a checkpoint is written, which must not be ahead of them."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the lines of a metrics file, except damaged lines, with a warning, and an incomplete last line."""
    lines = [line for line in Path(path).read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    values = [_parse_line(line) for line in lines]
    damaged = [str(number) for number, value in enumerate(values, 1) if value is None]
    if damaged:
        listed = ", ".join(damaged[:5]) + (", ..." if len(damaged) > 5 else "")
        warnings.warn(f"{path} is damaged in line {listed}, which is left out", stacklevel=2)
    return [value for value in values if value is not None]


def _write_all(descriptor: int, data: bytes) -> None:
    size = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, data)
        if written < len(data):  # the disk filled up within the line: the next call raises
            os.write(descriptor, data[written:])
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _is_up_to(line: bytes, step: int) -> bool:
    value = _parse_line(line) if line.endswith(b"\n") else None
    return value is not None and value["step"] <= step


def _parse_line(line: bytes) -> dict[str, Any] | None:
    """Return the values of a line, or None if it is damaged."""
    try:
        value = parse_json(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("step"), int) else None


def _plain(value: Any) -> Any:
    """Convert NumPy and torch scalars to Python numbers and numbers that are not finite to strings, recursively."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
