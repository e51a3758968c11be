"""The search: an orthonormal matrix V, kept so by its parametrisation, moved by Adam.

V = V0 exp(A) with A skew-symmetric and V0 an orthonormal start: the span's axes, a random rotation, or what is
nearest to given directions. So no step leaves the manifold and nothing is repaired
(torch.nn.utils.parametrizations.orthogonal). What a step lowers is one of `discovery.methods`. `Discovery` holds
everything that a step changes and gives it out as tensors, so that a run that is stopped and resumed takes the very
same steps.
"""

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from ganspace_topdis.discovery.execution import compiled, in_mixed_precision
from ganspace_topdis.discovery.held_out import HeldOut, KeepsWork, judge_held_out
from ganspace_topdis.discovery.memory import choose_micro_batch
from ganspace_topdis.discovery.methods.base import Objective
from ganspace_topdis.discovery.methods.contrastive import Contrastive
from ganspace_topdis.discovery.methods.hessian import HessianPenalty
from ganspace_topdis.discovery.methods.reconstructor import Reconstructor
from ganspace_topdis.discovery.methods.topdis import TopDis
from ganspace_topdis.discovery.objective import outputs_of, to_directions
from ganspace_topdis.discovery.settings import DiscoverySettings, SearchMethod
from ganspace_topdis.discovery.span import Span, find_span
from ganspace_topdis.discovery.start import nearest_rotation, random_rotation
from ganspace_topdis.errors import TopdisError
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.runs.trees import flatten, unflatten

__all__ = ["Discovery"]

_OBJECTIVES: dict[SearchMethod, type[Objective]] = {
    "topdis": TopDis,
    "hessian": HessianPenalty,
    "contrastive": Contrastive,
    "reconstructor": Reconstructor,
}


