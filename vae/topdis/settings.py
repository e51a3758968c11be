"""What the TopDis term can be told."""

from dataclasses import dataclass
from typing import Literal, get_args

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["CloudLoss", "Features", "Orthogonalization", "TopDisSettings"]

CloudLoss = Literal["rtd", "rtd-lite", "l2", "mmd", "chamfer"]
Features = Literal["pixels", "logits", "pooled"]
Orthogonalization = Literal["none", "reconstruction", "all"]


@dataclass(frozen=True, kw_only=True)
class TopDisSettings:
    """Settings of the TopDis term; the defaults are those of the paper's experiments.

    Attributes:
        weight: gamma, in front of the loss.
        delay: steps before the term sets in.
        loss: what is lowered between the clouds before and after the shift: "rtd", its lower bound "rtd-lite", or a
            loss without topology to compare with, "l2", "mmd" or "chamfer".
        p: power of the bars' lengths.
        shift: C of the Gaussian-preserving shift; its sign is drawn every step.
        codes: whether "sample"s of the posterior or its "mean"s are shifted.
        choice: whether the latent is drawn "weighted" by the norm of its column in the decoder's first layer, or
            "uniform"ly.
        batch: whether the clouds come from a "second" batch or from the "same" one as the other terms.
        points: rows of the batch at most; None takes all.
        orthogonalize: what the gradient may not work against: "none", "reconstruction", or "all" other terms.
        features: what of the decoded images is compared: "pixels", "logits", or "pooled" pixels, 16 a side.
    """

    weight: float = 5.0
    delay: int = 0
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
        _check(0 <= self.weight < float("inf"), "weight", self.weight, "a number of at least 0")
        _check(self.delay >= 0, "delay", self.delay, "0 or more steps")
        _check(1 <= self.p < float("inf"), "p", self.p, "a number of at least 1")
        _check(0 < self.shift < 1, "shift", self.shift, "a number between 0 and 1")
        _check(self.points is None or self.points >= 4, "points", self.points, "4 or more")
        for name, allowed in (
            ("loss", get_args(CloudLoss)),
            ("codes", ("sample", "mean")),
            ("choice", ("weighted", "uniform")),
            ("batch", ("second", "same")),
            ("orthogonalize", get_args(Orthogonalization)),
            ("features", get_args(Features)),
        ):
            value = getattr(self, name)
            _check(value in allowed, name, value, ", ".join(allowed))


def _check(allowed: bool, name: str, value: object, what: str) -> None:
    if not allowed:
        raise InvalidArgumentError(f"topdis {name} is {value!r}, allowed is {what}")
