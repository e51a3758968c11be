"""Settings of a search for directions, each declared once. No torch is imported here."""

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal, get_args

from ganspace_topdis.options import Settings, option, seed_option

__all__ = [
    "CLOSED_FORMS",
    "COMPARING_METHODS",
    "SEARCH_METHODS",
    "ClosedForm",
    "Compile",
    "DiscoverySettings",
    "Divergence",
    "Initialization",
    "Precision",
    "SearchMethod",
    "SearchRange",
    "ShiftKind",
    "SpanKind",
    "Whitening",
]

SearchMethod = Literal["topdis", "hessian", "contrastive", "reconstructor", "overlap", "sparsity"]
ClosedForm = Literal["random", "span-axes", "ganspace", "ganspace-features", "ica", "sefa", "axes"]
SearchRange = Literal["both", "span", "whole"]
SpanKind = Literal["effect", "pca", "identity"]
Whitening = Literal["full", "layers", "channels"]
Initialization = Literal["axes", "random"]
ShiftKind = Literal["gaussian", "sigma"]
Barcodes = Literal["min", "max", "minmax"]
Divergence = Literal["rtd", "rtd-lite"]
Precision = Literal["float32", "bf16"]
Compile = Literal["none", "default"]
SEARCH_METHODS: tuple[SearchMethod, ...] = get_args(SearchMethod)
CLOSED_FORMS: tuple[ClosedForm, ...] = get_args(ClosedForm)
"""Methods without steps."""
COMPARING_METHODS: tuple[SearchMethod, ...] = ("hessian", "contrastive", "overlap")
"""Methods that compare the directions of a step with each other, so that they need at least two."""

_FOR_SEARCHES = {"method": SEARCH_METHODS}
_FOR_TOPDIS = {"method": ("topdis",)}
_IN_SPAN = {"method": ("topdis",), "search_in": ("both", "span")}
_IN_WHOLE = {"method": SEARCH_METHODS, "search_in": ("both", "whole")}
_RATE_IN_WHOLE = 0.03
_MAIN, _SHIFT, _LOSS, _SPAN, _MACHINE = "Search", "Shift", "Loss", "Span", "Machine"


