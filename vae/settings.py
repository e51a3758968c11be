"""Every setting of a training, declared once. No torch is imported here.

    TrainSettings        what the result of a training depends on; written into the run folder
      .options           the options of the chosen method: one dataclass per method, listed in METHOD_OPTIONS
      .topdis            TopDisSettings, or None
    ExecutionOptions     how a training is executed; the result depends on it only up to rounding

All are frozen and validated on construction. Defaults are those of the cited papers, or of disentanglement_lib's
study (Locatello et al. 2019) where a paper leaves them open.
"""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError

__all__ = [
    "METHOD_OPTIONS",
    "AnnealedVAEOptions",
    "BetaTCVAEOptions",
    "BetaVAEOptions",
    "CloudLoss",
    "Compiled",
    "ControlVAEOptions",
    "DAVAOptions",
    "DIPVAE1Options",
    "DIPVAE2Options",
    "Estimator",
    "ExecutionOptions",
    "FactorVAEOptions",
    "Features",
    "InitialWeights",
    "Likelihood",
    "Network",
    "Orthogonalization",
    "PlainVAEOptions",
    "Precision",
    "TopDisSettings",
    "TrainSettings",
    "complete_options",
]

Network = Literal["narrow", "narrow-256", "wide", "wide-norm", "burgess", "locatello", "locatello-k4", "fc"]
InitialWeights = Literal["kaiming", "normal", "torch", "kaiming-partial", "normal-partial"]
Likelihood = Literal["bernoulli", "gaussian"]
Precision = Literal["float32", "bf16"]
Compiled = Literal["none", "default", "cuda-graphs"]
Estimator = Literal["mss", "mws", "minibatch"]
CloudLoss = Literal["rtd", "rtd-released", "rtd-lite", "l2", "mmd", "chamfer"]
Features = Literal["pixels", "logits", "pooled"]
Orthogonalization = Literal["none", "reconstruction", "all"]


@dataclass(frozen=True, kw_only=True)
class PlainVAEOptions:
    """The VAE has no options."""


@dataclass(frozen=True, kw_only=True)
class BetaVAEOptions:
    """Options of the beta-VAE.

    Attributes:
        beta: weight of the KL divergence.
    """

    beta: float = 4.0

    def __post_init__(self) -> None:
        _require_at_least(0, beta=self.beta)


@dataclass(frozen=True, kw_only=True)
class AnnealedVAEOptions:
    """Options of the annealed VAE.

    Attributes:
        gamma: weight of the distance between the KL divergence and the capacity C.
        capacity: final C, nats.
        capacity_steps: steps over which C grows linearly from 0.
    """

    gamma: float = 1000.0
    capacity: float = 25.0
    capacity_steps: int = 100_000

    def __post_init__(self) -> None:
        _require_at_least(0, gamma=self.gamma, capacity=self.capacity, capacity_steps=self.capacity_steps)


@dataclass(frozen=True, kw_only=True)
class FactorVAEOptions:
    """Options of FactorVAE.

    Attributes:
        gamma: weight of the total correlation.
        permute: whether the codes of a "second" batch or of the "same" batch are permuted.
        discriminator_rate: learning rate of the discriminator; None uses the autoencoder's.
        discriminator_betas: Adam's betas for the discriminator.
        discriminator_width: size of its hidden layers.
        discriminator_layers: number of its hidden layers.
        discriminator_weights: distribution of its initial weights; see `vae.networks.layers`.
        ramp: what `ramp_steps` ramps: the whole "penalty", or the total correlation "tc" alone.
    """

    gamma: float = 6.4
    permute: Literal["second", "same"] = "second"
    discriminator_rate: float | None = None
    discriminator_betas: Sequence[float] = (0.5, 0.9)
    discriminator_width: int = 1000
    discriminator_layers: int = 5
    discriminator_weights: InitialWeights = "torch"
    ramp: Literal["penalty", "tc"] = "penalty"

    def __post_init__(self) -> None:
        _require_at_least(0, gamma=self.gamma)
        _require_choice("permute", self.permute, ("second", "same"))
        _require_choice("discriminator_weights", self.discriminator_weights, get_args(InitialWeights))
        _require_choice("ramp", self.ramp, ("penalty", "tc"))
        _require_at_least(
            1, discriminator_width=self.discriminator_width, discriminator_layers=self.discriminator_layers
        )
        object.__setattr__(self, "discriminator_betas", tuple(self.discriminator_betas))


