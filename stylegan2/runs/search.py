"""Directions of a generator: a search in its run folder, started, resumed, evaluated, repaired where files are damaged.

What needs no search is a closed form: the baselines of `ganspace_topdis.discovery.baselines`, by name.
"""

import dataclasses
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis import __version__
from ganspace_topdis.discovery.active_subspace import effects_of_numbers
from ganspace_topdis.discovery.api import finalize
from ganspace_topdis.discovery.baselines import coordinate_axes, ganspace, ganspace_of_features, ica, sefa
from ganspace_topdis.discovery.held_out import rank
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import CLOSED_FORMS, ClosedForm, DiscoverySettings
from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.distributed import ProcessGroup
from ganspace_topdis.runs.files import set_aside, write_json
from ganspace_topdis.runs.progress import ProgressReporter
from ganspace_topdis.runs.shared_folder import SharedFolder
from ganspace_topdis.traversal.names import read_names
from stylegan2.loading import require_same_checkpoint
from stylegan2.space import LatentSpace
from stylegan2.zoo import locate

__all__ = [
    "SearchRun",
    "Start",
    "carried_over",
    "closed_form",
    "find_start",
    "locate_everywhere",
    "style_weights",
    "write_scores",
]


def closed_form(name: ClosedForm, search: Discovery, space: LatentSpace) -> Directions:
    """The directions `name`, as many as `search` looks for, in their own order."""
    if name == "random":
        return search.directions(search.random_rotation)
    if name == "span-axes":
        return search.directions(search.span.start)
    settings = search.settings
    codes = space.sample_codes(settings.num_span_codes, torch.Generator().manual_seed(settings.seed))
    if name == "ganspace":
        return ganspace(codes, search.span.num_directions, whitening=settings.whitening)
    if name == "ganspace-features":
        return ganspace_of_features(space.features, codes, search.span.num_directions, micro_batch=search.micro_batch)
    if name == "ica":
        return ica(codes, search.span.num_directions, whitening=settings.whitening, seed=settings.seed)
    if name == "sefa":
        return sefa(style_weights(space), codes, search.span.num_directions)
    assert name == "axes", f"{name} is not computed here"
    importance = None
    if space.name == "s":  # thousands of channels, of which many may not touch the features
        rng = torch.Generator().manual_seed(settings.seed)
        importance = effects_of_numbers(
            space.features, codes, rng=rng, num_probes=settings.num_probes, micro_batch=search.micro_batch
        )
    return coordinate_axes(codes, search.span.num_directions, importance=importance)


def style_weights(space: LatentSpace) -> Tensor:
    """The weights (rows, w_dim) that read the code in the convolutions of the space's layers, stacked.

    Raises:
        InvalidArgumentError: the space's layers hold no convolution.
    """
    assert space.name == "w", "no weight reads z, and every channel of s has its own"
    convolutions = [module for name, module in space.generator.named_modules() if name.endswith(("conv0", "conv1"))]
    chosen = range(len(convolutions)) if space.layers is None else [k for k in space.layers if k < len(convolutions)]
    if not chosen:
        raise InvalidArgumentError("the chosen layers hold no convolution that reads a style; choose lower ones")
    return torch.cat([convolutions[k].get_submodule("affine").weight.detach() for k in chosen])


Start = Directions | ClosedForm | None
"""Where a search starts: earlier directions, those of a closed form, or the axes of the span."""

