"""`topdis-gan train-vae`: train an autoencoder, with or without TopDis, in a run folder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.options import Command, Settings, nested, option
from vae.presets import PRESETS
from vae.settings import ExecutionOptions, TrainSettings

__all__ = ["COMMAND", "Options", "run", "to_text"]


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
    from vae.training.run import train

    return {"run": str(train(options.training, options.folder, options=options.execution))}


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
)