@dataclass(frozen=True, kw_only=True)
class BetaTCVAEOptions:
    """Options of beta-TCVAE.

    Attributes:
        beta: weight of the total correlation.
        estimator: minibatch estimator of the total correlation: "mss", "mws" or "minibatch".
        ramp: what `ramp_steps` ramps: the whole "penalty", or the dimension-wise KL divergence "kl" alone.
    """

    beta: float = 6.0
    estimator: Estimator = "mss"
    ramp: Literal["penalty", "kl"] = "penalty"

    def __post_init__(self) -> None:
        _require_at_least(0, beta=self.beta)
        _require_choice("ramp", self.ramp, ("penalty", "kl"))
        _require_choice("estimator", self.estimator, get_args(Estimator))


@dataclass(frozen=True, kw_only=True)
class ControlVAEOptions:
    """Options of ControlVAE.

    Attributes:
        capacity: final target of the KL divergence, nats.
        capacity_start: first target, nats.
        capacity_increase: increment of the target, nats.
        capacity_every: steps between two increments.
        kp: proportional gain of the controller.
        ki: integral gain; negative.
        floor: lower bound of beta.
    """

    capacity: float = 18.0
    capacity_start: float = 0.5
    capacity_increase: float = 0.15
    capacity_every: int = 5000
    kp: float = 0.01
    ki: float = -0.001
    floor: float = 1.0

    def __post_init__(self) -> None:
        _require_at_least(
            0,
            capacity=self.capacity,
            capacity_start=self.capacity_start,
            capacity_increase=self.capacity_increase,
            kp=self.kp,
            floor=self.floor,
        )
        _require_at_least(1, capacity_every=self.capacity_every)
        _require(self.ki <= 0, "ki", self.ki, "negative: a KL divergence below its target must lower beta")


@dataclass(frozen=True, kw_only=True)
class DAVAOptions:
    """Options of DAVA.

    Attributes:
        gamma: weight of the fourth power.
        capacity: highest capacity C, nats per latent.
        horizon: number of images after which C reaches `capacity` if the discriminator never beats chance.
        encoder_weight: weight of the adversarial loss of the encoder.
        decoder_weight: weight of the adversarial loss of the decoder.
        smoothing: width of the noise on the discriminator's targets.
        carry_gradients: whether the second step keeps the gradients of the first.
        discriminator_width: channels of the discriminator's first layer.
    """

    gamma: float = 500.0
    capacity: float = 8.0
    horizon: int = 12_800_000
    encoder_weight: float = 0.3
    decoder_weight: float = 0.001
    smoothing: float = 0.6
    carry_gradients: bool = True
    discriminator_width: int = 32

    def __post_init__(self) -> None:
        _require_at_least(
            0,
            gamma=self.gamma,
            capacity=self.capacity,
            encoder_weight=self.encoder_weight,
            decoder_weight=self.decoder_weight,
        )
        _require_at_least(1, horizon=self.horizon, discriminator_width=self.discriminator_width)
        _require(0 <= self.smoothing < 1, "smoothing", self.smoothing, "at least 0 and less than 1")


@dataclass(frozen=True, kw_only=True)
class DIPVAE1Options:
    """Options of DIP-VAE-I.

    Attributes:
        lambda_offdiagonal: weight of the squared covariances.
        lambda_diagonal: weight of the squared deviations of the variances from 1.
    """

    lambda_offdiagonal: float = 5.0
    lambda_diagonal: float = 50.0

    def __post_init__(self) -> None:
        _require_at_least(0, lambda_offdiagonal=self.lambda_offdiagonal, lambda_diagonal=self.lambda_diagonal)


@dataclass(frozen=True, kw_only=True)
class DIPVAE2Options(DIPVAE1Options):
    """Options of DIP-VAE-II: those of DIP-VAE-I with another default weight of the variances."""

    lambda_diagonal: float = 5.0


