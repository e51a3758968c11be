"""A run folder of several processes: the main process reads and writes it, and broadcasts what it reads.

with join_process_group() as group, open_shared(group, "runs/x", config, command="train-vae", device="cpu") as folder:
    checkpoint = folder.resume()               # the same on every process
    with folder.saving(state, num_steps=100, every_s=60.0) as after_step:
        for step in range(100):
            folder.append_metrics({"step": step, "loss": take_step()})  # written once
            after_step()
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ganspace_topdis.runs.checkpoints import Checkpoint
from ganspace_topdis.runs.distributed import ProcessGroup
from ganspace_topdis.runs.folder import RunFolder
from ganspace_topdis.runs.progress import Interrupt

__all__ = ["PartialWork", "SharedFolder", "State", "open_shared"]

State = Callable[[], tuple[int, Mapping[str, Tensor], Any]]
"""Returns the number of steps taken and the state that later steps depend on: tensors and a JSON-able rest."""


class SharedFolder:
    """The operations of `RunFolder` that a run uses. Every process must call them in the same order.

    Attributes:
        path: the folder.
    """

    def __init__(self, group: ProcessGroup, folder: RunFolder | None, path: Path) -> None:
        self._group, self._folder, self.path = group, folder, path

    @property
    def finished(self) -> bool:
        """Whether the run was finished and intact when it was opened."""
        return bool(self._group.broadcast(lambda: self._own.finished))

    @property
    def was_finished(self) -> bool:
        """Whether the run was finished when it was opened; its last checkpoint may be damaged."""

        def was() -> bool:
            previous = self._own.previous
            return previous is not None and previous.state == "finished"

        return bool(self._group.broadcast(was))

    def resume(self) -> Checkpoint | None:
        """Return the newest intact checkpoint; None at the start."""
        checkpoint: Checkpoint | None = self._group.broadcast(lambda: self._own.resume())
        return checkpoint

    def append_metrics(self, values: Mapping[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        if self._folder is not None:
            self._folder.append_metrics(values)

    def save(self, step: int, tensors: Mapping[str, Tensor], rest: Any = None) -> None:
        """Save a checkpoint."""
        if self._folder is not None:
            self._folder.save(step, tensors, rest)

    @contextlib.contextmanager
    def saving(self, state: State, *, num_steps: int, every_s: float) -> Iterator[Callable[[], None]]:
        """Yield a function to call after every step, which saves periodically, and before it stops the run.

        Args:
            state: returns the number of steps taken, tensors, and a JSON-able rest; also saved at the end.
            num_steps: of the whole run, for the message.
            every_s: seconds between checkpoints.

        Raises:
            StopRequestedError: any process received Ctrl-C or SIGTERM; the state is saved.
        """
        saved_s = time.monotonic()

        def after_step() -> None:
            nonlocal saved_s
            stopping = self._group.any_true(interrupt.requested)
            if not stopping and time.monotonic() - saved_s <= every_s:
                return
            step, tensors, rest = state()
            self.save(step, tensors, rest)
            saved_s = time.monotonic()
            if stopping:
                interrupt.stop(f"saved after step {step} of {num_steps}; the same command resumes from there")

        with Interrupt() as interrupt:
            yield after_step
        self.save(*state())

    @contextlib.contextmanager
    def partial_work(self, *, every_s: float) -> Iterator["PartialWork"]:
        """Yield an object that saves work other than steps periodically, and before it stops the run."""
        with Interrupt() as interrupt:
            yield PartialWork(self._group, self._folder, interrupt, every_s)

    def drop_partial(self) -> None:
        """Remove what `partial_work` saved."""
        if self._folder is not None:
            self._folder.drop_partial()

    @property
    def _own(self) -> RunFolder:
        assert self._folder is not None
        return self._folder


class PartialWork:
    """Saves partial results by name; see `SharedFolder.partial_work`. Every process must call it in the same order."""

    def __init__(self, group: ProcessGroup, folder: RunFolder | None, interrupt: Interrupt, every_s: float) -> None:
        self._group, self._folder, self._interrupt, self._every_s = group, folder, interrupt, every_s
        self._saved_s = time.monotonic()

    def load(self, name: str) -> dict[str, Tensor] | None:
        """Return what was saved under `name`, or None."""

        def read() -> dict[str, Tensor] | None:
            assert self._folder is not None
            return self._folder.load_partial(name)

        tensors: dict[str, Tensor] | None = self._group.broadcast(read)
        return tensors

    def save(self, name: str, tensors: Mapping[str, Tensor], *, complete: bool) -> None:
        """Save `tensors` under `name` if they are complete, `every_s` has passed, or the run is about to stop.

        Raises:
            RunFolderError: the disk is full.
            StopRequestedError: any process received Ctrl-C or SIGTERM; the work is saved.
        """
        stopping = self._group.any_true(self._interrupt.requested)
        if not (stopping or complete or time.monotonic() - self._saved_s > self._every_s):
            return
        if self._folder is not None:
            self._folder.save_partial(name, tensors)
        self._saved_s = time.monotonic()
        if stopping:
            self._interrupt.stop("saved; the same command resumes from there")


@contextlib.contextmanager
def open_shared(
    group: ProcessGroup, path: str | os.PathLike[str], config: Mapping[str, Any], **options: Any
) -> Iterator[SharedFolder]:
    """Open the run folder `path` on the main process; arguments and errors are those of `RunFolder.open`."""
    with contextlib.ExitStack() as stack:
        opened: list[RunFolder] = []
        group.broadcast(lambda: opened.append(stack.enter_context(RunFolder.open(path, config, **options))))
        yield SharedFolder(group, opened[0] if opened else None, Path(path))
