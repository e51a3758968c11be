"""What a discovery can be told, with the values that it uses otherwise."""

import dataclasses
from typing import Literal

from ganspace_topdis.discovery.objective import ShiftLaw
from ganspace_topdis.discovery.span import SpanKind
from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["DiscoverySettings"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoverySettings:
    """Settings of `discover_directions`; everything that its result depends on besides the generator.

    Attributes:
        num_directions: K, also the size of the span; None reads it off the span's spectrum.
        span: "effect", "pca" or "identity" (see `discovery.span`).
        steps: optimisation steps; 0 keeps the random start.
        batch_size: N, codes a step.
        shift: C of the Gaussian-preserving shift, or standard deviations where `shift_law` is "sigma".
        shift_law: "gaussian" or "sigma".
        directions_per_step: how many directions a step shifts along, drawn at random; None shifts along all.
        divergence: "rtd", or "rtd-lite", its cheaper lower bound.
        p: exponent of the bars' lengths.
        learning_rate: Adam's, decayed to zero by a cosine.
        seed: of the codes, the start, the signs and the choices.
        num_span_codes: codes that the span is measured on.
        num_probes: backward passes that the effect is measured with.
        micro_batch: codes that are synthesised at a time; memory grows with this, not with N.
    """

    num_directions: int | None = None
    span: SpanKind = "effect"
    steps: int = 200
    batch_size: int = 64
    shift: float = 1.0
    shift_law: ShiftLaw = "sigma"
    directions_per_step: int | None = None
    divergence: Literal["rtd", "rtd-lite"] = "rtd"
    p: float = 1
    learning_rate: float = 0.05
    seed: int = 0
    num_span_codes: int = 10_000
    num_probes: int = 1024
    micro_batch: int = 64

    def __post_init__(self) -> None:
        _check(self.span in ("effect", "pca", "identity"), "span", self.span, "'effect', 'pca' or 'identity'")
        _check(self.shift_law in ("gaussian", "sigma"), "shift_law", self.shift_law, "'gaussian' or 'sigma'")
        _check(self.divergence in ("rtd", "rtd-lite"), "divergence", self.divergence, "'rtd' or 'rtd-lite'")
        _check(self.steps >= 0, "steps", self.steps, "0 or more")
        _check(self.batch_size >= 4, "batch_size", self.batch_size, "4 or more")
        _check(self.shift > 0, "shift", self.shift, "a positive number; its sign is drawn every step")
        _check(
            self.shift_law == "sigma" or self.shift < 1,
            "shift",
            self.shift,
            "less than 1 for the Gaussian-preserving law",
        )
        _check(self.p >= 1, "p", self.p, "1 or more")
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "a positive number")
        _check(self.micro_batch >= 1, "micro_batch", self.micro_batch, "1 or more")
        _check(self.num_span_codes >= 64, "num_span_codes", self.num_span_codes, "64 or more")
        _check(self.num_probes >= 16, "num_probes", self.num_probes, "16 or more")
        for name in ("num_directions", "directions_per_step"):
            value = getattr(self, name)
            _check(value is None or value >= 1, name, value, "1 or more")


def _check(allowed: bool, name: str, value: object, what: str) -> None:
    if not allowed:
        raise InvalidArgumentError(f"{name} is {value!r}, allowed is {what}")
