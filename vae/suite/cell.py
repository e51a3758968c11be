"""One cell: the worker that starts its process, and the process, `python -m vae.suite.cell`.

    worker   start the process -> wait -> write the cell's status
    process  read a `CellTask` as a line of JSON from stdin -> train-vae -> evaluate-vae, in the cell's run folder

A process of its own isolates the cell: a crash, a kill or a lack of memory affects it alone, and its thread count is
set before torch is imported. Its stdin stays open as long as the worker lives; when it closes, the cell stops as if by
SIGTERM, with its work saved. It leaves the process group of the suite, because Ctrl-C in a terminal reaches the whole
group, and a cell that gets it and then the worker's SIGTERM would stop at once. It stays in the session, so that `nice`
counts.

The worker writes the status itself, into the shared results folder, so that nothing is lost with the connection to the
process that started the suite. It imports neither torch nor the engine.
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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.runs.files import lock_holder
from vae.suite.results import CellState, CellStatus, write_status

__all__ = ["STOP", "CellTask", "Job", "run_cell", "work"]

STOP = threading.Event()
"""Set in this process when the suite is asked to stop: running cells save their work, others do not start."""

_COMMAND = [sys.executable, "-m", "vae.suite.cell"]
_POLL_S = 0.2
_STOP_GRACE_S = 120.0
_EXIT_GRACE_S = 60.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class CellTask:
    """What the process of a cell does; JSON-able.

    Attributes:
        folder: the run folder.
        settings: settings of train-vae without the seed.
        seed: seed of the training.
        metrics: metric groups of evaluate-vae; None for all.
        max_images: limit of the encoded grid.
        execution: fields of `vae.settings.ExecutionOptions`, paths as text.
        pictures: whether traversals and the page are drawn.
    """

    folder: str
    settings: dict[str, Any]
    seed: int
    metrics: tuple[str, ...] | None = None
    max_images: int | None = None
    execution: dict[str, Any] = field(default_factory=dict)
    pictures: bool = True


@dataclass(frozen=True, kw_only=True)
class Job:
    """A cell and how a worker runs it; pickled to workers.

    Attributes:
        name: name of the cell.
        task: what its process does.
        status_file: file of its status.
        log: file of its output.
        before: its previous status.
        threads: number of threads it may use.
        gpus: CUDA_VISIBLE_DEVICES of the process; None inherits the worker's.
    """

    name: str
    task: CellTask
    status_file: str
    log: str
    before: CellStatus
    threads: int = 1
    gpus: str | None = None


def work(job: Job) -> tuple[str, CellStatus]:
    """Run a cell to its end; return its name and status. A failing cell does not raise."""
    if STOP.is_set():
        return job.name, job.before
    start_s = time.monotonic()
    device = f"{job.task.execution.get('device', 'auto')}, {socket.gethostname()}"
    begun = replace(job.before, state="running", reason="", attempts=job.before.attempts + 1, device=device)
    write_status(job.status_file, begun)
    code = _run_process(job)
    duration_s = round(job.before.duration_s + time.monotonic() - start_s, 1)
    reason = "" if code == 0 else _failure_reason(code, Path(job.log))
    status = replace(begun, state=_state(code), reason=reason, duration_s=duration_s)
    return job.name, write_status(job.status_file, status)


def _run_process(job: Job) -> int:
    """Start the process of a cell and wait for it; return its exit code."""
    with Path(job.log).open("ab") as log:
        process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(job, os.environ),
        )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(asdict(job.task)).encode() + b"\n")
            process.stdin.flush()
        while process.poll() is None and not STOP.is_set():
            time.sleep(_POLL_S)
        return _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> int:
    """Terminate a process that still runs, giving it time to save; return its exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
    code = process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    return code


def _environment(job: Job, inherited: Mapping[str, str]) -> dict[str, str]:
    package = str(Path(__file__).parents[2])
    environment: dict[str, Any] = dict(inherited)
    environment |= {name: str(job.threads) for name in _THREAD_VARIABLES}
    paths = [package, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    if job.gpus is not None:
        environment["CUDA_VISIBLE_DEVICES"] = job.gpus
    return environment


def _state(code: int) -> CellState:
    """The state of a cell by its exit code; one that saved nothing yet is ended by the signal itself."""
    stopped = code - 128 in _SIGNALS or (STOP.is_set() and -code in _SIGNALS)
    return "finished" if code == 0 else "stopped" if stopped else "failed"


def _failure_reason(code: int, log: Path) -> str:
    """Return why a process ended: the signal that killed it, or the last line of its output."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"
    last = ""
    with contextlib.suppress(OSError):
        lines = deque(log.read_text(encoding="utf-8", errors="replace").splitlines(), maxlen=1)
        last = lines[0].strip().removeprefix("error: ") if lines else ""
    return last or f"exit code {code}"


def run_cell(task: CellTask) -> None:
    """Train or resume, then evaluate, in this process.

    Raises:
        TopdisError: see `vae.training.run.train` and `vae.evaluation.run.evaluate`.
    """
    from vae.evaluation.metrics import EvaluationSettings
    from vae.evaluation.run import evaluate
    from vae.settings import ExecutionOptions, TrainSettings
    from vae.training.run import train

    _wait_for_lock(Path(task.folder))
    root = task.execution.get("data_root")
    options = ExecutionOptions(**{**task.execution, "data_root": None if root is None else Path(root)})
    train(TrainSettings.from_tables(task.settings, seed=task.seed), task.folder, options=options)
    metrics = None if task.metrics is None else tuple(task.metrics)
    settings = EvaluationSettings(metrics=metrics, max_images=task.max_images)
    jobs = int(os.environ.get("OMP_NUM_THREADS", "1"))
    evaluate(
        task.folder,
        settings,
        device=options.device,
        data_root=options.data_root,
        verify=options.verify,
        jobs=jobs,
        pictures=task.pictures,
    )


def _wait_for_lock(folder: Path) -> None:
    """Wait until an earlier process of this cell, whose worker was lost, has saved its work and exited."""
    deadline_s = time.monotonic() + _EXIT_GRACE_S
    while lock_holder(folder) is not None and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)


def _stop_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # not sys.stdin.read: a thread blocked in it aborts the interpreter's exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_EXIT_GRACE_S)
    os._exit(143)


def _main() -> int:
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()
    task = CellTask(**json.loads(sys.stdin.buffer.readline()))
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    try:
        run_cell(task)
    except TopdisError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main())
