"""A training in its run folder: `train(settings, "runs/x")` starts or resumes it, `load_trained("runs/x")` loads it.

config.json holds the settings and the data set's fingerprint, metrics.jsonl a line of means every `log_every` steps,
checkpoints/ the state; see `ganspace_topdis.runs.folder`. With `tensorboard`, metrics.jsonl is mirrored to
tensorboard/ (extra `tensorboard`).
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError, RunFolderError, TopdisError
from ganspace_topdis.metrics import mig
from ganspace_topdis.runs.checksummed import flatten, unflatten
from ganspace_topdis.runs.devices import torch_defaults, tune_malloc
from ganspace_topdis.runs.distributed import ProcessGroup, join_process_group
from ganspace_topdis.runs.progress import Progress, ProgressReporter
from ganspace_topdis.runs.records import read_run
from ganspace_topdis.runs.shared_folder import SharedFolder, open_shared
from vae.data import DataSet, open_data
from vae.encoding import encode, uniform_indices
from vae.networks import AutoEncoder, build_networks
from vae.settings import ExecutionOptions, TrainSettings
from vae.training.loop import Training

__all__ = ["TrainedModel", "load_trained", "open_training_data", "train"]

_NUM_SCORED = 10_000
"""Points of a measurement of MIG, as many as `evaluate-vae` fits on."""

_TRAINED = {"model": "the autoencoder", "optimizer": "the autoencoder's Adam", "objective": "the discriminator"}
"""The parts of a training's state that hold tensors of numbers."""


