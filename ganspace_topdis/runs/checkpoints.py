"""Checkpoints of a run: one checksummed file per step, of which the last two are kept.

`CheckpointStore.save(step, tensors, rest)` writes `step_000000120.safetensors` atomically, then removes all files but
this one and the one before it. `load_newest()` returns a `Checkpoint(step, tensors, rest)`. If the newest file is
damaged, it warns and loads the previous one; if all are damaged, it raises an error.

Tensors keep their memory layout: a sum over a transposed tensor is vectorized differently from one over a contiguous
tensor, so that a resumed run would differ in its last bits.

Pytrees (states of optimizers and random generators) become `tensors, rest` with `runs.checksummed.flatten`:

    store.save(step, *flatten({"model": model.state_dict(), "adam": adam.state_dict()}))
    state = unflatten(checkpoint.tensors, checkpoint.rest)
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ganspace_topdis.errors import CheckpointError, RunFolderError
from ganspace_topdis.runs.checksummed import load_checksummed, save_checksummed

__all__ = ["Checkpoint", "CheckpointStore"]

_NAME = re.compile(r"step_(\d{9,})\.safetensors")
_NUM_KEPT = 2


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a run after `step` steps: tensors and a JSON-able rest."""

    step: int
    tensors: dict[str, Tensor]
    rest: Any


class CheckpointStore:
    """The checkpoints in one folder, which is created when the first one is saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """Return the steps that have a file, intact or damaged, in ascending order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(match[1]) for path in self.folder.iterdir() if (match := _NAME.fullmatch(path.name)))

    def path(self, step: int) -> Path:
        """Return the path of the checkpoint after `step` steps."""
        return self.folder / f"step_{step:09d}.safetensors"

    def save(self, step: int, tensors: Mapping[str, Tensor], rest: Any) -> Path:
        """Write the state after `step` steps; return its path.

        Files of later steps are removed: a run that writes this step has found them damaged.

        Raises:
            RunFolderError: the folder is read-only or the disk is full. Earlier checkpoints stay.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"cannot make {self.folder}: {error.strerror or error}") from error
        layouts = {name: order for name, tensor in tensors.items() if (order := _memory_order(tensor)) is not None}
        path = save_checksummed(self.path(step), tensors, {"step": step, "rest": rest, "layouts": layouts})
        earlier = [other for other in self.steps() if other < step]
        kept = {step, *earlier[len(earlier) - (_NUM_KEPT - 1) :]}
        for other in self.steps():
            if other not in kept:
                self.path(other).unlink(missing_ok=True)
        return path

    def newest_is_intact(self) -> bool:
        """Whether the newest file can be loaded, or there are no files."""
        steps = self.steps()
        try:
            if steps:
                _load(self.path(steps[-1]), steps[-1])
        except CheckpointError:
            return False
        return True

    def load_newest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint, or None if there are no checkpoints.

        Raises:
            CheckpointError: all checkpoints are damaged.
        """
        damaged: list[str] = []
        for step in reversed(self.steps()):
            try:
                checkpoint = _load(self.path(step), step)
            except CheckpointError as error:
                damaged.append(str(error))
                continue
            if damaged:
                warnings.warn(f"{damaged[0]}; going on from step {step} before it", stacklevel=2)
            return checkpoint
        if damaged:
            raise CheckpointError(
                f"no usable checkpoint in {self.folder}: {damaged[0]}; remove that folder to start from the beginning"
            )
        return None


def _load(path: Path, step: int) -> Checkpoint:
    tensors, description = load_checksummed(path)
    if description.keys() != {"step", "rest", "layouts"}:
        raise CheckpointError(f"{path} is not a checkpoint of a run")
    if description["step"] != step:
        raise CheckpointError(f"{path} holds step {description['step']}, not the step in its name")
    for name, order in description["layouts"].items():
        tensors[name] = _in_memory_order(tensors[name], order)
    return Checkpoint(step=step, tensors=tensors, rest=description["rest"])


def _memory_order(tensor: Tensor) -> list[int] | None:
    """Return the dimensions by descending stride, or None for a contiguous tensor.

    Also returns None for tensors with gaps or overlaps in memory, which are stored as contiguous tensors.
    """
    order = sorted(range(tensor.dim()), key=lambda dim: -tensor.stride()[dim])
    return order if not tensor.is_contiguous() and tensor.permute(order).is_contiguous() else None


def _in_memory_order(tensor: Tensor, order: list[int]) -> Tensor:
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return tensor.permute(order).contiguous().permute(inverse)
