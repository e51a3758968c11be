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

__all__ = ["SharedFolder", "State", "open_shared"]

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

    @property
    def _own(self) -> RunFolder:
        assert self._folder is not None
        return self._folder


@contextlib.contextmanager
def open_shared(
    world: World, path: str | os.PathLike[str], config: Mapping[str, Any], **options: Any
) -> Iterator[SharedFolder]:
    """Open the run folder `path` on the leader; arguments and errors are those of `RunFolder.open`."""
    with contextlib.ExitStack() as stack:
        held: list[RunFolder] = []
        world.from_leader(lambda: held.append(stack.enter_context(RunFolder.open(path, config, **options))))
        yield SharedFolder(world, held[0] if held else None, Path(path))