@torch_defaults()
def train(
    settings: TrainSettings,
    run_folder: str | os.PathLike[str],
    *,
    options: ExecutionOptions | None = None,
    data: DataSet | None = None,
    features: Callable[[Tensor], Tensor] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train in `run_folder`, or resume there; return its path. A finished run is left unchanged.

    Args:
        settings: everything that the result depends on.
        run_folder: created if missing.
        options: how the training is executed.
        data: the data set; by default the one named in the settings.
        features: what TopDis compares instead of the features named in the settings; logits (N, C, H, W) -> (N, ...).
        progress: called after every step; by default a bar on stderr.

    Raises:
        InvalidArgumentError: an option does not suit the data or the machine, such as `score_every` without factors.
        RunFolderError: the folder holds something else or is in use, or the disk is full.
        StopRequestedError: Ctrl-C or SIGTERM; the work is saved.
        TopdisError: a term is not finite; the last checkpoint is kept.
    """
    tune_malloc()
    options = ExecutionOptions() if options is None else options
    data = open_training_data(settings, options) if data is None else data
    if options.score_every and not data.factors:
        raise InvalidArgumentError(
            f"`score_every` measures MIG, which needs known factors, and {data.name} has none; leave it out",
            field="score_every",
        )
    config = {
        **settings.as_config(),
        "data_fingerprint": data.fingerprint,
        "features": None if features is None else f"{features.__module__}.{features.__qualname__}",
    }
    with (
        join_process_group(options.device) as world,
        open_shared(world, run_folder, config, command="train-vae", device=str(world.device)) as folder,
    ):
        if folder.finished:
            return folder.path
        training = Training(
            settings, data, device=world.device, features=features, compiled=options.compile, resident=options.resident
        )
        checkpoint = folder.resume()
        if checkpoint is not None:
            training.load_state(unflatten(checkpoint.tensors, checkpoint.rest))
        measured = partial(_mig, training, data) if options.score_every else None  # ranks encode together
        _take_steps(folder, world, training, options, progress, measured)
        return folder.path


def open_training_data(settings: TrainSettings, options: ExecutionOptions) -> DataSet:
    """Open the data set named in the settings, with a bar on stderr while it is unpacked.

    Raises:
        TopdisError: see `vae.data.open_data`.
    """
    with ProgressReporter("data, images") as unpacking:
        return open_data(settings.data, root=options.data_root, verify=options.verify, progress=unpacking)


def _take_steps(
    folder: SharedFolder,
    world: ProcessGroup,
    training: Training,
    options: ExecutionOptions,
    progress: Progress | None,
    measured: Callable[[], float] | None,
) -> None:
    settings = training.settings
    with contextlib.ExitStack() as stack:
        stepped = stack.enter_context(
            folder.saving(
                lambda: _checkpoint(training),
                num_steps=settings.steps,
                every_s=options.checkpoint_every_s,
            )
        )
        report = stack.enter_context(ProgressReporter("train")) if progress is None else progress
        board = None
        if options.tensorboard and world.is_main:
            board = stack.enter_context(_TensorBoard(folder.path / "tensorboard", training.step_index))
        while not training.finished:
            values = training.step()
            step = training.step_index
            report(step, settings.steps, **values)
            logged = training.means.take() if step % settings.log_every == 0 or training.finished else {}
            if measured is not None and options.score_every and (step % options.score_every == 0 or training.finished):
                logged = {**logged, "mig": measured()}
            if logged:
                folder.append_metrics({"step": step, **logged})
                if board is not None:
                    board.append(step, logged)
            stepped()


def _checkpoint(training: Training) -> tuple[int, dict[str, Tensor], Any]:
    """The state for a checkpoint; refused if it is broken, so that the one before stays the newest.

    A step checks its terms before it is taken, but not what the networks and moments are after it.
    """
    state = training.state()
    for name, what in _TRAINED.items():
        if any(part.is_floating_point() and not part.isfinite().all() for part in flatten(state[name])[0].values()):
            raise TopdisError(f"{what} is not finite after step {training.step_index}; lower its learning rate")
    return training.step_index, *flatten(state)


def _mig(training: Training, data: DataSet) -> float:
    """MIG of 10,000 uniform points; the training's random streams and the modes of its layers are left as they are."""
    indices = uniform_indices(data, _NUM_SCORED, np.random.default_rng(0))
    modes = [(module, module.training) for module in training.model.modules()]
    try:
        means, _ = encode(training.model.eval(), data, indices)
    finally:
        for module, mode in modes:
            module.training = mode
    return mig(means, data.codes(indices))


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model in evaluation mode, without gradients, and how it was trained.

    Attributes:
        model: the model.
        settings: those of its training.
        step: the number of steps it was trained for.
        data_fingerprint: that of the data set it was trained on.
    """

    model: AutoEncoder
    settings: TrainSettings
    step: int
    data_fingerprint: str


@torch_defaults()
def load_trained(run_folder: str | os.PathLike[str], device: torch.device | str = "cpu") -> TrainedModel:
    """Load the model in the newest checkpoint of the run in `run_folder`, which may still be running.

    Raises:
        CheckpointError: all checkpoints are damaged.
        RunFolderError: there is no run of train-vae, or it has no checkpoint yet.
    """
    run = read_run(run_folder)
    if run.command != "train-vae":
        raise RunFolderError(f"{run.path} holds a run of `{run.command}`, not of `train-vae`; give another folder")
    settings = TrainSettings.from_config(run.config)
    checkpoint = run.checkpoints.load_newest()
    if checkpoint is None:
        raise RunFolderError(f"{run.path} has no checkpoint yet; rerun its command to continue the training")
    state = unflatten(checkpoint.tensors, checkpoint.rest)
    height, width, channels = state["image_shape"]
    with torch.random.fork_rng(devices=[]):  # weights are drawn, and replaced below
        model = build_networks(
            settings.network,
            image_shape=(height, width, channels),
            num_latents=settings.num_latents,
            width=settings.width,
            initial_weights="torch",
        )
    model.load_state_dict(state["model"])
    return TrainedModel(
        model=model.to(device).eval().requires_grad_(False),
        settings=settings,
        step=checkpoint.step,
        data_fingerprint=str(run.config.get("data_fingerprint", "")),
    )


class _TensorBoard:
    """Writes scalars into `folder`, hiding what an earlier process wrote after `step`. A context manager."""

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingDependencyError(
                "`tensorboard` needs the package tensorboard: pip install 'topdis-gan[tensorboard]', or omit it"
            ) from error
        self._writer = SummaryWriter(folder, purge_step=step + 1)

    def append(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values of one line."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def __enter__(self) -> "_TensorBoard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.close()
