"""The search for directions, in stages: in a span, and then in the whole code.

Each stage (`discovery.stage`) starts where the one before ended, and each direction of the whole code is kept only
where it is better than its start (`discovery.acceptance`). In W+ and S the first stage in the whole code moves all
layers alike. `Discovery` holds the whole state of a search and exports it as tensors, so that a resumed run takes
exactly the same steps.
"""

import dataclasses
import warnings
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.discovery.acceptance import improvements, improves
from ganspace_topdis.discovery.active_subspace import Span
from ganspace_topdis.discovery.cloud_measures import PartialStore
from ganspace_topdis.discovery.held_out import HeldOutScores, evaluate_held_out
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.discovery.stage import Stage
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.checksummed import flatten, unflatten
from ganspace_topdis.runs.progress import Progress

__all__ = ["Discovery"]

_SPAN_PARTS = ("mean", "axes", "projection", "spectrum", "start", "shared")


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

    Attributes:
        stages: the searches, at least one.
        span: that of the first stage, with K directions.

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
    ) -> None:
        self.settings, self._sample, self._device = settings, sample_codes, device
        first = Stage(
            generate, sample_codes, settings, span=span, micro_batch=micro_batch, device=device, progress=progress
        )
        self.stages, self.span = [first], first.span
        if len(first.span.axes) == 1 and settings.steps and settings.search_in != "whole":
            warnings.warn(
                "the span has one axis, so a search in it changes nothing; `search_in` whole moves the direction",
                stacklevel=2,
            )
        if first.span.whole is not None and first.span.num_directions > 1:
            for each in settings.refinements:
                plain = dataclasses.replace(each, precision="float32", compile="none")  # done above
                self.stages.append(Stage(first.generate, sample_codes, plain, span=first.span.whole, device=device))
        self._place = 0
        self._improved = torch.zeros(self.span.num_directions, dtype=torch.bool)

    @property
    def _current(self) -> Stage:
        """The stage whose directions are the current ones."""
        return self.stages[self._place]

    @property
    def micro_batch(self) -> int:
        """Codes synthesized at a time by the first stage."""
        return self.stages[0].micro_batch

    @property
    def random_rotation(self) -> Tensor:
        """(K, M), a random rotation of the K axes where the first stage starts; M axes are searched."""
        return self.stages[0].random_rotation

    @property
    def initial_rotation(self) -> Tensor:
        """(K, M), V at step 0."""
        return self.stages[0].initial_rotation

    @property
    def step_index(self) -> int:
        """The number of steps taken."""
        return sum(stage.step_index for stage in self.stages)

    @property
    def num_steps(self) -> int:
        """The number of all steps."""
        return sum(stage.settings.steps for stage in self.stages)

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step_index >= self.num_steps

    def rotation(self) -> Tensor:
        """The matrix V of the current stage, on the CPU, one row per direction, in the coordinates of its span."""
        return self._current.rotation()

    def initialize_near(self, directions: Directions) -> None:
        """Initialize V near `directions`, such as those of a baseline: exactly there in the whole code.

        Raises:
            InvalidArgumentError: the directions do not fit the space or the span.
        """
        self.stages[0].initialize_near(directions)

    def step(self) -> dict[str, float]:
        """Take one step and return its mean loss, NaN if no loss was computed, as {"loss": value}.

        If the device runs out of memory, the step is repeated with half the micro-batch, and a warning gives its size.

        Raises:
            TopdisError: the loss is not finite, or a single code does not fit into the memory; V is unchanged.
        """
        if self.hands_over:
            self.hand_over()
        return self._current.step()

    @property
    def hands_over(self) -> bool:
        """Whether the next step is the first of a stage that starts at the accepted directions of the one before."""
        return self._current.step_index >= self._current.settings.steps and self._place + 1 < len(self.stages)

    def hand_over(self, store: PartialStore | None = None) -> None:
        """Start the next stage; `store` saves and restores the comparison of the directions before it."""
        directions = self.accepted(store=store)
        self._improved = torch.tensor(directions.metadata.get("improved", self._improved.tolist()))
        self._place += 1
        self._current.initialize_near(directions)

    def run(self, progress: Progress | None = None) -> None:
        """Take all remaining steps and call `progress` after each."""
        while not self.finished:
            values = self.step()
            if progress is not None:
                progress(self.step_index, self.num_steps, **values)

    def directions(self, rotation: Tensor | None = None, **metadata: Any) -> Directions:
        """The current directions, or those of a `rotation` (K, M) of the span of the first stage."""
        stage = self._current if rotation is None else self.stages[0]
        return stage.directions(rotation, **metadata)

    @property
    def chooses(self) -> bool:
        """Whether directions of the whole code are kept only where they improve."""
        return self.stages[-1].is_tested

    def accepted(
        self, progress: Progress | None = None, store: PartialStore | None = None, **metadata: Any
    ) -> Directions:
        """The current directions; of the whole code, the start of each that does not improve on fresh codes.

        Those that do in any stage (see `discovery.acceptance`) are in the metadata, K truth values in "improved".
        """
        stage = self._current
        if not stage.is_tested:
            return stage.directions(**metadata)
        improved = self._better(stage, progress, store)
        rotation = torch.where(improved[:, None], stage.rotation(), stage.initial_rotation)
        return stage.directions(rotation, **metadata, improved=(improved | self._improved).tolist())

    def fallback(self) -> Directions:
        """Where each direction of the whole code goes if it does not improve; the current ones where none is tested."""
        return self._current.directions(self._current.initial_rotation if self._current.is_tested else None)

    def _better(self, stage: Stage, progress: Progress | None, store: PartialStore | None) -> Tensor:
        """(K,), the directions of a stage that are better than where they started."""
        start, found = stage.directions(stage.initial_rotation), stage.directions()
        differences = stage.within_memory(
            lambda: improvements(
                stage.generate,
                self._sample,
                start,
                found,
                micro_batch=stage.micro_batch,
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
        first = self.stages[0]
        return first.within_memory(
            lambda: evaluate_held_out(
                first.generate,
                self._sample,
                directions,
                rtd_only=rtd_only,
                batch_size=self.settings.batch_size,
                micro_batch=first.micro_batch,
                seed=self.settings.seed,
                device=self._device,
                progress=progress,
                store=store,
            )
        )

    def state(self) -> tuple[dict[str, Tensor], Any]:
        """Everything that the remaining steps depend on: tensors, and the rest as JSON-able data."""
        return flatten(
            {
                "place": self._place,
                "improved": self._improved,
                "spans": [_parts_of(span) for span in (self.span, self.span.whole) if span is not None],
                "stages": [stage.parts() for stage in self.stages],
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
        """The search whose `state` this is, ready to take its next step.

        Raises:
            KeyError: the state was written by a version that kept it differently.
        """
        parts = unflatten(*state)
        first, *whole = [_span_of(each, device) for each in parts["spans"]]
        span = dataclasses.replace(first, whole=whole[0]) if whole else first
        micro_batch = parts["stages"][0]["micro_batch"]
        search = cls(generate, sample_codes, settings, span=span, micro_batch=micro_batch, device=device)
        if len(parts["stages"]) != len(search.stages):
            raise KeyError("stages")
        for stage, own in zip(search.stages, parts["stages"], strict=True):
            stage.load(own)
        search._place, search._improved = parts["place"], parts["improved"]
        return search


def _parts_of(span: Span) -> dict[str, Tensor]:
    return {name: part for name in _SPAN_PARTS if (part := getattr(span, name)) is not None}


def _span_of(parts: dict[str, Tensor], device: torch.device | str | None) -> Span:
    tensors: dict[str, Any] = {name: value if name == "spectrum" else value.to(device) for name, value in parts.items()}
    return Span(**tensors)
