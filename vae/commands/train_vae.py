"""`topdis-gan train-vae`: train an autoencoder, with or without TopDis, in a run folder."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganspace_topdis.options import Command, Settings, nested, option
from vae.presets import PRESETS
from vae.settings import ExecutionOptions, TrainSettings

if TYPE_CHECKING:
    from vae.data import DataSet

__all__ = ["COMMAND", "Options", "plan", "run", "to_text"]

_MANY_STEPS = 1000
"""The plan of a new training of so many steps is printed before it begins."""


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """A training, its run folder, and how it is executed."""

    training: TrainSettings = nested(TrainSettings)
    out: Path | None = option(None, help="Run folder.", group="Training", default_text="runs/DATA-METHOD[-topdis]-SEED")
    execution: ExecutionOptions = nested(ExecutionOptions)

    @property
    def folder(self) -> Path:
        """The run folder."""
        settings = self.training
        suffix = "" if settings.topdis is None else "-topdis"
        data = re.sub(r"[^\w.-]+", "-", settings.data)  # variations contain other characters: dsprites:posX=8
        return self.out or Path("runs") / f"{data}-{settings.method}{suffix}-{settings.seed}"


def run(options: Options) -> dict[str, Any]:
    """Train, or resume; return {"run": the run folder}.

    Raises:
        TopdisError: see `vae.training.run.train`.
    """
    from vae.training.run import open_training_data, train

    data = open_training_data(options.training, options.execution)
    is_new = not options.folder.exists() and "WORLD_SIZE" not in os.environ
    if is_new and options.training.steps >= _MANY_STEPS and options.execution.compile == "none":
        print(_planned(options, data), file=sys.stderr, flush=True)
    return {"run": str(train(options.training, options.folder, options=options.execution, data=data))}


def plan(options: Options) -> str:
    """How long the training takes here, measured on a few steps.

    Raises:
        TopdisError: see `vae.training.run.train`.
    """
    from vae.training.run import open_training_data

    return _planned(options, open_training_data(options.training, options.execution))


def _planned(options: Options, data: "DataSet") -> str:
    from ganspace_topdis.runs.devices import choose_device, tune_malloc
    from vae.training.pace import plan_text, plan_training

    tune_malloc()
    device = choose_device(options.execution.device)
    parts = plan_training(options.training, data, device=device, options=options.execution)
    return plan_text(parts, options.training.batch_size)


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """Return the run folder."""
    return str(record["run"])


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="Train a disentanglement VAE, with or without TopDis; the same command resumes a stopped run.",
    examples=(
        "topdis-gan train-vae --data dsprites --method factor-vae --topdis 6",
        "topdis-gan train-vae --preset topdis-beta-tcvae --seed 1 --out runs/x",
    ),
    presets=PRESETS,
    plan=plan,
)
