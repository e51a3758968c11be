"""What a discovery can be told, with the values that it uses otherwise."""

import dataclasses
from typing import Literal

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology.rtd import Variant

__all__ = ["SEARCH_METHODS", "DiscoverySettings", "SearchMethod", "ShiftKind", "SpanKind", "Start", "Whitening"]

SearchMethod = Literal["topdis", "hessian", "contrastive", "reconstructor"]
SpanKind = Literal["effect", "pca", "identity"]
Whitening = Literal["full", "channels"]
ShiftKind = Literal["gaussian", "sigma"]
Start = Literal["axes", "random"]
SEARCH_METHODS: tuple[SearchMethod, ...] = ("topdis", "hessian", "contrastive", "reconstructor")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoverySettings:
    """Settings of `discover_directions`; everything that its result depends on besides the generator.

    Attributes:
        method: what the steps lower: "topdis", or "hessian", "contrastive", "reconstructor" (see `discovery.losses`).
        num_directions: K, also the size of the span; None reads it off the span's spectrum.
        span: "effect", "pca" or "identity" (see `discovery.active_subspace`).
        whitening: "full", or "channels" for codes of very many numbers (see `discovery.active_subspace`).
        start: "axes", those of the span, in which no weak direction hides behind strong ones; or a "random" rotation.
        steps: optimisation steps; 0 keeps the start.
        batch_size: N, codes a step.
        shift: C of the Gaussian-preserving shift, or standard deviations where `shift_law` is "sigma".
        shift_law: "gaussian" or "sigma".
        final_shift: `shift` goes to this along the steps, by a constant factor a step: from coarse to fine; None
            keeps it.
        directions_per_step: the most directions that a step shifts along, drawn at random if there are more, so that a
            step costs no more in a large span.
        divergence: "rtd", or "rtd-lite", its cheaper lower bound.
        variant: which barcodes RTD sums (see `topology.rtd`).
        per_effect: divide RTD by the effect of the shift, so that a strong change may break more.
        p: exponent of the bars' lengths.
        learning_rate: Adam's, decayed to zero by a cosine.
        seed: of the codes, the start, the signs and the choices.
        num_span_codes: codes that the span is measured on.
        num_probes: backward passes that the effect is measured with.
        micro_batch: codes that are synthesised at a time; memory grows with this, not with N; None takes as many
            as fit (see `discovery.micro_batch`).
        precision: "float32", or "mixed": the generator in bfloat16 where autocast allows it.
        compile: run the generator by `torch.compile`.
    """

    method: SearchMethod = "topdis"
    num_directions: int | None = None
    span: SpanKind = "effect"
    whitening: Whitening = "full"
    start: Start = "axes"
    steps: int = 100
    batch_size: int = 64
    shift: float = 1.0
    shift_law: ShiftKind = "sigma"
    final_shift: float | None = None
    directions_per_step: int = 8
    divergence: Literal["rtd", "rtd-lite"] = "rtd"
    variant: Variant = "minmax"
    per_effect: bool = False
    p: float = 1
    learning_rate: float = 0.1
    seed: int = 0
    num_span_codes: int = 10_000
    num_probes: int = 1024
    micro_batch: int | None = None
    precision: Literal["float32", "mixed"] = "float32"
    compile: bool = False

    def __post_init__(self) -> None:
        _check(self.method in SEARCH_METHODS, "method", self.method, ", ".join(SEARCH_METHODS))
        _check(self.span in ("effect", "pca", "identity"), "span", self.span, "'effect', 'pca' or 'identity'")
        _check(self.whitening in ("full", "channels"), "whitening", self.whitening, "'full' or 'channels'")
        _check(self.shift_law in ("gaussian", "sigma"), "shift_law", self.shift_law, "'gaussian' or 'sigma'")
        _check(self.divergence in ("rtd", "rtd-lite"), "divergence", self.divergence, "'rtd' or 'rtd-lite'")
        _check(self.start in ("axes", "random"), "start", self.start, "'axes' or 'random'")
        _check(self.steps >= 0, "steps", self.steps, "0 or more")
        _check(self.batch_size >= 4, "batch_size", self.batch_size, "4 or more")
        _check(self.variant in ("min", "max", "minmax"), "variant", self.variant, "'min', 'max' or 'minmax'")
        self._check_shift("shift", self.shift)
        if self.final_shift is not None:
            self._check_shift("final_shift", self.final_shift)
        _check(self.p >= 1, "p", self.p, "1 or more")
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "a positive number")
        _check(self.precision in ("float32", "mixed"), "precision", self.precision, "'float32' or 'mixed'")
        _check(self.num_span_codes >= 64, "num_span_codes", self.num_span_codes, "64 or more")
        _check(self.num_probes >= 16, "num_probes", self.num_probes, "16 or more")
        _check(self.directions_per_step >= 1, "directions_per_step", self.directions_per_step, "1 or more")
        for name in ("num_directions", "micro_batch"):
            value = getattr(self, name)
            _check(value is None or value >= 1, name, value, "1 or more")

    def _check_shift(self, name: str, value: float) -> None:
        _check(value > 0, name, value, "a positive number; its sign is drawn every step")
        _check(self.shift_law == "sigma" or value < 1, name, value, "less than 1 for the Gaussian-preserving law")

    def shift_at(self, step: int) -> float:
        """How far codes move in step 0, 1, ...

        >>> settings = DiscoverySettings(steps=3, shift=2.0, final_shift=0.5)
        >>> [round(settings.shift_at(step), 6) for step in range(3)]
        [2.0, 1.0, 0.5]
        """
        if self.final_shift is None or self.steps < 2:
            return self.shift
        done = step / (self.steps - 1)
        return self.shift ** (1 - done) * self.final_shift**done


def _check(allowed: bool, name: str, value: object, what: str) -> None:
    if not allowed:
        raise InvalidArgumentError(f"{name} is {value!r}, allowed is {what}")