class Discovery:
    """A search for directions that can be taken step by step, stopped, and resumed.

    Args:
        generate: codes (N, D) -> images or features (N, ...), differentiable.
        sample_codes: (n, rng) -> codes (n, D).
        settings: see `DiscoverySettings`.
        span: a span found before; found from `settings` by default.
        micro_batch: codes at a time; by default those of `settings`, or as many as fit into memory.
        device: where the codes go.
        progress: called while the span is measured.

    Attributes:
        random_start: (K, K), a random rotation of the span, drawn with the seed.
        start: (K, K), where the search starts.
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
        self._generate, self._sample, self._device = generate, sample_codes, device
        if settings.precision == "bf16":
            self._generate = in_mixed_precision(self._generate)
        self._rng = torch.Generator().manual_seed(settings.seed)
        self.micro_batch = micro_batch or settings.micro_batch or self._fitting_micro_batch()
        if settings.compile != "none":
            self._generate = compiled(self._generate)
        self.span = self._find_span(progress) if span is None else span
        self.random_start = random_rotation(self.span.size, self._rng)
        start = torch.eye(self.span.size) if settings.initialization == "axes" else self.random_start
        self._orthonormal = _orthonormal(start).to(self.span.axes)
        self.start = self.rotation().clone()
        self._objective = _OBJECTIVES[settings.method](self._outputs, self.span, settings)
        self._optimizer = torch.optim.Adam(self._parameter_groups(), betas=(0.9, 0.99))
        self.step_index = 0

    def _fitting_micro_batch(self) -> int:
        codes = self._sample(2, torch.Generator().manual_seed(self.settings.seed)).to(self._device)
        return choose_micro_batch(self._generate, codes, most=self.settings.batch_size)

    def _outputs(self, codes: Tensor) -> Tensor:
        return outputs_of(self._generate, codes, self.micro_batch)

    def _find_span(self, progress: Progress | None) -> Span:
        settings = self.settings
        codes = self.draw(settings.num_span_codes)
        return find_span(
            settings.span,
            self._generate,
            codes,
            size=settings.num_directions,
            whitening=settings.whitening,
            rng=self._rng,
            num_probes=settings.num_probes,
            micro_batch=self.micro_batch,
            progress=progress,
        )

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """V's parameters and the objective's own, with the rates that their cosines start from."""
        groups = [{"params": list(self._orthonormal.parameters()), "peak": self.settings.learning_rate}]
        own = list(self._objective.parameters())
        return groups + ([{"params": own, "peak": self._objective.own_learning_rate}] if own else [])

    @property
    def finished(self) -> bool:
        """Whether all steps were taken."""
        return self.step_index >= self.settings.steps

    def rotation(self) -> Tensor:
        """V, (K, K): a row a direction, in the span's whitened coordinates."""
        weight: Tensor = self._orthonormal.weight
        return weight.detach()

    def start_near(self, directions: Directions) -> None:
        """Start at the rotation nearest to `directions`, another method's say.

        Raises:
            InvalidArgumentError: they do not fit the space or the span.
        """
        assert self.step_index == 0, "a search that has taken steps keeps its start"
        self._orthonormal.weight = nearest_rotation(self.span, directions, self.random_start).to(self.start)
        self.start = self.rotation().clone()

    def draw(self, num_codes: int) -> Tensor:
        """`num_codes` codes from the search's own random stream."""
        with torch.no_grad():
            return self._sample(num_codes, self._rng).to(self._device)

    def step(self) -> dict[str, float]:
        """Take one step; return what a progress display or a log wants to know.

        Raises:
            TopdisError: the loss is not finite; V is still what it was before the step.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * _cosine(self.step_index, self.settings.steps)
        self._optimizer.zero_grad()
        rotation: Tensor = self._orthonormal.weight
        leaf = rotation.detach().requires_grad_(True)
        codes, shift = self.draw(self.settings.batch_size), self.settings.shift_at(self.step_index)
        losses = [self._pulled_back(loss) for loss in self._objective.losses(leaf, codes, shift, self._rng)]
        if losses:
            for gradient in (leaf.grad, *(parameter.grad for parameter in self._objective.parameters())):
                assert gradient is not None
                gradient /= len(losses)
            rotation.backward(leaf.grad)
            self._optimizer.step()
        self.step_index += 1
        return {"loss": math.fsum(losses) / len(losses) if losses else math.nan}

    def run(self, progress: Progress | None = None) -> None:
        """Take all steps that are left; `progress` is called after each."""
        while not self.finished:
            values = self.step()
            if progress is not None:
                progress(self.step_index, self.settings.steps, **values)

    def _pulled_back(self, loss: Tensor) -> float:
        """The value of one part of the loss, after its gradient was added to those of the parts before."""
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TopdisError(f"the loss is {value} at step {self.step_index}: the generator gave no finite features")
        loss.backward()
        return value

    def directions(self, rotation: Tensor | None = None, **metadata: Any) -> Directions:
        """The directions as they are now, or those of another `rotation` (K, M) of the span."""
        chosen = self.rotation() if rotation is None else rotation.to(self.start)
        return to_directions(self.span, chosen, **metadata)

    def judge(self, directions: Directions, progress: Progress | None = None, kept: KeepsWork | None = None) -> HeldOut:
        """The held-out scores of `directions` under this search's settings; see `judge_held_out`."""
        settings = self.settings
        return judge_held_out(
            self._generate,
            self._sample,
            directions,
            shift=settings.shift,
            shift_kind=settings.shift_kind,
            batch_size=settings.batch_size,
            micro_batch=self.micro_batch,
            seed=settings.seed,
            device=self._device,
            progress=progress,
            kept=kept,
        )

    def state(self) -> tuple[dict[str, Tensor], Any]:
        """Everything that the coming steps depend on: tensors, and a JSON-able rest."""
        return flatten(
            {
                "step": self.step_index,
                "micro_batch": self.micro_batch,
                "rng": self._rng.get_state(),
                "random_start": self.random_start,
                "start": self.start,
                "span": {field.name: getattr(self.span, field.name) for field in dataclasses.fields(self.span)},
                "orthonormal": self._orthonormal.state_dict(),
                "objective": self._objective.state_dict(),
                "optimizer": self._optimizer.state_dict(),
            }
        )

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
        """The search that gave out `state`, ready to take its next step."""
        parts = unflatten(*state)
        span = Span(**{name: value.to(device) for name, value in parts["span"].items()})
        search = cls(generate, sample_codes, settings, span=span, micro_batch=parts["micro_batch"], device=device)
        search._orthonormal.load_state_dict(parts["orthonormal"])
        search._objective.load_state_dict(parts["objective"])
        search._optimizer.load_state_dict(parts["optimizer"])
        search.random_start = parts.get("random_start", search.random_start).to(search.random_start)
        search.start = parts["start"].to(search.start)
        search._rng.set_state(parts["rng"])
        search.step_index = parts["step"]
        return search


def _orthonormal(rotation: Tensor) -> nn.Linear:
    """A module whose `weight` is orthonormal, starting at `rotation` (M, M)."""
    module = nn.Linear(len(rotation), len(rotation), bias=False)
    parametrizations.orthogonal(module, orthogonal_map="matrix_exp")
    module.weight = rotation
    return module


def _cosine(step: int, num_steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / num_steps))
