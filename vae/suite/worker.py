"""What a worker of any engine does with a cell: start its process, wait, mark how it ended.

The worker writes the mark itself, into the shared results folder, so that nothing is lost with the connection to
whoever started the suite. It imports neither torch nor the engine.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vae.suite.cell import CellTask
from vae.suite.marks import Mark, write_mark
from vae.suite.records import CellState

__all__ = ["STOP", "WorkOrder", "work"]

STOP = threading.Event()
"""Set in this process when the suite is asked to stop: cells that run here save and end, others do not start."""

_COMMAND = [sys.executable, "-m", "vae.suite.cell"]
_POLL_S = 0.2
_GRACE_S = 120.0
_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class WorkOrder:
    """A cell and how to run it here; pickled to workers.

    Attributes:
        name: of the cell.
        task: what its process is told.
        mark: the file of its mark.
        log: the file of what it prints.
        before: the mark that it had.
        threads: that it may use.
        gpus: CUDA_VISIBLE_DEVICES of the process; None leaves the worker's.
    """

    name: str
    task: CellTask
    mark: str
    log: str
    before: Mark
    threads: int = 1
    gpus: str | None = None


def work(order: WorkOrder) -> tuple[str, Mark]:
    """Run a cell to its end; return its name and mark. Never raises because of the cell."""
    if STOP.is_set():
        return order.name, order.before
    start_s = time.monotonic()
    begun = replace(order.before, state="running", reason="", attempts=order.before.attempts + 1, device=_device(order))
    write_mark(order.mark, begun)
    code = _run(order)
    duration_s = round(order.before.duration_s + time.monotonic() - start_s, 1)
    reason = "" if code == 0 else _reason(code, Path(order.log))
    mark = replace(begun, state=_state(code), reason=reason, duration_s=duration_s)
    return order.name, write_mark(order.mark, mark)


def _run(order: WorkOrder) -> int:
    """Start the cell's process and wait for it; its return code."""
    with Path(order.log).open("ab") as log:
        process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(order, os.environ),
        )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(asdict(order.task)).encode() + b"\n")
            process.stdin.flush()
        while process.poll() is None and not STOP.is_set():
            time.sleep(_POLL_S)
        return _stopped(process)


def _stopped(process: subprocess.Popen[bytes]) -> int:
    """End a process that still runs, giving it time to save; its return code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
    code = process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    return code


def _environment(order: WorkOrder, inherited: Mapping[str, str]) -> dict[str, str]:
    package = str(Path(__file__).parents[2])
    environment: dict[str, Any] = dict(inherited)
    environment |= {name: str(order.threads) for name in _THREAD_VARIABLES}
    paths = [package, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    if order.gpus is not None:
        environment["CUDA_VISIBLE_DEVICES"] = order.gpus
    return environment


def _state(code: int) -> CellState:
    return "finished" if code == 0 else "stopped" if code in _STOPPED else "failed"


def _reason(code: int, log: Path) -> str:
    """Why a process ended: the signal that killed it, or the last line that it printed."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"
    last = ""
    with contextlib.suppress(OSError):
        lines = deque(log.read_text(encoding="utf-8", errors="replace").splitlines(), maxlen=1)
        last = lines[0].strip().removeprefix("error: ") if lines else ""
    return last or f"exit code {code}"


def _device(order: WorkOrder) -> str:
    return f"{order.task.device}, {socket.gethostname()}"
