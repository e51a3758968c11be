"""metrics.jsonl: one JSON object a line, out of the process as soon as it is written, whole or not at all.

A run that resumes cuts the file back to its checkpoint's step, so that the file of a resumed run equals that of
one that was never stopped. JSON knows no NaN: a number that is not finite is written as text.
"""

import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.runs.reading import parse_json

__all__ = ["MetricsLog", "read_metrics"]


class MetricsLog:
    """Appends to one file, which is made at the first line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def append(self, values: Mapping[str, Any]) -> None:
        """Write one line. It must hold an integer `step`, or `cut` could not place it.

        Raises:
            RunFolderError: the disk is full or the folder read-only; the earlier lines stay whole.
        """
        assert isinstance(values.get("step"), int), f"a line of metrics needs its step: {values}"
        line = json.dumps({name: _plain(value) for name, value in values.items()}, allow_nan=False) + "\n"
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            _write_whole(self._descriptor, line.encode())
        except OSError as error:
            raise RunFolderError(
                f"cannot write {self.path}: {error.strerror}; free some space and give the same command again"
            ) from error

    def cut(self, step: int) -> None:
        """Remove every line after `step`, and a last line that was not finished.

        Raises:
            RunFolderError: the file cannot be written.
        """
        if not self.path.is_file():
            return
        before = self.path.read_bytes()
        lines = before.splitlines(keepends=True)
        after = b"".join(line for line in lines if _belongs(line, step))
        if damaged := sum(line.endswith(b"\n") and _parsed(line) is None for line in lines):
            warnings.warn(f"{self.path} is damaged: {damaged} of its {len(lines)} lines are left out", stacklevel=2)
        if after != before:
            self.close()
            write_bytes(self.path, after)

    def sync(self) -> None:
        """Bring the lines to the disk, so that a checkpoint never knows of more than they do."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the file; the next line opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a metrics file, in order; a last line that was not finished is left out.

    Damaged lines are left out too, with a warning.
    """
    lines = [line for line in Path(path).read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    values = [_parsed(line) for line in lines]
    damaged = [str(number) for number, value in enumerate(values, 1) if value is None]
    if damaged:
        shown = ", ".join(damaged[:5]) + (", ..." if len(damaged) > 5 else "")
        warnings.warn(f"{path} is damaged in line {shown}, which is left out", stacklevel=2)
    return [value for value in values if value is not None]


def _write_whole(descriptor: int, data: bytes) -> None:
    size = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, data)
        if written < len(data):  # the disk filled up within the line: the next call says so
            os.write(descriptor, data[written:])
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _belongs(line: bytes, step: int) -> bool:
    value = _parsed(line) if line.endswith(b"\n") else None
    return value is not None and value["step"] <= step


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The values of a line, None where it is damaged."""
    try:
        value = parse_json(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("step"), int) else None


def _plain(value: Any) -> Any:
    """Numpy and torch scalars as Python's; what is not finite as text; containers likewise."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