METHOD_OPTIONS: dict[str, type] = {
    "vae": PlainVAEOptions,
    "beta-vae": BetaVAEOptions,
    "annealed-vae": AnnealedVAEOptions,
    "factor-vae": FactorVAEOptions,
    "beta-tcvae": BetaTCVAEOptions,
    "control-vae": ControlVAEOptions,
    "dava": DAVAOptions,
    "dip-vae-1": DIPVAE1Options,
    "dip-vae-2": DIPVAE2Options,
}
"""The methods, and the options of each. `vae.methods.METHODS` lists their implementations under the same names."""


def complete_options(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of `method`: those given, validated, and the defaults of the rest.

    Raises:
        InvalidArgumentError: the method or an option is unknown, or a value is not allowed.

    >>> complete_options("beta-vae", {"beta": 6.0})
    {'beta': 6.0}
    """
    _require_choice("method", method, METHOD_OPTIONS)
    kind = METHOD_OPTIONS[method]
    known = [entry.name for entry in dataclasses.fields(kind)]
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            raise InvalidArgumentError(
                f"{method} has no option {name!r}; its options are {', '.join(known) or 'none'}{hint}"
            )
    return dataclasses.asdict(kind(**given))


@dataclass(frozen=True, kw_only=True)
class TopDisSettings:
    """Settings of the TopDis loss; the defaults are those of the paper's experiments (Balabin et al. 2024).

    Attributes:
        weight: gamma, the weight of the loss.
        delay: number of steps before the loss is added.
        version: "corrected", or "released", which sets `loss` to "rtd-released", `batch` to "same" and `orthogonalize`
            to "none", as the released scripts for beta-TCVAE and ControlVAE do.
        loss: divergence between the clouds before and after the shift: "rtd", "rtd-released" as the paper's code
            computes it, its lower bound "rtd-lite", or, as controls, the non-topological "l2", "mmd" and "chamfer".
        p: power of the bar lengths.
        shift: C of the Gaussian-preserving shift; its sign is drawn in every step.
        codes: whether a "sample" of the posterior or its "mean" is shifted.
        choice: whether the latent is drawn "weighted" by the norm of its column in the decoder's first layer, or
            "uniform"ly.
        batch: whether the clouds come from a "second" batch or from the "same" batch as the other terms.
        points: maximum number of rows of the batch; None uses all.
        orthogonalize: terms that the gradient must not oppose: "none", "reconstruction", or "all" other terms.
        features: features of the decoded images that are compared: "pixels", "logits", or "pooled" (16 x 16 pixels).

    Raises:
        InvalidArgumentError: a value is not allowed.
    """

    weight: float = 5.0
    delay: int = 0
    version: Literal["corrected", "released"] = "corrected"
    loss: CloudLoss = "rtd"
    p: float = 1.0
    shift: float = 0.125
    codes: Literal["sample", "mean"] = "sample"
    choice: Literal["weighted", "uniform"] = "weighted"
    batch: Literal["second", "same"] = "second"
    points: int | None = None
    orthogonalize: Orthogonalization = "reconstruction"
    features: Features = "pixels"

    def __post_init__(self) -> None:
        _require(0 <= self.weight < float("inf"), "topdis weight", self.weight, "a finite number of at least 0")
        _require(self.delay >= 0, "topdis delay", self.delay, "at least 0 steps")
        _require(1 <= self.p < float("inf"), "topdis p", self.p, "a finite number of at least 1")
        _require(0 < self.shift < 1, "topdis shift", self.shift, "between 0 and 1")
        _require(self.points is None or self.points >= 4, "topdis points", self.points, "at least 4")
        for name, allowed in (
            ("version", ("corrected", "released")),
            ("loss", get_args(CloudLoss)),
            ("codes", ("sample", "mean")),
            ("choice", ("weighted", "uniform")),
            ("batch", ("second", "same")),
            ("orthogonalize", get_args(Orthogonalization)),
            ("features", get_args(Features)),
        ):
            _require_choice(f"topdis {name}", getattr(self, name), allowed)
        if self.version == "released":
            _require(self.loss in ("rtd", "rtd-released"), "topdis loss", self.loss, 'rtd if `version` is "released"')
            for name, value in (("loss", "rtd-released"), ("batch", "same"), ("orthogonalize", "none")):
                object.__setattr__(self, name, value)


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of one training.

    Attributes:
        data: name of a data set, as `vae.data.open_data` takes it.
        method: a key of `METHOD_OPTIONS`.
        options: options of the method; those not given take the method's defaults.
        topdis: settings of the TopDis loss; None trains without it.
        network: name of the architecture; see `vae.networks.architectures`.
        width: factor on the sizes of the hidden layers.
        initial_weights: distribution of the initial weights; see `vae.networks.layers`.
        num_latents: size of the code.
        likelihood: "bernoulli" or "gaussian".
        steps: optimization steps.
        batch_size: images per step.
        learning_rate: Adam's learning rate.
        adam_betas: Adam's betas.
        max_grad_norm: maximum norm of the gradient; None uses the method's (1 for DAVA, otherwise no limit).
        ramp_steps: steps over which the weight of the method's penalty grows linearly from 0.
        precision: "float32", or "bf16" for the networks (losses stay in float32).
        seed: seed of weights, batches, noise and choices.
        log_every: steps averaged in a line of metrics.jsonl.

    Raises:
        InvalidArgumentError: a value is not allowed.
    """

    data: str = "dsprites"
    method: str = "beta-vae"
    options: Mapping[str, Any] = field(default_factory=dict)
    topdis: TopDisSettings | None = None
    network: Network = "narrow"
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
        for name, kind in (
            ("network", Network),
            ("initial_weights", InitialWeights),
            ("likelihood", Likelihood),
            ("precision", Precision),
        ):
            _require_choice(name, getattr(self, name), get_args(kind))
        for name in ("width", "learning_rate"):
            value = getattr(self, name)
            _require(0 < value < float("inf"), name, value, "a finite positive number")
        _require(
            len(self.adam_betas) == 2 and all(0 <= beta < 1 for beta in self.adam_betas),
            "adam_betas",
            self.adam_betas,
            "two numbers of at least 0 and less than 1",
        )
        _require(self.max_grad_norm is None or self.max_grad_norm > 0, "max_grad_norm", self.max_grad_norm, "positive")
        for name, least in (("num_latents", 1), ("steps", 0), ("ramp_steps", 0), ("log_every", 1), ("batch_size", 4)):
            value = getattr(self, name)
            _require(isinstance(value, int) and value >= least, name, value, f"an integer of at least {least}")
        _require(isinstance(self.seed, int) and 0 <= self.seed < 2**32, "seed", self.seed, "an integer, 0 to 2^32 - 1")

    @classmethod
    def from_tables(cls, settings: Mapping[str, Any], *, seed: int) -> "TrainSettings":
        """Return the settings of a suite's cell: JSON-like `settings` without the seed, "topdis" being a table.

        Raises:
            InvalidArgumentError: a value is not allowed.
            TypeError: a name is unknown, or a value has the wrong type.
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
class ExecutionOptions:
    """How a training is executed; the result depends on it only up to rounding.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        data_root: file or folder of the data set, unless it is procedural.
        verify: whether the data set's files are compared with their published checksums.
        resident: whether the whole data set is copied to the device.
        compiled: "none", "default", or "cuda-graphs"; see `vae.networks.autoencoder.compile_model`.
        tensorboard: whether the log is also written for TensorBoard.
        checkpoint_every_s: seconds between checkpoints.
    """

    device: str = "auto"
    data_root: Path | None = None
    verify: bool = True
    resident: bool = False
    compiled: Compiled = "none"
    tensorboard: bool = False
    checkpoint_every_s: float = 60.0


def _require(allowed: bool, name: str, value: object, what: str) -> None:
    if not allowed:
        raise InvalidArgumentError(f"{name} is {value!r}, but must be {what}")


def _require_choice(name: str, value: object, choices: "Sequence[str] | Mapping[str, Any]") -> None:
    _require(value in choices, name, value, f"one of {', '.join(choices)}")


def _require_at_least(least: float, **values: float) -> None:
    for name, value in values.items():
        _require(least <= value < float("inf"), name, value, f"a finite number of at least {least:g}")
