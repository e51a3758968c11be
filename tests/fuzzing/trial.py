"""Reads one file and records the outcome: read or refused in one line, time and memory.

An audit hook watches the process meanwhile: nothing may be imported, compiled, executed or started, and only files in
the case's own folder may be opened, for reading.
"""

import ctypes
import gc
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

from ganspace_topdis.errors import TopdisError
from tests.fuzzing.readers import Reader

MAX_SECONDS = 20
MAX_GROWTH = 1 << 30
FORBIDDEN = ("exec", "import", "compile", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pty.", "webbrowser.")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_watched: str | None = None
_seen: list[str] = []


def _audit(event: str, args: tuple) -> None:
    if _watched is None:
        return
    if event == "open":
        path, _, flags = args
        inside = isinstance(path, int) or os.fsdecode(path).startswith(_watched)
        if not inside or (isinstance(flags, int) and flags & WRITING):
            _seen.append(f"open {path!r}")
    elif event.startswith(FORBIDDEN) and event not in ("os.listdir", "os.scandir"):
        _seen.append(event)


sys.addaudithook(_audit)


@dataclass(frozen=True)
class Outcome:
    """The outcome for one file: `fault` is empty if all promises hold."""

    result: str
    message: str
    fault: str
    seconds: float
    growth: int


def run_case(reader: Reader, data: bytes, folder: Path) -> Outcome:
    """Write `data` into `folder` and read it."""
    global _watched
    path = folder / reader.file_name
    path.write_bytes(data)
    before = _settled()
    _seen.clear()
    start, fault, message = time.perf_counter(), "", ""
    _watched = str(folder)
    try:
        reader.read(path)
        result = "read"
    except (TopdisError, click.ClickException) as error:
        result, message = "refused", error.format_message() if isinstance(error, click.ClickException) else str(error)
        if len(message.splitlines()) != 1 or not message.isprintable():
            fault = f"a message that is not one printable line: {message!r}"
    except BaseException as error:
        result, fault = "failed", f"{type(error).__name__}: {error}"[:300]
    finally:
        _watched = None
    seconds = time.perf_counter() - start
    growth = max(0, _status("VmHWM") - before)
    if _seen:
        fault = f"it did {', '.join(_seen[:5])}"
    elif seconds > MAX_SECONDS:
        fault = f"it used {seconds:.0f} s"
    elif growth > MAX_GROWTH + 4 * len(data):
        fault = f"it used {growth >> 20} MB"
    return Outcome(result, message, fault, seconds, growth)


def _settled() -> int:
    """Return the memory in use, after freeing what earlier cases left and resetting the peak."""
    if _status("VmRSS") > 1.2 * _status.first:  # type: ignore[attr-defined]
        settle()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    """Return a number of bytes from /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    raise AssertionError(name)


def settle() -> None:
    """Take the current memory of this process as the baseline."""
    gc.collect()
    _status.first = _status("VmRSS")  # type: ignore[attr-defined]
