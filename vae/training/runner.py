"""A training in its run folder: `train(settings, "runs/x")` starts it, or goes on where it was stopped.

config.json holds the settings and the data set's fingerprint, metrics.jsonl a line of means every `log_every` steps,
checkpoints/ the state; see `ganspace_topdis.runs.folder`. `load_trained(folder)` gives the model back.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ganspace_topdis.runs.allocator import reuse_freed_memory
from ganspace_topdis.runs.distributed import World, join_world
from ganspace_topdis.runs.progress import Progress, ProgressReporter
from ganspace_topdis.runs.shared_folder import SharedFolder, open_shared
from ganspace_topdis.runs.trees import flatten, unflatten
from vae.data import DataSet, open_data
from vae.training.loop import Training
from vae.training.runtime import Compiled
from vae.training.settings import TrainSettings
from vae.training.tensorboard import TensorBoard

__all__ = ["TrainOptions", "train"]


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How a training is run; its result does not depend on it beyond rounding.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        data_root: the data set's file or folder, for sets that are not drawn.
        resident: whether the whole data set is put on the device.
        compiled: "none", "default", or "cuda-graphs" (see `vae.training.runtime`).
        tensorboard: whether the log is written for TensorBoard too.
        checkpoint_every_s: seconds between checkpoints.
    """

    device: str = "auto"
    data_root: Path | None = None
    resident: bool = False
    compiled: Compiled = "none"
    tensorboard: bool = False
    checkpoint_every_s: float = 60.0


def train(
    settings: TrainSettings,
    run_folder: str | os.PathLike[str],
    *,
    options: TrainOptions | None = None,
    data: DataSet | None = None,
    features: Callable[[Tensor], Tensor] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train in `run_folder`, or go on there; return its path. A finished run is left as it is.

    Args:
        settings: everything that the result depends on.
        run_folder: made where it is missing.
        options: how the training is run.
        data: the data set; opened by its name in the settings by default.
        features: what TopDis compares instead of what the settings name; logits (N, C, H, W) -> (N, ...).
        progress: called after every step; a bar on stderr by default.

    Raises:
        InvalidArgumentError: an option does not fit the data or the machine.
        RunFolderError: the folder holds something else, is in use, or the disk is full.
        StopRequestedError: Ctrl-C or SIGTERM; the work is saved.
        TopdisError: a term is not finite; the last checkpoint stays.
    """
    reuse_freed_memory()
    options = TrainOptions() if options is None else options
    if data is None:
        with ProgressReporter("data, images") as unpacking:
            data = open_data(settings.data, root=options.data_root, progress=unpacking)
    config = {
        **settings.as_config(),
        "data_fingerprint": data.fingerprint,
        "features": None if features is None else f"{features.__module__}.{features.__qualname__}",
    }
    with (
        join_world(options.device) as world,
        open_shared(world, run_folder, config, command="train-vae", device=str(world.device)) as folder,
    ):
        if folder.finished:
            return folder.path
        training = Training(
            settings, data, device=world.device, features=features, compiled=options.compiled, resident=options.resident
        )
        checkpoint = folder.resume()
        if checkpoint is not None:
            training.load_state(unflatten(checkpoint.tensors, checkpoint.rest))
        _take_steps(folder, world, training, options, progress)
        return folder.path


def _take_steps(
    folder: SharedFolder, world: World, training: Training, options: TrainOptions, progress: Progress | None
) -> None:
    settings = training.settings
    with contextlib.ExitStack() as stack:
        stepped = stack.enter_context(
            folder.saving(
                lambda: (training.step_index, *flatten(training.state())),
                num_steps=settings.steps,
                every_s=options.checkpoint_every_s,
            )
        )
        report = stack.enter_context(ProgressReporter("train")) if progress is None else progress
        board = None
        if options.tensorboard and world.leads:
            board = stack.enter_context(TensorBoard(folder.path / "tensorboard", training.step_index))
        while not training.finished:
            values = training.step()
            step = training.step_index
            report(step, settings.steps, **values)
            if step % settings.log_every == 0 or training.finished:
                means = training.averages.take()
                folder.append_metrics({"step": step, **means})
                if board is not None:
                    board.append(step, means)
            stepped()
