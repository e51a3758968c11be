"""The search: Adam on a matrix V whose rows are the directions.

In a span, V = V0 exp(A) with A skew-symmetric and V0 an orthonormal initialization: the axes of the span, a random
rotation, or the rotation nearest to given directions. So V stays orthonormal without projections
(torch.nn.utils.parametrizations.orthogonal). In the whole code the rows of V are unit vectors, normalized rows of the
matrix that Adam moves, and start at the same places. V and its optimizer stay on the CPU, where small matrices are
faster than on a GPU: once per step, V goes to the device of the codes and its gradient comes back. The loss is one of
`discovery.losses` or `discovery.scale_free`. Where both are searched, one after the other, a search in the whole code is
another `Discovery`, the `refinement`, which starts where this one ends and may be followed by one itself: in W+ and S the
first moves all layers alike. Each direction of the whole code is kept only where it is better than its start
(`discovery.acceptance`). `Discovery` holds the whole state of a search and exports it as tensors, so that a resumed run
takes exactly the same steps.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from ganspace_topdis.discovery.acceptance import improvements, improves
from ganspace_topdis.discovery.active_subspace import Span, find_span, to_directions
from ganspace_topdis.discovery.cloud_measures import PartialStore
from ganspace_topdis.discovery.held_out import HeldOutScores, evaluate_held_out
from ganspace_topdis.discovery.losses import ContrastiveLoss, HessianPenalty, SearchLoss, TopDisLoss
from ganspace_topdis.discovery.micro_batch import choose_micro_batch, compiled, halved, in_mixed_precision, outputs_of
from ganspace_topdis.discovery.parametrization import (
    nearest_rotation,
    nearest_units,
    orthonormal,
    random_rotation,
    unit_rows,
)
from ganspace_topdis.discovery.reconstructor_loss import ReconstructorLoss
from ganspace_topdis.discovery.scale_free import ScaleFreeLoss
from ganspace_topdis.discovery.settings import DiscoverySettings, SearchMethod
from ganspace_topdis.errors import TopdisError
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.checksummed import flatten, unflatten
from ganspace_topdis.runs.devices import move_together
from ganspace_topdis.runs.progress import Progress

__all__ = ["Discovery"]

_T = TypeVar("_T")

_SPAN_PARTS = ("mean", "axes", "projection", "spectrum", "start", "shared")

_LOSSES_IN_SPAN: dict[SearchMethod, type[SearchLoss]] = {
    "topdis": TopDisLoss,
    "hessian": HessianPenalty,
    "contrastive": ContrastiveLoss,
    "reconstructor": ReconstructorLoss,
    "overlap": ScaleFreeLoss,
    "sparsity": ScaleFreeLoss,
}


class Discovery:
    """A search for directions that can be run step by step, stopped, and resumed.

    Args:
        generate: codes (N, D) -> images or features (N, ...), differentiable.
        sample_codes: (n, rng) -> codes (n, D).
        settings: see `DiscoverySettings`.
        span: a span computed before; computed from `settings` by default.
        micro_batch: codes synthesized at a time; by default that of `settings`, or as many as fit into memory.
        device: device of the codes.
        progress: called while the active subspace is estimated.
        later: the searches that follow, by default those of `settings`.

    Attributes:
        random_rotation: (K, M), a random rotation of the K axes where a search starts, drawn with the seed; M axes are
            searched, K of them in a span.
        initial_rotation: (K, M), V at step 0.

    Raises:
        InvalidArgumentError: the span has fewer axes than `settings.num_directions`.
    """

    def __init__(
        self,
        generate: Generate,
        sample_codes: SampleCodes,
        settings: DiscoverySettings,
        *,
        span: Span | None = None,
        micro_batch: int | None = None,
        device: torch.device | str | None = None,
        progress: Progress | None = None,
        later: Sequence[DiscoverySettings] | None = None,
    ) -> None:
        self.settings = settings
        self._generate, self._sample, self._device = generate, sample_codes, device
        if settings.precision == "bf16":
            self._generate = in_mixed_precision(self._generate)
        self._rng = torch.Generator().manual_seed(settings.seed)
        self.micro_batch = micro_batch or settings.micro_batch or self._fitting_micro_batch()
        self._codes_together = self.micro_batch
        if not (micro_batch or settings.micro_batch) and self._moves_together():
            self._codes_together = self._fitting_micro_batch(settings.directions_per_step)
        if settings.compile != "none":
            self._generate = compiled(self._generate)
        self.span = self._within_memory(lambda: self._find_span(progress)) if span is None else span
        start = self.span.start.detach().cpu()
        self.random_rotation = random_rotation(len(start), self._rng) @ start.float()
        initial = start if settings.initialization == "axes" else self.random_rotation
        whole = settings.search_in == "whole"
        rows = unit_rows(initial, self.span.shared, settings.layer_spread) if whole else orthonormal(initial)
        self._parametrized = rows.to(self.span.axes.dtype)
        self.initial_rotation = self.rotation().clone()
        loss = ScaleFreeLoss if whole else _LOSSES_IN_SPAN[settings.method]
        self._loss = loss(self._outputs, self.span, settings)
        self._optimizer = torch.optim.Adam(self._parameter_groups(), betas=(0.9, 0.99))
        self._own_step = 0
        self.refinement = self._refinement(settings.refinements if later is None else later)
        self._improved_before, self._handed_over = torch.zeros(len(start), dtype=torch.bool), False

    def _refinement(self, later: Sequence[DiscoverySettings]) -> "Discovery | None":
        """The search of the whole code that follows, not yet at its start; a single direction has none."""
        span = self.span if self.settings.search_in == "whole" else self.span.whole
        if not later or span is None or self.span.num_directions < 2:
            return None
        settings = dataclasses.replace(later[0], precision="float32", compile="none")  # done above
        return Discovery(self._generate, self._sample, settings, span=span, device=self._device, later=later[1:])

    def _moves_together(self) -> bool:
        """Whether directions of a step are computed together where they fit: a device waits for launches, a CPU not."""
        return torch.device(self._device or "cpu").type != "cpu" and self.settings.search_in != "whole"

    def _fitting_micro_batch(self, num_directions: int = 1) -> int:
        codes = self._sample(2, torch.Generator().manual_seed(self.settings.seed)).to(self._device)
        settings = self.settings
        together = settings.directions_per_step if settings.search_in == "whole" else num_directions
        return choose_micro_batch(self._generate, codes, most=settings.batch_size * together)

    def _outputs(self, codes: Tensor) -> Tensor:
        return outputs_of(self._generate, codes, self._codes_together)

    def _find_span(self, progress: Progress | None) -> Span:
        settings = self.settings
        codes = self.draw(settings.num_span_codes)
        return find_span(
            settings.span,
            self._generate,
            codes,
            size=settings.num_directions,
            whitening=settings.whitening,
            search_in=settings.needed_span,
            rng=self._rng,
            num_probes=settings.num_probes,
            micro_batch=self.micro_batch,
            progress=progress,
        )

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """The parameters of V and of the loss, each with the peak of its cosine learning rate."""
        groups = [{"params": list(self._parametrized.parameters()), "peak": self.settings.peak_learning_rate}]
        own = list(self._loss.parameters())
        return groups + ([{"params": own, "peak": self._loss.own_learning_rate}] if own else [])

    @property
    def step_index(self) -> int:
        """The number of steps taken, with those of the refinement."""
        return self._own_step + (self.refinement.step_index if self.refinement is not None else 0)

    @property
    def num_steps(self) -> int:
        """The number of all steps, with those of the refinement."""
        return self.settings.steps + (self.refinement.num_steps if self.refinement is not None else 0)

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step_index >= self.num_steps

    def rotation(self) -> Tensor:
        """V (K, M) on the CPU, one row per direction, in the whitened coordinates of the span."""
        weight: Tensor = self._parametrized.weight
        return weight.detach()

    def initialize_near(self, directions: Directions) -> None:
        """Initialize V near `directions`, such as those of a baseline: exactly there in the whole code.

        Raises:
            InvalidArgumentError: the directions do not fit the space or the span.
        """
        assert self.step_index == 0, "V can be initialized before the first step only"
        near = nearest_units if self.settings.search_in == "whole" else nearest_rotation
        rotation = near(self.span, directions, self.random_rotation)
        self._parametrized.weight = rotation.to(self.initial_rotation)
        self.initial_rotation = self.rotation().clone()

    def draw(self, num_codes: int) -> Tensor:
        """`num_codes` codes (n, D) from the random generator of the search."""
        with torch.no_grad():
            return self._sample(num_codes, self._rng).to(self._device)

    def step(self) -> dict[str, float]:
        """Take one step and return its mean loss, NaN if no loss was computed, as {"loss": value}.

        If the device runs out of memory, the step is repeated with half the micro-batch, and a warning gives its size.

        Raises:
            TopdisError: the loss is not finite, or a single code does not fit into the memory; V is unchanged.
        """
        if self._own_step < self.settings.steps or self.refinement is None:
            return self._within_memory(self._take_step)
        if self.hands_over:
            self.hand_over()
        return self.refinement.step()

    @property
    def hands_over(self) -> bool:
        """Whether the next step is the first of the search that follows, which starts at accepted directions."""
        if self.refinement is None or self._own_step < self.settings.steps or self.finished:
            return False
        return self.refinement.hands_over if self.refinement.step_index > 0 else not self._handed_over

    def hand_over(self, store: PartialStore | None = None) -> None:
        """Start the search that follows; `store` saves and restores the comparison of directions before."""
        assert self.refinement is not None, "it hands over"
        if self.refinement.step_index > 0:
            self.refinement.hand_over(store)
            return
        directions = self.accepted(store=store)
        self.refinement.initialize_near(directions)
        if "improved" in directions.metadata:
            self.refinement._improved_before = torch.tensor(directions.metadata["improved"])
        self._handed_over = True

    def _within_memory(self, compute: Callable[[], _T]) -> _T:
        """Compute, with half the micro-batch and the same random numbers again while the device runs out of memory."""
        random = self._rng.get_state()
        try:
            return compute()
        except torch.OutOfMemoryError:
            self.micro_batch = halved(self.micro_batch)
            self._codes_together = self.micro_batch
        self._rng.set_state(random)
        return self._within_memory(compute)

    def _take_step(self) -> dict[str, float]:
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * _cosine(self._own_step, self.settings.steps)
        self._optimizer.zero_grad()
        rotation: Tensor = self._parametrized.weight
        leaf = rotation.detach().to(self.span.axes).requires_grad_(True)
        codes, shift = self.draw(self.settings.batch_size), self.settings.shift_at(self._own_step)
        self._loss.micro_batch = self._codes_together
        values = [self._backward(loss) for loss in self._loss.losses(leaf, codes, shift, self._rng)]
        losses, gradient = self._read(values, leaf) if values else ([], leaf)
        if losses:
            for part in (gradient, *(parameter.grad for parameter in self._loss.parameters())):
                assert part is not None
                part /= len(losses)
            rotation.backward(gradient.to(rotation))
            self._optimizer.step()
        self._own_step += 1
        return {"loss": math.fsum(losses) / len(losses) if losses else math.nan}

    def _backward(self, loss: Tensor) -> Tensor:
        """Accumulates the gradient of one of the losses of a step, or of a vector of them, and returns its value."""
        computed = loss if loss.ndim == 0 else loss.nan_to_num(0.0, torch.inf, -torch.inf).sum()
        computed.backward()
        return loss.detach()

    def _read(self, values: list[Tensor], leaf: Tensor) -> tuple[list[float], Tensor]:
        """The losses of a step that were computed, and the gradient of V, read from the device together."""
        assert leaf.grad is not None
        *numbers, gradient = move_together([*values, leaf.grad], "cpu")
        losses = []
        for value, own in zip(values, numbers, strict=True):
            losses += [number for number in own.view(-1).tolist() if value.ndim == 0 or not math.isnan(number)]
        for number in losses:
            if not math.isfinite(number):
                raise TopdisError(
                    f"the loss is {number} at step {self._own_step}: "
                    "the generator returned features that are not finite"
                )
        return losses, gradient

    def run(self, progress: Progress | None = None) -> None:
        """Take all remaining steps and call `progress` after each."""
        while not self.finished:
            values = self.step()
            if progress is not None:
                progress(self.step_index, self.num_steps, **values)

    def directions(self, rotation: Tensor | None = None, **metadata: Any) -> Directions:
        """The current directions, or those of another `rotation` (K, M) of the span."""
        if rotation is None:
            current = self._current
            return to_directions(current.span, current.rotation(), **metadata)
        return to_directions(self.span, rotation.to(self.initial_rotation), **metadata)

    @property
    def _current(self) -> "Discovery":
        """The search whose directions are the current ones: the refinement once it has begun."""
        begun = self.refinement is not None and self.refinement.step_index > 0
        return self.refinement._current if self.refinement is not None and begun else self

    @property
    def _is_tested(self) -> bool:
        """Whether own directions are kept only where they improve; a single one has no others to be compared with."""
        return self.settings.search_in == "whole" and not self.settings.accept_all and self.span.num_directions > 1

    @property
    def chooses(self) -> bool:
        """Whether directions of the whole code are kept only where they improve."""
        return self._is_tested if self.refinement is None else self.refinement.chooses

    def accepted(
        self, progress: Progress | None = None, store: PartialStore | None = None, **metadata: Any
    ) -> Directions:
        """The current directions; of the whole code, the start of each that does not improve on fresh codes.

        Those that do (see `discovery.acceptance`) are in the metadata, K truth values in "improved".
        """
        current = self._current
        if not current._is_tested:
            return current.directions(**metadata)
        improved = current._improved(progress, store)
        rotation = torch.where(improved[:, None], current.rotation(), current.initial_rotation)
        return current.directions(rotation, **metadata, improved=(improved | current._improved_before).tolist())

    def fallback(self) -> Directions:
        """Where each direction of the whole code goes if it does not improve; the current ones where none is tested."""
        current = self._current
        return current.directions(current.initial_rotation if current._is_tested else None)

    def _improved(self, progress: Progress | None, store: PartialStore | None) -> Tensor:
        """(K,), the directions that are better than where they started."""
        start, found = self.directions(self.initial_rotation), self.directions()
        differences = self._within_memory(
            lambda: improvements(
                self._generate,
                self._sample,
                start,
                found,
                micro_batch=self.micro_batch,
                seed=self.settings.seed,
                device=self._device,
                progress=progress,
                store=store,
            )
        )
        return torch.stack([improves(each) for each in differences.values()]).all(0)

    def evaluate(
        self,
        directions: Directions,
        progress: Progress | None = None,
        store: PartialStore | None = None,
        *,
        rtd_only: bool = False,
    ) -> HeldOutScores:
        """The held-out scores of `directions`, on codes that the settings of this search choose."""
        return self._within_memory(
            lambda: evaluate_held_out(
                self._generate,
                self._sample,
                directions,
                rtd_only=rtd_only,
                batch_size=self.settings.batch_size,
                micro_batch=self.micro_batch,
                seed=self.settings.seed,
                device=self._device,
                progress=progress,
                store=store,
            )
        )

    def state(self) -> tuple[dict[str, Tensor], Any]:
        """Everything that the remaining steps depend on: tensors, and the rest as JSON-able data."""
        return flatten(self._parts())

    def _parts(self) -> dict[str, Any]:
        later = {} if self.refinement is None else {"refinement": self.refinement._parts()}
        if self.refinement is not None and self.refinement.span is self.span:
            del later["refinement"]["span"]  # a large one
        return {
            "step": self._own_step,
            "micro_batch": self.micro_batch,
            "codes_together": self._codes_together,
            "rng": self._rng.get_state(),
            "random_start": self.random_rotation,
            "start": self.initial_rotation,
            "span": {name: part for name in _SPAN_PARTS if (part := getattr(self.span, name)) is not None},
            "orthonormal": self._parametrized.state_dict(),
            "objective": self._loss.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "improved_before": self._improved_before,
            **later,
        }

    @classmethod
    def resume(
        cls,
        generate: Generate,
        sample_codes: SampleCodes,
        settings: DiscoverySettings,
        state: tuple[dict[str, Tensor], Any],
        *,
        device: torch.device | str | None = None,
    ) -> "Discovery":
        """The search whose `state` this is, ready to take its next step."""
        parts = unflatten(*state)
        span = _span_of(parts, device)
        search = cls(generate, sample_codes, settings, span=span, micro_batch=parts["micro_batch"], device=device)
        search._load(parts)
        return search

    def _load(self, parts: dict[str, Any]) -> None:
        self.micro_batch = parts["micro_batch"]
        self._parametrized.load_state_dict(parts["orthonormal"])
        self._loss.load_state_dict(parts["objective"])
        self._optimizer.load_state_dict(parts["optimizer"])
        self.random_rotation = parts.get("random_start", self.random_rotation).to(self.random_rotation)
        self.initial_rotation = parts["start"].to(self.initial_rotation)
        self._codes_together = parts.get("codes_together", self.micro_batch)
        self._rng.set_state(parts["rng"])
        self._own_step = parts["step"]
        self._improved_before = parts.get("improved_before", self._improved_before)
        if self.refinement is not None:
            self.refinement._load(parts["refinement"])


def _span_of(parts: dict[str, Any], device: torch.device | str | None) -> Span:
    """The span of a saved search, with the whole code that its refinement searches."""
    tensors = {name: value if name == "spectrum" else value.to(device) for name, value in parts["span"].items()}
    later = parts.get("refinement", {})
    whole = _span_of(later, device) if "span" in later else None
    return Span(**tensors, whole=whole)


def _cosine(step: int, num_steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / num_steps))
