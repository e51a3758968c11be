"""Every setting of a training, each declared once. No torch is imported here.

    TrainSettings        what the result of a training depends on; written into the run folder
      .options           the options of the chosen method; see `vae.method_options`
      .topdis            TopDisSettings, or None
    ExecutionOptions     how a training is executed; the result depends on it only up to rounding

All are frozen and validated on construction.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.options import Settings, device_option, nested, option, seed_option, variants
from vae.method_options import METHOD_OPTIONS, InitialWeights, complete_betas, complete_options

__all__ = [
    "CloudLoss",
    "Compile",
    "ExecutionOptions",
    "Features",
    "InitialWeights",
    "Likelihood",
    "Network",
    "Orthogonalization",
    "Precision",
    "TopDisSettings",
    "TrainSettings",
    "data_root_option",
    "dataset_names",
    "verify_option",
]

Network = Literal["narrow", "narrow-256", "wide", "burgess", "locatello", "locatello-k4", "fc"]
Likelihood = Literal["bernoulli", "gaussian"]
Precision = Literal["float32", "bf16"]
Compile = Literal["none", "default", "cuda-graphs"]
CloudLoss = Literal["rtd", "rtd-released", "rtd-lite", "l2", "mmd", "chamfer"]
Features = Literal["pixels", "logits", "pooled"]
Orthogonalization = Literal["none", "reconstruction", "all"]

_MAIN, _NETWORK, _OPTIMIZER = "Training", "Network", "Optimizer"
_TOPDIS, _MACHINE, _METHOD = "TopDis", "Machine", "Options of one method"


def dataset_names() -> tuple[str, ...]:
    """Return the names of the data sets, for completion; imports the catalog."""
    from vae.data.catalog import CATALOG

    return tuple(CATALOG)


def data_root_option(group: str) -> Any:
    """Return the field of every command that reads a data set: where its files are."""
    return option(None, help="File or folder of the data set.", group=group, default_text="TOPDIS_DATA, then the cache")


def verify_option(group: str) -> Any:
    """Return the field of every command that reads a data set: whether its files must be the published ones."""
    return option(True, help="Compare the data set's files with their published checksums.", group=group)


_RELEASED = {"loss": "rtd-released", "batch": "same", "margin": 0.0, "orthogonalize": "none"}
"""What TopDis as released sets; the defaults give way to it."""


@dataclass(frozen=True, kw_only=True)
class TopDisSettings(Settings):
    """Settings of the TopDis loss; the defaults are those of the paper's experiments (Balabin et al. 2024).

    Raises:
        InvalidArgumentError: a name is unknown, or a value is not allowed.
    """

    WHERE: ClassVar[str] = "topdis."

    weight: float = option(
        5.0, help="Weight gamma of the TopDis loss.", group=_TOPDIS, flag="--topdis", metavar="GAMMA", minimum=0
    )
    delay: int = option(0, help="Steps before the loss is added.", group=_TOPDIS, minimum=0)
    version: Literal["corrected", "released"] = option(
        "corrected",
        help="Corrected, or as in the paper's code: same batch, new noise, no margin, no orthogonalization.",
        group=_TOPDIS,
        flag="--topdis-as",
    )
    loss: CloudLoss = option("rtd", help="Divergence of the clouds; the last three ignore topology.", group=_TOPDIS)
    p: float = option(
        1.0,
        help="Power of the bar lengths.",
        group=_TOPDIS,
        minimum=1,
        only_for={"topdis_loss": ("rtd", "rtd-released")},
    )
    shift: float = option(0.125, help="C of the Gaussian-preserving shift.", group=_TOPDIS, above=0, below=1)
    margin: float = option(
        0.01,
        help="Rows that a shift brings closer than this to probability 0 or 1 are left out.",
        group=_TOPDIS,
        minimum=0,
        below=0.5,
        only_for={"topdis_as": ("corrected",)},
    )
    codes: Literal["sample", "mean"] = option(
        "sample", help="Shift a sample of the posterior, or its mean.", group=_TOPDIS
    )
    choice: Literal["weighted", "uniform"] = option(
        "weighted",
        help="Draw the latent by the norm of its column in the decoder's first layer, or uniformly.",
        group=_TOPDIS,
    )
    batch: Literal["second", "same"] = option(
        "second",
        help="Take the clouds from a second batch, or from that of the other terms.",
        group=_TOPDIS,
        only_for={"topdis_as": ("corrected",)},
    )
    points: int | None = option(
        None, help="Maximum number of points per cloud.", group=_TOPDIS, minimum=4, default_text="the batch"
    )
    orthogonalize: Orthogonalization = option(
        "reconstruction",
        help="Terms that the gradient must not oppose.",
        group=_TOPDIS,
        only_for={"topdis_as": ("corrected",)},
    )
    features: Features = option(
        "pixels", help="Features of the decoded images that are compared; pooled is 16 x 16 px.", group=_TOPDIS
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in ("rtd", "rtd-released") and self.p != TopDisSettings.p:
            self.refuse("p", f'{TopDisSettings.p:g}, its default, if `topdis.loss` is "{self.loss}", which has no bars')
        if self.version == "released":
            for name, value in _RELEASED.items():
                if getattr(self, name) not in (value, getattr(TopDisSettings, name)):
                    self.refuse(name, f'{value} if `topdis.version` is "released"')
                object.__setattr__(self, name, value)


@dataclass(frozen=True, kw_only=True)
class TrainSettings(Settings):
    """Settings of one training.

    Attributes:
        options: options of the method; those not given take the method's defaults.
        topdis: settings of the TopDis loss; None trains without it.
        adam_betas: Adam's betas.

    Raises:
        InvalidArgumentError: a name is unknown, or a value is not allowed.
    """

    data: str = option("dsprites", help="Data set (see `topdis-gan data list`).", group=_MAIN, complete=dataset_names)
    method: str = option("beta-vae", help="Training objective.", group=_MAIN, choices=tuple(METHOD_OPTIONS))
    topdis: TopDisSettings | None = nested(TopDisSettings, optional=True, prefix="topdis")
    steps: int = option(300_000, help="Optimization steps.", group=_MAIN, minimum=0)
    seed: int = seed_option(_MAIN, help="Seed of weights, batches, noise and choices.")
    network: Network = option("narrow", help="Architecture.", group=_NETWORK)
    width: float = option(1.0, help="Factor on the sizes of the hidden layers.", group=_NETWORK, above=0)
    initial_weights: InitialWeights = option("kaiming", help="Distribution of the initial weights.", group=_NETWORK)
    num_latents: int = option(10, help="Size of the code.", group=_NETWORK, minimum=1)
    likelihood: Likelihood = option("bernoulli", help="Distribution of the pixels.", group=_NETWORK)
    batch_size: int = option(64, help="Images per step.", group=_OPTIMIZER, minimum=4)
    learning_rate: float = option(1e-4, help="Adam's learning rate.", group=_OPTIMIZER, above=0)
    adam_betas: Sequence[float] = (0.9, 0.999)
    max_grad_norm: float | None = option(
        None,
        help="Maximum norm of the gradient.",
        group=_OPTIMIZER,
        above=0,
        default_text="1 for dava, else no limit",
    )
    ramp_steps: int = option(0, help="Steps over which the method's penalty grows from 0.", group=_OPTIMIZER, minimum=0)
    options: Mapping[str, Any] = variants("method", METHOD_OPTIONS)
    precision: Precision = option("float32", help="Precision of the networks; bf16 is for GPUs.", group=_MACHINE)
    log_every: int = option(
        100, help="Steps averaged in a line of metrics.jsonl.", group=_MACHINE, unit="steps", minimum=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "options", complete_options(self.method, self.options))
        complete_betas(self, "adam_betas")

    @classmethod
    def from_tables(cls, settings: Mapping[str, Any], *, seed: int) -> "TrainSettings":
        """Return the settings of a suite's cell: JSON-like `settings` without the seed, "topdis" being a table.

        Raises:
            InvalidArgumentError: a name is unknown, or a value is not allowed.
            TypeError: a table is not a mapping.
        """
        topdis = settings.get("topdis")
        return cls(**{**settings, "topdis": None if topdis is None else TopDisSettings(**topdis), "seed": seed})

    def as_config(self) -> dict[str, Any]:
        """Return a JSON-able copy; `from_config` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TrainSettings":
        """Return the settings in the configuration of a run folder; other keys are ignored.

        Raises:
            RunFolderError: a key is missing, or a value is not allowed.
        """
        try:
            values = {entry.name: config[entry.name] for entry in dataclasses.fields(cls)}
            return cls.from_tables(values, seed=values["seed"])
        except (KeyError, TypeError, InvalidArgumentError) as error:
            raise RunFolderError(
                f"config.json holds no settings that this version of train-vae knows: {error}"
            ) from error


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions(Settings):
    """How a training is executed; the result depends on it only up to rounding."""

    device: str = device_option(_MACHINE)
    data_root: Path | None = data_root_option(_MACHINE)
    verify: bool = verify_option(_MACHINE)
    resident: bool = option(False, help="Copy the whole data set to the device.", group=_MACHINE)
    compile: Compile = option("none", help="Compile the networks.", group=_MACHINE)
    tensorboard: bool = option(False, help="Also write the log for TensorBoard.", group=_MACHINE)
    checkpoint_every_s: float = option(60.0, help="Seconds between checkpoints.", group=_MACHINE, unit="s", minimum=0)
    score_every: int | None = option(
        None,
        help="Steps between measurements of MIG, logged with the losses.",
        group=_MACHINE,
        unit="steps",
        minimum=1,
        default_text="none",
    )
