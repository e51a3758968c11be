"""One cell, in a process of its own: `python -m vae.suite.cell`, told what to do by a line of JSON on stdin.

    train-vae -> evaluate-vae, in the cell's run folder

A process of its own means that whatever happens to it, a crash, a kill, no memory, happens to it alone, and that its
thread count is set before torch is imported. The rest of stdin stays open as long as the parent lives: when it ends,
the cell stops as if by SIGTERM, with its work saved.
"""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.runs.lock import lock_holder

__all__ = ["CellTask", "run_cell"]

_GRACE_S = 60.0
_POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class CellTask:
    """What a cell's process is told; JSON-able.

    Attributes:
        folder: the run folder.
        settings: of train-vae.
        seed: of the training.
        metrics: groups of evaluate-vae; None for all.
        max_images: limit of the encoded grid.
        device: as train-vae takes it.
        data_root: the data set's file or folder.
        resident: whether the data set is put on the device.
        compiled: as train-vae's --compile.
        pictures: whether traversals and the page are drawn.
    """

    folder: str
    settings: dict[str, Any]
    seed: int
    metrics: tuple[str, ...] | None = None
    max_images: int | None = None
    device: str = "auto"
    data_root: str | None = None
    resident: bool = False
    compiled: str = "none"
    pictures: bool = True


def run_cell(task: CellTask) -> None:
    """Train, or go on, and evaluate.

    Raises:
        TopdisError: whatever train-vae or evaluate-vae raise.
    """
    from vae.evaluation.network import EvaluationSettings
    from vae.evaluation.run import evaluate
    from vae.suite.checks import train_settings
    from vae.training.runner import TrainOptions, train

    _wait_for(Path(task.folder))
    root = None if task.data_root is None else Path(task.data_root)
    options = TrainOptions(
        device=task.device,
        data_root=root,
        resident=task.resident,
        compiled=task.compiled,  # type: ignore[arg-type]
    )
    train(train_settings(task.settings, seed=task.seed), task.folder, options=options)
    metrics = None if task.metrics is None else tuple(task.metrics)
    wanted = EvaluationSettings(metrics=metrics, max_images=task.max_images)
    jobs = int(os.environ.get("OMP_NUM_THREADS", "1"))
    evaluate(task.folder, wanted, device=task.device, data_root=root, jobs=jobs, pictures=task.pictures)


def _wait_for(folder: Path) -> None:
    """Wait until a former process of this cell, whose worker was lost, has saved its work and let go."""
    deadline_s = time.monotonic() + _GRACE_S
    while lock_holder(folder) is not None and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)


def _stop_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # not sys.stdin.read: a thread that waits in it aborts the interpreter's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(143)


def _main() -> int:
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