SAVE_INTERVAL_S = 20.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchRun:
    """A search and its run folder.

    Attributes:
        folder: the run folder.
        world: the processes that share the work.
        space: the space that is searched.
        settings: settings of the search.
        closed_form: a method without steps, instead of the search.
        start: where the search starts.
        names: a file of names, checked against the number of directions.
        preview: draws a picture of the start of a new search; None: no picture.
    """

    folder: SharedFolder
    world: ProcessGroup
    space: LatentSpace
    settings: DiscoverySettings
    closed_form: ClosedForm | None
    start: Start
    names: Path | None
    preview: Callable[[Discovery], object] | None = None

    def directions(self, facts: dict[str, Any]) -> Directions:
        """The directions of the run: those found before, or those of a new or resumed search, which are saved."""
        found = self._earlier_directions()
        if found is None:
            return self._search(facts)
        if not self.folder.finished:
            self._repair_checkpoint()
        return found

    def _earlier_directions(self) -> Directions | None:
        """The directions of a finished run; None, with a warning, where they are damaged."""
        if not self.folder.was_finished:
            return None

        def read() -> Directions | None:
            path = self.folder.path / "directions.safetensors"
            if not path.exists():
                return None
            try:
                return Directions.load(path)
            except CheckpointError as error:
                warnings.warn(
                    f"{error}; made again from the search, the damaged file is kept as {set_aside(path).name}",
                    stacklevel=2,
                )
                return None

        found: Directions | None = self.world.broadcast(read)
        return found

    def _repair_checkpoint(self) -> None:
        """Repeat the last steps of a finished run whose last checkpoint is damaged; its directions stay."""
        try:
            search = self._open_search()
            if self.closed_form is None:
                self._take_steps(search)
        except CheckpointError as error:
            if self.world.is_main:
                warnings.warn(f"{error}; the directions do not depend on it", stacklevel=2)

    def _search(self, facts: dict[str, Any]) -> Directions:
        """Search, evaluate on held-out codes, and save the directions."""
        search = self._open_search()
        if self.closed_form is None:
            self._take_steps(search)
            found = None
        else:
            found = closed_form(self.closed_form, search, self.space)
            self.folder.save(0, *search.state())
        partial_work = self.folder.partial_work(every_s=SAVE_INTERVAL_S)
        with partial_work as partial, ProgressReporter("evaluate, clouds") as progress:
            if found is None:
                directions = finalize(search, progress, partial)
            else:
                directions = rank(found, search.evaluate(found, progress, partial))
        settings = {"version": __version__, "seed": self.settings.seed, "settings": dataclasses.asdict(self.settings)}
        directions = dataclasses.replace(directions, metadata={**directions.metadata, **facts, **settings})
        if self.world.is_main:
            directions.save(self.folder.path / "directions.safetensors")
        return directions

    def _open_search(self) -> Discovery:
        """The search at its last checkpoint, or at its start."""
        space, settings, device = self.space, self.settings, self.world.device
        checkpoint = self.folder.resume()
        if checkpoint is not None:
            state = checkpoint.tensors, checkpoint.rest
            try:
                return Discovery.resume(space.features, space.sample_codes, settings, state, device=device)
            except KeyError as error:
                raise CheckpointError(
                    f"{self.folder.path} was begun by another version of topdis-gan, whose search cannot be continued; "
                    "give another `out`"
                ) from error
        with ProgressReporter("span, codes") as progress:
            search = Discovery(space.features, space.sample_codes, settings, device=device, progress=progress)
        if self.start is not None:
            near = self.start if isinstance(self.start, Directions) else closed_form(self.start, search, space)
            search.initialize_near(near)
        if self.names is not None:
            read_names(self.names, num_directions=search.span.num_directions)
        if self.closed_form is None:
            self.folder.save(0, *search.state())
            if self.preview is not None and self.world.is_main:
                self.preview(search)
        return search

    def _take_steps(self, search: Discovery) -> None:
        num_steps = search.num_steps
        saving = self.folder.saving(
            lambda: (search.step_index, *search.state()), num_steps=num_steps, every_s=SAVE_INTERVAL_S
        )
        with saving as stepped, ProgressReporter("discover") as progress:
            while not search.finished:
                if search.hands_over:
                    self.folder.save(search.step_index, *search.state())
                    with self.folder.partial_work(every_s=SAVE_INTERVAL_S) as partial:
                        search.hand_over(partial)
                values = search.step()
                self.folder.append_metrics({"step": search.step_index, **values})
                progress(search.step_index, num_steps, **values)
                stepped()


def locate_everywhere(ckpt: str, world: ProcessGroup) -> Path:
    """The file of a checkpoint in every process: the main one looks first, others only where the file is missing."""

    def look() -> Path:
        with ProgressReporter("download, MB") as progress:
            return locate(ckpt, progress)

    path: Path = world.broadcast(look)
    return path if path.exists() else look()


def find_start(refine: str | None, ckpt: Path, space: LatentSpace) -> Start:
    """The start that `refine` names: a closed form, or the directions of a run on the same checkpoint and space.

    Directions of w also start a search in w+ or s, where they move every layer alike.

    Raises:
        CheckpointError: the directions cannot be used, or are of another checkpoint.
        InvalidArgumentError: there is no such start, or the directions are of another space.
    """
    if refine is None:
        return None
    for name in CLOSED_FORMS:
        if refine == name:
            return name
    if not Path(refine).exists():
        raise InvalidArgumentError(
            f"`refine` is {refine!r}, allowed are a run folder, its directions file, {', '.join(CLOSED_FORMS)}",
            field="refine",
        )
    directions = Directions.load(refine)
    require_same_checkpoint(directions, ckpt)
    found_in = directions.metadata.get("space", space.name)
    if found_in == "w" and space.name in ("w+", "s") and directions.metadata.get("layers") is None:
        return carried_over(directions, space)
    if found_in != space.name:
        raise InvalidArgumentError(
            f"`refine` {refine} holds directions of space {found_in}, `space` is {space.name}; give the same space",
            field="refine",
        )
    return directions


def carried_over(directions: Directions, space: LatentSpace) -> Directions:
    """Directions of w as directions of `space`, w+ or s: they move the code as those of w move it in every layer."""

    def codes_of(rows: Tensor) -> Tensor:
        return space.codes_of_styles(rows[:, None].expand(-1, space.generator.num_ws, -1))

    with torch.no_grad():
        unit = torch.eye(directions.code_dim).to(space.generator.mapping.w_avg)
        linear = (codes_of(unit) - codes_of(torch.zeros_like(unit[:1]))).cpu()
        mean = codes_of(directions.mean[None].to(unit))[0].cpu()
    axes = directions.scales[:, None] * directions.span @ linear
    scales = axes.norm(dim=1)
    return dataclasses.replace(
        directions,
        vectors=directions.vectors @ linear,
        dual_vectors=directions.dual_vectors @ torch.linalg.pinv(linear.double()).to(linear).T,
        mean=mean,
        span=axes / scales[:, None],
        scales=scales,
    )


def write_scores(path: Path, directions: Directions) -> None:
    """Write scores.json unless it agrees with the directions; a file that differs is reported and kept."""
    table = directions.score_table()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = None
    except (OSError, ValueError, RecursionError):
        found = "damaged"
    if found == json.loads(json.dumps(table)):
        return
    if found is not None:
        kept = set_aside(path)
        warnings.warn(
            f"{path} differs from directions.safetensors; made again, the old file is kept as {kept.name}", stacklevel=2
        )
    write_json(path, table)
