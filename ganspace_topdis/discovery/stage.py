"""One search in one span, a stage of a `Discovery`: Adam on a matrix V whose rows are the directions.

In a span, V = V0 exp(A) with A skew-symmetric and V0 an orthonormal initialization: the axes of the span, a random
rotation, or the rotation nearest to given directions. So V stays orthonormal without projections
(torch.nn.utils.parametrizations.orthogonal). In the whole code the rows of V are unit vectors, normalized rows of the
matrix that Adam moves, and start at the same places. V and its optimizer stay on the CPU, where small matrices are
faster than on a GPU: once per step, V goes to the device of the codes and its gradient comes back. The loss is one of
`discovery.losses` or `discovery.scale_free`.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from ganspace_topdis.discovery.active_subspace import Span, find_span, to_directions
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
from ganspace_topdis.discovery.settings import COMPARING_METHODS, DiscoverySettings, SearchMethod
from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.devices import move_together
from ganspace_topdis.runs.progress import Progress

__all__ = ["Stage"]

_T = TypeVar("_T")

_LOSSES_IN_SPAN: dict[SearchMethod, type[SearchLoss]] = {
    "topdis": TopDisLoss,
    "hessian": HessianPenalty,
    "contrastive": ContrastiveLoss,
    "reconstructor": ReconstructorLoss,
    "overlap": ScaleFreeLoss,
    "sparsity": ScaleFreeLoss,
}


class Stage:
    """A search that can be run step by step, stopped, and resumed. Arguments as of `Discovery`.

    Attributes:
        generate: codes -> features, in the precision that `settings` name, and compiled if they say so.
        micro_batch: codes synthesized at a time; halved where they do not fit into the memory.
        span: the M axes that are searched.
        step_index: the number of steps taken.
        random_rotation: (K, M), a random rotation of the K axes where the search starts, drawn with the seed.
        initial_rotation: (K, M), V at step 0.
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
    ) -> None:
        self.settings = settings
        self.generate = in_mixed_precision(generate) if settings.precision == "bf16" else generate
        self._sample, self._device = sample_codes, device
        self._rng = torch.Generator().manual_seed(settings.seed)
        self.micro_batch = micro_batch or settings.micro_batch or self._fitting_micro_batch()
        self._codes_together = self.micro_batch
        if not (micro_batch or settings.micro_batch) and self._moves_together():
            self._codes_together = self._fitting_micro_batch(settings.directions_per_step)
        if settings.compile != "none":
            self.generate = compiled(self.generate)
        self.span = self.within_memory(lambda: self._find_span(progress)) if span is None else span
        if settings.method in COMPARING_METHODS and self.span.num_directions < 2:
            raise InvalidArgumentError(
                f"`method` {settings.method} compares directions, but the span has only one; give another `method`, or "
                "`num_directions` of at least 2",
                field="method",
            )
        whole = settings.search_in == "whole"
        if not whole and self.span.axes.dtype.itemsize < 4:
            raise InvalidArgumentError(
                f"`sample_codes` returned {self.span.axes.dtype}, in which a basis does not stay orthonormal; return "
                "torch.float32, and set `precision` to bf16",
                field="sample_codes",
            )
        start = self.span.start.detach().cpu()
        self.random_rotation = random_rotation(len(start), self._rng) @ start.float()
        initial = start if settings.initialization == "axes" else self.random_rotation
        rows = unit_rows(initial, self.span.shared, settings.layer_spread) if whole else orthonormal(initial)
        self._parametrized = rows.to(self.span.axes.dtype)
        self.initial_rotation = self.rotation().clone()
        loss = ScaleFreeLoss if whole else _LOSSES_IN_SPAN[settings.method]
        self._loss = loss(self._outputs, self.span, settings)
        self._optimizer = torch.optim.Adam(self._parameter_groups(), betas=(0.9, 0.99))
        self.step_index = 0

    def _moves_together(self) -> bool:
        """Whether directions of a step are computed together where they fit: a device waits for launches, a CPU not."""
        return torch.device(self._device or "cpu").type != "cpu" and self.settings.search_in != "whole"

    def _fitting_micro_batch(self, num_directions: int = 1) -> int:
        codes = self._sample(2, torch.Generator().manual_seed(self.settings.seed)).to(self._device)
        settings = self.settings
        together = settings.directions_per_step if settings.search_in == "whole" else num_directions
        return choose_micro_batch(self.generate, codes, most=settings.batch_size * together)

    def _outputs(self, codes: Tensor) -> Tensor:
        return outputs_of(self.generate, codes, self._codes_together)

    def _find_span(self, progress: Progress | None) -> Span:
        settings = self.settings
        codes = self.draw(settings.num_span_codes)
        return find_span(
            settings.span,
            self.generate,
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
    def is_tested(self) -> bool:
        """Whether directions are kept only where they improve; a single one has no others to be compared with."""
        return self.settings.search_in == "whole" and not self.settings.accept_all and self.span.num_directions > 1

    def rotation(self) -> Tensor:
        """V (K, M) on the CPU, one row per direction, in the whitened coordinates of the span."""
        weight: Tensor = self._parametrized.weight
        return weight.detach()

    def directions(self, rotation: Tensor | None = None, **metadata: Any) -> Directions:
        """The current directions, or those of another `rotation` (K, M) of the span."""
        rotation = self.rotation() if rotation is None else rotation.to(self.initial_rotation)
        return to_directions(self.span, rotation, **metadata)

    def initialize_near(self, directions: Directions) -> None:
        """Initialize V near `directions`: exactly there in the whole code.

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

    def within_memory(self, compute: Callable[[], _T]) -> _T:
        """Compute, with half the micro-batch and the same random numbers again while the device runs out of memory."""
        random = self._rng.get_state()
        try:
            return compute()
        except torch.OutOfMemoryError:
            self.micro_batch = halved(self.micro_batch)
            self._codes_together = self.micro_batch
        self._rng.set_state(random)
        return self.within_memory(compute)

    def step(self) -> dict[str, float]:
        """Take one step; see `Discovery.step`."""
        return self.within_memory(self._take_step)

    def _take_step(self) -> dict[str, float]:
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * _cosine(self.step_index, self.settings.steps)
        self._optimizer.zero_grad()
        rotation: Tensor = self._parametrized.weight
        leaf = rotation.detach().to(self.span.axes).requires_grad_(True)
        codes, shift = self.draw(self.settings.batch_size), self.settings.shift_at(self.step_index)
        self._loss.micro_batch = self._codes_together
        values = [self._backward(loss, leaf) for loss in self._loss.losses(leaf, codes, shift, self._rng)]
        losses, gradient = self._read(values, leaf) if values else ([], leaf)
        if losses:
            for part in (gradient, *(parameter.grad for parameter in self._loss.parameters())):
                assert part is not None
                part /= len(losses)
            rotation.backward(gradient.to(rotation))
            self._optimizer.step()
        self.step_index += 1
        return {"loss": math.fsum(losses) / len(losses) if losses else math.nan}

    def _backward(self, loss: Tensor, leaf: Tensor) -> Tensor:
        """Accumulates the gradient of one of the losses of a step, or of a vector of them, and returns its value.

        The gradients of the generator's own parameters are the caller's.
        """
        computed = loss if loss.ndim == 0 else loss.nan_to_num(0.0, torch.inf, -torch.inf).sum()
        computed.backward(inputs=[leaf, *self._loss.parameters()])
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
                    f"the loss is {number} at step {self.step_index}: "
                    "the generator returned features that are not finite"
                )
        return losses, gradient

    def parts(self) -> dict[str, Any]:
        """Everything that the remaining steps depend on, but the span."""
        return {
            "step": self.step_index,
            "micro_batch": self.micro_batch,
            "codes_together": self._codes_together,
            "rng": self._rng.get_state(),
            "random_start": self.random_rotation,
            "start": self.initial_rotation,
            "rows": self._parametrized.state_dict(),
            "objective": self._loss.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def load(self, parts: dict[str, Any]) -> None:
        """Go on where `parts` were taken."""
        self.micro_batch, self._codes_together = parts["micro_batch"], parts["codes_together"]
        self._parametrized.load_state_dict(parts["rows"])
        self._loss.load_state_dict(parts["objective"])
        self._optimizer.load_state_dict(parts["optimizer"])
        self.random_rotation = parts["random_start"].to(self.random_rotation)
        self.initial_rotation = parts["start"].to(self.initial_rotation)
        self._rng.set_state(parts["rng"])
        self.step_index = parts["step"]


def _cosine(step: int, num_steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / num_steps))