@dataclass(frozen=True, kw_only=True)
class DiscoverySettings(Settings):
    """Settings of `discover_directions`; with the generator, they determine its result.

    Raises:
        InvalidArgumentError: a name is unknown, or a value is not allowed.
    """

    method: SearchMethod = option("topdis", help="What the steps minimize.", group=_MAIN)
    search_in: SearchRange = option(
        "both",
        help="Orthonormal basis of the span, unit vectors of the whole code, or one after the other.",
        group=_MAIN,
        only_for=_FOR_SEARCHES,
    )
    num_directions: int | None = option(
        None, help="Number of directions.", group=_MAIN, minimum=1, default_text="read from the spectrum of the span"
    )
    steps: int = option(
        100, help="Optimization steps; 0 keeps the start.", group=_MAIN, minimum=0, only_for=_FOR_SEARCHES
    )
    whole_steps: int | None = option(
        None,
        help="Further steps in the whole code, kept where they improve a direction.",
        group=_MAIN,
        minimum=0,
        default_text="a quarter of the steps",
        only_for={**_IN_WHOLE, "search_in": ("both",)},
    )
    batch_size: int = option(64, help="Points per cloud.", group=_MAIN, minimum=4)
    learning_rate: float | None = option(
        None,
        help="Adam's learning rate, decayed to 0 by a cosine.",
        group=_MAIN,
        above=0,
        default_text="0.1 in the span, 0.03 in the whole code, where steps after those in the span take it always",
        only_for=_FOR_SEARCHES,
    )
    seed: int = seed_option(_MAIN, help="Seed of codes, start, signs and choices.")
    directions_per_step: int = option(
        8,
        help="Largest number of directions shifted in a step, drawn at random.",
        group=_MAIN,
        minimum=1,
        only_for=_FOR_SEARCHES,
    )
    initialization: Initialization = option(
        "axes",
        help="Start at the axes of the span, or at a random rotation of them.",
        group=_MAIN,
        only_for=_FOR_SEARCHES,
    )
    layer_spread: float = option(
        1.0,
        help="Largest part of a direction's squared length in which layers differ, or channels leave w; 1 for any.",
        group=_MAIN,
        minimum=0,
        maximum=1,
        only_for={**_IN_WHOLE, "space": ("w+", "s")},
    )
    shift: float = option(
        1.0, help="Length of a shift (see `shift_kind`).", group=_SHIFT, above=0, only_for=_FOR_SEARCHES
    )
    shift_kind: ShiftKind = option(
        "sigma",
        help="Standard deviations, or C of the Gaussian-preserving shift, less than 1.",
        group=_SHIFT,
        only_for=_FOR_SEARCHES,
    )
    final_shift: float | None = option(
        None,
        help="Length of the last shift; the steps change it by a constant factor.",
        group=_SHIFT,
        above=0,
        default_text="constant length",
        only_for=_FOR_SEARCHES,
    )
    shift_spread: float = option(
        0.4,
        help="Shifts vary by up to this fraction of their length.",
        group=_SHIFT,
        minimum=0,
        below=1,
        only_for=_IN_WHOLE,
    )
    divergence: Divergence = option("rtd", help="RTD, or its cheaper lower bound.", group=_LOSS, only_for=_FOR_TOPDIS)
    variant: Barcodes = option("minmax", help="Barcodes that RTD sums.", group=_LOSS, only_for=_FOR_TOPDIS)
    p: float = option(
        1.0,
        help="Power of the bar lengths.",
        group=_LOSS,
        minimum=1,
        only_for={**_FOR_TOPDIS, "divergence": ("rtd",)},
    )
    per_effect: bool = option(False, help="Divide RTD by the effect of the shift.", group=_LOSS, only_for=_IN_SPAN)
    effect_power: float = option(
        1.0,
        help="Power of the effect that RTD is divided by.",
        group=_LOSS,
        minimum=0,
        only_for={**_IN_WHOLE, "method": ("topdis",)},
    )
    orthogonality: float = option(
        3.0, help="Weight of directions having different effects.", group=_LOSS, minimum=0, only_for=_IN_WHOLE
    )
    overlap: float = option(
        3.0, help="Weight of directions changing different features.", group=_LOSS, minimum=0, only_for=_IN_WHOLE
    )
    least_effect: float = option(
        0.15,
        help="Smallest effect per standard deviation that is not penalized.",
        group=_LOSS,
        minimum=0,
        only_for=_IN_WHOLE,
    )
    accept_all: bool = option(
        False,
        help="Keep also directions whose overlap and mixed difference on fresh codes are no better than at the start.",
        group=_LOSS,
        only_for=_IN_WHOLE,
    )
    span: SpanKind = option("effect", help="Subspace that is searched.", group=_SPAN)
    whitening: Whitening = option("full", help="Whitening of the codes; layers for w+, channels for s.", group=_SPAN)
    num_span_codes: int = option(10_000, help="Codes that the span is estimated from.", group=_SPAN, minimum=64)
    num_probes: int = option(1024, help="Backward passes that the effect is estimated from.", group=_SPAN, minimum=16)
    micro_batch: int | None = option(
        None,
        help="Images synthesized at a time, which bounds the memory.",
        group=_MACHINE,
        minimum=1,
        default_text="as many as fit",
    )
    precision: Precision = option("float32", help="Precision of the networks; bf16 needs a GPU.", group=_MACHINE)
    compile: Compile = option("none", help="Compile the generator first (minutes).", group=_MACHINE)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("shift", "final_shift"):
            value = getattr(self, name)
            if self.shift_kind == "gaussian" and value is not None and value >= 1:
                self.refuse(name, "less than 1 for the Gaussian-preserving shift")
        if self.shift_kind == "gaussian" and self.method != "topdis":
            self.refuse("shift_kind", "sigma unless `method` is topdis")
        if self.method == "hessian" and self.search_in == "span" and self.shift != DiscoverySettings.shift:
            self.refuse("shift", "left out: `method` hessian shifts nothing in the span")
        if self.method in COMPARING_METHODS:
            for name in ("directions_per_step", "num_directions"):
                if getattr(self, name) == 1:
                    self.refuse(name, f"at least 2 for `method` {self.method}, which compares directions")
        self._check_the_whole_code()

    def _check_the_whole_code(self) -> None:
        """Refuse what only a basis of the span can do."""
        if self.search_in != "whole":
            return
        if self.shift_kind != "sigma":
            self.refuse("shift_kind", "sigma where `search_in` is whole")
        if self.method == "overlap" and not self.overlap:
            self.refuse("overlap", "more than 0 for the method of that name")

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate of the directions at the first step."""
        if self.learning_rate is not None:
            return self.learning_rate
        return _RATE_IN_WHOLE if self.search_in == "whole" else 0.1

    @property
    def needed_span(self) -> SearchRange:
        """What is searched with these steps: "both" only where steps in the whole code follow those in the span."""
        if self.search_in == "whole":
            return "whole"
        return "both" if self.refinements else "span"

    @property
    def refinements(self) -> "tuple[DiscoverySettings, ...]":
        """The settings of the searches in the whole code that follow that in the span, each where the one before ends.

        In W+ and S the first of two moves all layers alike. Shifts are standard deviations there; a Gaussian-preserving
        shift by C becomes the distance of the quantiles (1 - C) / 2 and (1 + C) / 2 of a normal distribution.
        """
        steps = self.steps // 4 if self.whole_steps is None else self.whole_steps
        if self.search_in != "both" or not steps:
            return ()
        shift = self.shift if self.final_shift is None else self.final_shift
        if self.shift_kind == "gaussian":
            shift = 2 * NormalDist().inv_cdf((1 + shift) / 2)
        whole = replace(
            self,
            search_in="whole",
            steps=steps,
            whole_steps=None,
            shift=shift,
            shift_kind="sigma",
            final_shift=None,
            learning_rate=None,
            per_effect=False,
        )
        if self.whitening == "full" or not self.layer_spread:
            return (whole,)
        return (replace(whole, layer_spread=0.0), whole)

    def shift_at(self, step: int) -> float:
        """Length of the shift in step 0, 1, ...

        >>> settings = DiscoverySettings(steps=3, shift=2.0, final_shift=0.5)
        >>> [round(settings.shift_at(step), 6) for step in range(3)]
        [2.0, 1.0, 0.5]
        """
        if self.final_shift is None or self.steps < 2:
            return self.shift
        done = step / (self.steps - 1)
        return self.shift ** (1 - done) * self.final_shift**done
