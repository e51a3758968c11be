"""What a training can be told: everything that its result depends on, as it is written into the run folder."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from vae.networks.build import NETWORKS
from vae.networks.initial_weights import InitialWeights
from vae.objectives.methods import complete_options
from vae.objectives.terms import Likelihood
from vae.topdis.settings import TopDisSettings

__all__ = ["Precision", "TrainSettings"]

Precision = Literal["float32", "bf16"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of one training. The defaults are the common ones of disentanglement_lib's study.

    Attributes:
        data: a name that `vae.data.open_data` knows.
        method: a key of `vae.objectives.methods.METHODS`.
        options: of the method; those not given take the method's defaults.
        topdis: settings of the TopDis term; None trains without.
        network: a key of `vae.networks.NETWORKS`.
        width: multiplies the sizes of the hidden layers.
        initial_weights: the law that they are drawn from.
        num_latents: size of the code.
        likelihood: "bernoulli" or "gaussian".
        steps: optimisation steps.
        batch_size: images a step.
        learning_rate: Adam's.
        adam_betas: Adam's.
        max_grad_norm: the gradient is clipped to this norm; None leaves it to the method (1 for DAVA, else never).
        ramp_steps: the method's penalty grows linearly from 0 to its full weight over so many steps.
        precision: "float32", or "bf16" for the networks (losses stay float32).
        seed: of weights, batches, noise and choices.
        log_every: steps that a line of metrics.jsonl averages over.

    Raises:
        InvalidArgumentError: a value is not allowed.
    """

    data: str = "dsprites"
    method: str = "beta-vae"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    topdis: TopDisSettings | None = None
    network: str = "narrow"
    width: float = 1.0
    initial_weights: InitialWeights = "kaiming"
    num_latents: int = 10
    likelihood: Likelihood = "bernoulli"
    steps: int = 300_000
    batch_size: int = 64
    learning_rate: float = 1e-4
    adam_betas: Sequence[float] = (0.9, 0.999)
    max_grad_norm: float | None = None
    ramp_steps: int = 0
    precision: Precision = "float32"
    seed: int = 0
    log_every: int = 100

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", complete_options(self.method, self.options))
        object.__setattr__(self, "adam_betas", tuple(self.adam_betas))
        _check(self.network in NETWORKS, "network", self.network, ", ".join(NETWORKS))
        for name, kind in (
            ("initial_weights", InitialWeights),
            ("likelihood", Likelihood),
            ("precision", Precision),
        ):
            value = getattr(self, name)
            _check(value in get_args(kind), name, value, ", ".join(get_args(kind)))
        for name in ("width", "learning_rate"):
            value = getattr(self, name)
            _check(0 < value < float("inf"), name, value, "a positive number")
        _check(
            len(self.adam_betas) == 2 and all(0 <= beta < 1 for beta in self.adam_betas),
            "adam_betas",
            self.adam_betas,
            "two numbers of at least 0 and less than 1",
        )
        _check(self.max_grad_norm is None or self.max_grad_norm > 0, "max_grad_norm", self.max_grad_norm, "positive")
        for name, least in (("num_latents", 1), ("steps", 0), ("ramp_steps", 0), ("log_every", 1), ("batch_size", 4)):
            value = getattr(self, name)
            _check(isinstance(value, int) and value >= least, name, value, f"an integer of at least {least}")
        _check(isinstance(self.seed, int) and 0 <= self.seed < 2**32, "seed", self.seed, "an integer, 0 to 2^32 - 1")

    def as_config(self) -> dict[str, Any]:
        """JSON-able; `from_config` undoes it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TrainSettings":
        """The settings in the configuration of a run folder; other keys are passed over.

        Raises:
            RunFolderError: there are keys missing or values that are not allowed.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        try:
            values = {name: config[name] for name in names}
            topdis = values["topdis"]
            return cls(**{**values, "topdis": None if topdis is None else TopDisSettings(**topdis)})
        except (KeyError, TypeError, InvalidArgumentError) as error:
            raise RunFolderError(f"config.json holds no settings that this train-vae knows: {error}") from error


def _check(allowed: bool, name: str, value: object, what: str) -> None:
    if not allowed:
        raise InvalidArgumentError(f"{name} is {value!r}, allowed is {what}")
