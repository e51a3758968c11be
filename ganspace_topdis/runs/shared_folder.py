"""A run folder of several processes: the leader reads and writes it, the others hear what it holds.

with join_world() as world, open_shared(world, "runs/x", config, command="train-vae", device="cpu") as folder:
    checkpoint = folder.resume()               # the same on every process
    with folder.saving(state, num_steps=100, every_s=60.0) as stepped:
        for step in range(100):
            folder.append_metrics({"step": step, "loss": take_step()})  # written once
            stepped()
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ganspace_topdis.runs.checkpoints import Checkpoint
from ganspace_topdis.runs.distributed import World
from ganspace_topdis.runs.folder import RunFolder
from ganspace_topdis.runs.signals import Interrupt

__all__ = ["PartialWork", "SharedFolder", "State", "open_shared"]

State = Callable[[], tuple[int, Mapping[str, Tensor], Any]]
"""Gives the number of steps taken, and what the coming ones depend on: tensors, and a JSON-able rest."""


class SharedFolder:
    """What a run asks of its folder, asked by every process at the same place; see `RunFolder`.

    Attributes:
        path: of the folder.
    """

    def __init__(self, world: World, folder: RunFolder | None, path: Path) -> None:
        self._world, self._folder, self.path = world, folder, path

    @property
    def finished(self) -> bool:
        """Whether the run was finished before."""
        return bool(self._world.from_leader(lambda: self._own.finished))

    @property
    def was_finished(self) -> bool:
        """Whether the run was finished before, though its last checkpoint may be damaged."""

        def was() -> bool:
            previous = self._own.previous
            return previous is not None and previous.state == "finished"

        return bool(self._world.from_leader(was))

    def resume(self) -> Checkpoint | None:
        """The newest checkpoint; None at the beginning."""
        checkpoint: Checkpoint | None = self._world.from_leader(lambda: self._own.resume())
        return checkpoint

    def append_metrics(self, values: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl."""
        if self._folder is not None:
            self._folder.append_metrics(values)

    def save(self, step: int, tensors: Mapping[str, Tensor], rest: Any = None) -> None:
        """Save a checkpoint."""
        if self._folder is not None:
            self._folder.save(step, tensors, rest)

    @contextlib.contextmanager
    def saving(self, state: State, *, num_steps: int, every_s: float) -> Iterator[Callable[[], None]]:
        """A function to call after every step: it saves now and then, and when the run is asked to stop, which it does.

        Args:
            state: the number of steps taken, tensors, and a JSON-able rest. Saved once more at the end.
            num_steps: of the whole run, for the message.
            every_s: seconds between checkpoints.

        Raises:
            StopRequestedError: Ctrl-C or SIGTERM came to any process; the state is saved.
        """
        saved_s = time.monotonic()

        def stepped() -> None:
            nonlocal saved_s
            stopping = self._world.agreed(interrupt.requested)
            if not stopping and time.monotonic() - saved_s <= every_s:
                return
            step, tensors, rest = state()
            self.save(step, tensors, rest)
            saved_s = time.monotonic()
            if stopping:
                interrupt.stop(f"saved after step {step} of {num_steps}; the same command goes on from there")

        with Interrupt() as interrupt:
            yield stepped
        self.save(*state())

    @contextlib.contextmanager
    def partial_work(self, *, every_s: float) -> Iterator["PartialWork"]:
        """A place to keep work that is no step, now and then, and when the run is asked to stop, which it does."""
        with Interrupt() as interrupt:
            yield PartialWork(self._world, self._folder, interrupt, every_s)

    def drop_partial(self) -> None:
        """Remove what `partial_work` kept."""
        if self._folder is not None:
            self._folder.drop_partial()

    @property
    def _own(self) -> RunFolder:
        assert self._folder is not None
        return self._folder


class PartialWork:
    """Keeps pieces of work under names; see `SharedFolder.partial_work`. Asked by every process at the same place."""

    def __init__(self, world: World, folder: RunFolder | None, interrupt: Interrupt, every_s: float) -> None:
        self._world, self._folder, self._interrupt, self._every_s = world, folder, interrupt, every_s
        self._saved_s = time.monotonic()

    def load(self, name: str) -> dict[str, Tensor] | None:
        """What was kept under `name`; None where there is nothing."""

        def read() -> dict[str, Tensor] | None:
            assert self._folder is not None
            return self._folder.load_partial(name)

        kept: dict[str, Tensor] | None = self._world.from_leader(read)
        return kept

    def save(self, name: str, tensors: Mapping[str, Tensor], *, complete: bool) -> None:
        """Keep `tensors` under `name`, if it is time to.

        Raises:
            RunFolderError: the disk is full.
            StopRequestedError: Ctrl-C or SIGTERM came to any process; the work is saved.
        """
        stopping = self._world.agreed(self._interrupt.requested)
        if not (stopping or complete or time.monotonic() - self._saved_s > self._every_s):
            return
        if self._folder is not None:
            self._folder.save_partial(name, tensors)
        self._saved_s = time.monotonic()
        if stopping:
            self._interrupt.stop("saved; the same command goes on from there")


@contextlib.contextmanager
def open_shared(
    world: World, path: str | os.PathLike[str], config: Mapping[str, Any], **options: Any
) -> Iterator[SharedFolder]:
    """Open the run folder `path` on the leader; arguments and errors are those of `RunFolder.open`."""
    with contextlib.ExitStack() as stack:
        held: list[RunFolder] = []
        world.from_leader(lambda: held.append(stack.enter_context(RunFolder.open(path, config, **options))))
        yield SharedFolder(world, held[0] if held else None, Path(path))
