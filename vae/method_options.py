"""The options of every training method, one settings class per method, listed in METHOD_OPTIONS.

Defaults are those of the cited papers, or of disentanglement_lib's study (Locatello et al. 2019) where a paper leaves
them open. No torch is imported here. To add a method, declare its options here and list both in `vae.methods`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import Settings, nearest, option

__all__ = [
    "METHOD_OPTIONS",
    "AnnealedVAEOptions",
    "BetaTCVAEOptions",
    "BetaVAEOptions",
    "ControlVAEOptions",
    "DAVAOptions",
    "DIPVAE1Options",
    "DIPVAE2Options",
    "Estimator",
    "FactorVAEOptions",
    "ImageDiscriminator",
    "InitialWeights",
    "PlainVAEOptions",
    "complete_betas",
    "complete_options",
]

Estimator = Literal["mss", "mws", "minibatch"]
Batch = Literal["second", "same"]
InitialWeights = Literal[
    "kaiming", "normal", "torch", "kaiming-partial", "normal-partial", "kaiming-uniform", "glorot-uniform"
]
ImageDiscriminator = Literal["narrow", "wide"]


def complete_betas(settings: Settings, name: str) -> None:
    """Make the field `name` a tuple of Adam's betas.

    Raises:
        InvalidArgumentError: it is none.
    """
    given = getattr(settings, name)
    betas = tuple(given) if isinstance(given, Sequence) else ()
    if len(betas) != 2 or not all(isinstance(beta, int | float) and 0 <= beta < 1 for beta in betas):
        settings.refuse(name, "two numbers of at least 0 and less than 1")
    object.__setattr__(settings, name, betas)


@dataclass(frozen=True, kw_only=True)
class PlainVAEOptions(Settings):
    """The VAE has no options."""


@dataclass(frozen=True, kw_only=True)
class BetaVAEOptions(Settings):
    """Options of the beta-VAE."""

    beta: float = option(4.0, help="weight of KL", minimum=0)


@dataclass(frozen=True, kw_only=True)
class AnnealedVAEOptions(Settings):
    """Options of the annealed VAE."""

    gamma: float = option(1000.0, help="weight of |KL - C|", minimum=0)
    capacity: float = option(25.0, help="final C, nats", unit="nats", minimum=0)
    capacity_steps: int = option(100_000, help="steps over which C grows linearly from 0", minimum=0)


@dataclass(frozen=True, kw_only=True)
class FactorVAEOptions(Settings):
    """Options of FactorVAE.

    Attributes:
        discriminator_betas: Adam's betas for the discriminator.
    """

    gamma: float = option(6.4, help="weight of the total correlation", minimum=0)
    permute: Batch = option("second", help="batch whose codes are permuted")
    discriminator_rate: float | None = option(
        None, help="learning rate of the discriminator", above=0, default_text="the autoencoder's"
    )
    discriminator_betas: Sequence[float] = (0.5, 0.9)
    discriminator_width: int = option(1000, help="size of the discriminator's hidden layers", minimum=1)
    discriminator_layers: int = option(5, help="number of the discriminator's hidden layers", minimum=1)
    discriminator_weights: InitialWeights = option("torch", help="initial weights of the discriminator")
    ramp: Literal["penalty", "tc"] = option(
        "penalty", help="whether `ramp_steps` ramps the penalty, or the total correlation alone"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        complete_betas(self, "discriminator_betas")


@dataclass(frozen=True, kw_only=True)
class BetaTCVAEOptions(Settings):
    """Options of beta-TCVAE."""

    beta: float = option(6.0, help="weight of the total correlation", minimum=0)
    estimator: Estimator = option("mss", help="minibatch estimator of the total correlation")
    ramp: Literal["penalty", "kl"] = option(
        "penalty", help="whether `ramp_steps` ramps the penalty, or the dimension-wise KL alone"
    )


@dataclass(frozen=True, kw_only=True)
class ControlVAEOptions(Settings):
    """Options of ControlVAE."""

    capacity: float = option(18.0, help="final target of KL, nats", unit="nats", minimum=0)
    capacity_start: float = option(0.5, help="first target, nats", unit="nats", minimum=0)
    capacity_increase: float = option(0.15, help="increment of the target, nats", unit="nats", minimum=0)
    capacity_every: int = option(5000, help="steps between increments", minimum=1)
    kp: float = option(0.01, help="proportional gain", minimum=0)
    ki: float = option(-0.001, help="integral gain; negative, as KL below its target must lower beta", maximum=0)
    floor: float = option(1.0, help="lower bound of beta", minimum=0)


@dataclass(frozen=True, kw_only=True)
class DAVAOptions(Settings):
    """Options of DAVA."""

    gamma: float = option(500.0, help="weight of the fourth power of |KL - C|", minimum=0)
    capacity: float = option(8.0, help="highest C, nats per latent", unit="nats", minimum=0)
    horizon: int = option(
        12_800_000, help="images after which C is highest if the discriminator never beats chance", minimum=1
    )
    encoder_weight: float = option(0.3, help="adversarial weight of the encoder", minimum=0)
    decoder_weight: float = option(0.001, help="adversarial weight of the decoder", minimum=0)
    smoothing: float = option(0.6, help="width of the noise on the discriminator's targets", minimum=0, below=1)
    carry_gradients: bool = option(True, help="keep the gradients of the first step for the second")
    discriminator_network: ImageDiscriminator = option("narrow", help="layers of the discriminator")
    discriminator_width: int = option(32, help="channels of the discriminator's first layer", minimum=1)


@dataclass(frozen=True, kw_only=True)
class DIPVAE1Options(Settings):
    """Options of DIP-VAE-I."""

    lambda_offdiagonal: float = option(5.0, help="weight of the squared covariances", minimum=0)
    lambda_diagonal: float = option(50.0, help="weight of the squared deviations of the variances from 1", minimum=0)


@dataclass(frozen=True, kw_only=True)
class DIPVAE2Options(DIPVAE1Options):
    """Options of DIP-VAE-II: those of DIP-VAE-I with another default weight of the variances."""

    lambda_diagonal: float = option(5.0, help="weight of the squared deviations of the variances from 1", minimum=0)


METHOD_OPTIONS: dict[str, type[Any]] = {
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
        InvalidArgumentError: `given` is no table, the method or an option is unknown, or a value is not allowed.

    >>> complete_options("beta-vae", {"beta": 6.0})
    {'beta': 6.0}
    """
    if method not in METHOD_OPTIONS:
        raise InvalidArgumentError(
            f"`method` is {method!r}, but must be one of {', '.join(METHOD_OPTIONS)}{nearest(method, METHOD_OPTIONS)}",
            field="method",
        )
    if not isinstance(given, Mapping):
        raise InvalidArgumentError(f"`options` is {given!r}, but must be a table of options", field="options")
    known = _names(METHOD_OPTIONS[method])
    for name in given:
        if name not in known:
            owners = [owner for owner, kind in METHOD_OPTIONS.items() if name in _names(kind)]
            hint = f"; it is one of {', '.join(owners)}" if owners else nearest(name, known)
            raise InvalidArgumentError(
                f"{method} has no option `{name}`; its options are {', '.join(known) or 'none'}{hint}", field=name
            )
    return dataclasses.asdict(METHOD_OPTIONS[method](**given))


def _names(kind: type[Any]) -> list[str]:
    return [entry.name for entry in dataclasses.fields(kind)]
