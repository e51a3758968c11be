"""How long a training takes on this machine: a few steps of a second training with the same settings are timed.

Steps before the delay of TopDis and steps with it are timed apart, because the latter take two to three times as long.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ganspace_topdis.runs.progress import plan_table
from vae.data import DataSet
from vae.settings import ExecutionOptions, TrainSettings
from vae.training.loop import Training

__all__ = ["TrainingPart", "plan_text", "plan_training", "step_seconds"]

_WARMUP_STEPS, _TIMED_STEPS = 3, 10


@dataclass(frozen=True, kw_only=True)
class TrainingPart:
    """Consecutive steps of one kind.

    Attributes:
        name: of the part.
        num_steps: how many.
        step_s: seconds of each.
    """

    name: str
    num_steps: int
    step_s: float

    @property
    def duration_s(self) -> float:
        """Seconds of the part."""
        return self.num_steps * self.step_s


def step_seconds(
    settings: TrainSettings,
    data: DataSet,
    *,
    device: torch.device | str,
    options: ExecutionOptions | None = None,
) -> float:
    """Seconds of a step, with TopDis from the first one, the mean of ten after three that warm the machine up.

    Raises:
        TopdisError: the settings do not suit the data, or a term is not finite.
    """
    options = options or ExecutionOptions()
    if settings.topdis is not None:
        settings = replace(settings, topdis=replace(settings.topdis, delay=0))
    training = Training(settings, data, device=device, compiled=options.compile, resident=options.resident)
    for _ in range(_WARMUP_STEPS):
        training.step()
    start_s = time.perf_counter()
    for _ in range(_TIMED_STEPS):  # every step reads its losses, so the device has finished it
        training.step()
    return (time.perf_counter() - start_s) / _TIMED_STEPS


def plan_training(
    settings: TrainSettings, data: DataSet, *, device: torch.device | str, options: ExecutionOptions | None = None
) -> tuple[TrainingPart, ...]:
    """The parts of a training: the steps before TopDis, if there are any, and those with it.

    Raises:
        TopdisError: as `step_seconds`.
    """
    delay = settings.steps if settings.topdis is None else min(settings.topdis.delay, settings.steps)
    found = []
    if delay:
        plain = replace(settings, topdis=None)
        found.append(("training", delay, step_seconds(plain, data, device=device, options=options)))
    if delay < settings.steps:
        rest_s = step_seconds(settings, data, device=device, options=options)
        found.append(("with TopDis", settings.steps - delay, rest_s))
    return tuple(TrainingPart(name=name, num_steps=steps, step_s=seconds) for name, steps, seconds in found)


def plan_text(parts: Sequence[TrainingPart], batch_size: int) -> str:
    """The plan, a line per part, and a last one for all.

    >>> print(plan_text([TrainingPart(name="training", num_steps=2000, step_s=0.03)], 64))
    plan, measured on a few steps here:
    training    about 1 min 0 s    2000 steps of 64 images, 30 ms each
    all         about 1 min 0 s    the same command resumes a stopped run
    """
    rows = [
        (part.name, part.duration_s, f"{part.num_steps} steps of {batch_size} images, {1000 * part.step_s:.3g} ms each")
        for part in parts
    ]
    total_s = sum(part.duration_s for part in parts)
    rows.append(("all", total_s, "the same command resumes a stopped run"))
    return plan_table("a few steps", rows, width=12)
