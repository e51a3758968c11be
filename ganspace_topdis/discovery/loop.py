"""The optimisation: an orthonormal matrix V, kept so by its parametrisation, moved by Adam.

V = V0 exp(A) with A skew-symmetric and V0 a random orthonormal start, so that no step leaves the manifold
and nothing is repaired (torch.nn.utils.parametrizations.orthogonal). `Discovery` holds everything that a step
changes and gives it out as tensors, so that a run that is stopped and resumed takes the very same steps.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from ganspace_topdis.discovery.held_out import HeldOut, judge_held_out
from ganspace_topdis.discovery.objective import features_of, shift_codes, to_directions
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.discovery.span import Span, find_span
from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.topology import RTDLoss, rtd_lite

__all__ = ["Discovery"]

_FEWEST_ROWS = 4
"""With fewer rows left after a shift, two clouds say nothing about topology."""


class Discovery:
    """A search for directions that can be taken step by step, stopped, and resumed.

    Args:
        generate: codes (N, D) -> images or features (N, ...), differentiable.
        sample_codes: (n, rng) -> codes (n, D).
        settings: see `DiscoverySettings`.
        span: a span found before; found from `settings` by default.
        device: where the codes go.
    """

    def __init__(
        self,
        generate: Generate,
        sample_codes: SampleCodes,
        settings: DiscoverySettings,
        *,
        span: Span | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        self.settings = settings
        self._generate, self._sample, self._device = generate, sample_codes, device
        self._rng = torch.Generator().manual_seed(settings.seed)
        self.span = self._find_span() if span is None else span
        self._orthonormal = _orthonormal(self.span.size, self._rng).to(self.span.axes)
        self.start = self.rotation().clone()
        self._optimizer = torch.optim.Adam(self._orthonormal.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99))
        self._loss = RTDLoss(p=settings.p) if settings.divergence == "rtd" else rtd_lite
        self.step_index = 0

    def _find_span(self) -> Span:
        settings = self.settings
        codes = self.draw(settings.num_span_codes)
        return find_span(
            settings.span,
            self._generate,
            codes,
            size=settings.num_directions,
            rng=self._rng,
            num_probes=settings.num_probes,
            micro_batch=settings.micro_batch,
        )

    @property
    def finished(self) -> bool:
        """Whether all steps were taken."""
        return self.step_index >= self.settings.steps

    def rotation(self) -> Tensor:
        """V, (K, K): a row a direction, in the span's whitened coordinates."""
        weight: Tensor = self._orthonormal.weight
        return weight.detach()

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
            group["lr"] = self.settings.learning_rate * _cosine(self.step_index, self.settings.steps)
        self._optimizer.zero_grad()
        losses = [loss for loss in self._losses() if loss is not None]
        if losses:
            loss = torch.stack(losses).mean()
            if not torch.isfinite(loss):
                raise TopdisError(
                    f"the loss is {loss.item()} at step {self.step_index}: the generator gave no finite features"
                )
            loss.backward()
            self._optimizer.step()
        self.step_index += 1
        return {"loss": loss.item() if losses else math.nan}

    def _losses(self) -> Iterator[Tensor | None]:
        settings = self.settings
        codes = self.draw(settings.batch_size)
        with torch.no_grad():
            before = features_of(self._generate, codes, settings.micro_batch)
        chosen = torch.randperm(self.span.size, generator=self._rng)[: settings.directions_per_step].tolist()
        signs = torch.randint(2, (len(chosen),), generator=self._rng).tolist()
        weight: Tensor = self._orthonormal.weight
        for index, sign in zip(chosen, signs, strict=True):
            amount = settings.shift if sign else -settings.shift
            shifted = shift_codes(self.span, weight[index], codes, amount, settings.shift_law)
            if len(shifted.codes) < _FEWEST_ROWS:
                yield None
                continue
            after = features_of(self._generate, shifted.codes, settings.micro_batch)
            yield self._loss(before[shifted.kept], after)

    def directions(self, rotation: Tensor | None = None, **metadata: Any) -> Directions:
        """The directions as they are now, or those of another `rotation` (K, M) of the span."""
        return to_directions(self.span, self.rotation() if rotation is None else rotation, **metadata)

    def judge(self, directions: Directions) -> HeldOut:
        """The held-out scores of `directions` under this search's settings."""
        settings = self.settings
        return judge_held_out(
            self._generate,
            self._sample,
            directions,
            shift=settings.shift,
            shift_law=settings.shift_law,
            batch_size=settings.batch_size,
            micro_batch=settings.micro_batch,
            seed=settings.seed,
            device=self._device,
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the coming steps depend on: tensors, and a JSON-able rest."""
        tensors = {f"span.{field.name}": getattr(self.span, field.name) for field in dataclasses.fields(self.span)}
        tensors |= {f"orthonormal.{name}": value for name, value in self._orthonormal.state_dict().items()}
        for name, value in self._optimizer.state_dict()["state"].get(0, {}).items():
            tensors[f"adam.{name}"] = value
        return tensors | {"rng": self._rng.get_state(), "start": self.start}, {"step": self.step_index}

    @classmethod
    def resume(
        cls,
        generate: Generate,
        sample_codes: SampleCodes,
        settings: DiscoverySettings,
        state: tuple[dict[str, Tensor], dict[str, Any]],
        *,
        device: torch.device | str | None = None,
    ) -> "Discovery":
        """The search that gave out `state`, ready to take its next step."""
        tensors, rest = state
        span = Span(**{field.name: tensors[f"span.{field.name}"].to(device) for field in dataclasses.fields(Span)})
        search = cls(generate, sample_codes, settings, span=span, device=device)
        prefix = "orthonormal."
        search._orthonormal.load_state_dict(
            {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        )
        adam = {name.removeprefix("adam."): value for name, value in tensors.items() if name.startswith("adam.")}
        optimizer_state = search._optimizer.state_dict()
        search._optimizer.load_state_dict({**optimizer_state, "state": {0: adam} if adam else {}})
        search.start = tensors["start"].to(search.start)
        search._rng.set_state(tensors["rng"])
        search.step_index = rest["step"]
        return search


def _orthonormal(size: int, rng: torch.Generator) -> nn.Linear:
    """A module whose `weight` (size, size) is orthonormal, starting at a random rotation."""
    if size < 1:
        raise InvalidArgumentError(f"the span has {size} axes, at least one is needed")
    module = nn.Linear(size, size, bias=False)
    parametrizations.orthogonal(module, orthogonal_map="matrix_exp")
    start, _ = torch.linalg.qr(torch.randn(size, size, generator=rng))
    module.weight = start
    return module


def _cosine(step: int, num_steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / num_steps))
