"""The plan of a discovery: how long span, search, judging and pictures take on this machine, and which pictures fit.

The generator is timed on a few codes; the rest is counting. With t_g a code's features and their gradient, t_f its
features, t_i its image and t_r one RTD of a cloud of N points, in seconds,

    span      P t_g + the codes          P probes
    search    S (N t_f + D (N t_g + 2 t_r))    S steps of D directions
    judging   N t_f + t_r for every shifted batch       K directions on B batches, before and after the search, with
              their amounts and mixed differences, and R random directions on two batches; what the whole code changed
              is compared with its start before (`discovery.acceptance`)
    pictures  t_i for every frame of every seed

The pictures that nobody asked for in particular are bounded: they take at most a quarter as long as the span and the
search, together with the judging at most as long, or a minute. First the mixes of directions are left out, then seeds,
then frames.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from ganspace_topdis.discovery.acceptance import num_codes
from ganspace_topdis.discovery.active_subspace import LARGEST_SIZE
from ganspace_topdis.discovery.held_out import NUM_CLOUDS, NUM_RANDOM
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.devices import wait_for_device
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.progress import plan_table
from ganspace_topdis.runs.reading import read_json
from ganspace_topdis.topology.rtd import rtd
from ganspace_topdis.traversal.mixing import num_mixed_frames
from stylegan2.runs.pictures import num_mixed
from stylegan2.settings import PictureSettings
from stylegan2.space import LatentSpace

__all__ = ["Pace", "RunPlan", "announce", "chosen_pictures", "judging_s", "measure_pace", "num_images", "plan_run"]

_LONG_S = 30.0
"""The plan of work that takes longer is printed before it begins."""

_FREE_S = 60.0
"""Pictures that take no longer are never left out."""

_TIMED_CODES, _TIMED_IMAGES, _SAMPLED = 8, 2, 256
_MOST_TRIES, _TRIED_S = 5, 1.0
_FILE = "pictures.json"


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds on this machine.

    Attributes:
        sample_s: to draw a code.
        features_s: to compute a code's features.
        gradient_s: to compute them and the gradient by the code.
        rtd_s: to compute RTD between two clouds.
        image_s: to draw an image.
        code_dim: the length of a code, which bounds the number of directions.
    """

    sample_s: float
    features_s: float
    gradient_s: float
    rtd_s: float
    image_s: float
    code_dim: int


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """The parts of a discovery and their durations.

    Attributes:
        num_directions: K, or the largest number that the span may get.
        span_s, search_s, judging_s, pictures_s: seconds.
        pictures: the pictures that are drawn.
        num_images: their frames.
        whole: whether these are all pictures that the settings name.
    """

    num_directions: int
    span_s: float
    search_s: float
    judging_s: float
    pictures_s: float
    pictures: PictureSettings
    num_images: int
    whole: bool

    @property
    def total_s(self) -> float:
        """Seconds of the whole run."""
        return self.span_s + self.search_s + self.judging_s + self.pictures_s

    def as_text(self) -> str:
        """The plan, a line per part."""
        seeds, frames = len(self.pictures.seeds), self.pictures.num_frames
        parts = [
            ("span", self.span_s, ""),
            ("search", self.search_s, ""),
            ("judging", self.judging_s, f"up to {self.num_directions} directions"),
            ("pictures", self.pictures_s, f"up to {self.num_images} images: {seeds} seeds, {frames} frames"),
            ("all", self.total_s, "the same command resumes a stopped run"),
        ]
        less = "fewer pictures than usual, so that they take no longer than the search; --all-pictures draws all"
        return "\n".join([plan_table("a few images", parts, width=9), *([] if self.whole else [less])])


class _Plan(Protocol):
    @property
    def total_s(self) -> float: ...

    def as_text(self) -> str: ...


def announce(plan: _Plan) -> bool:
    """Whether the work of `plan` takes long; its text is printed then, to stderr."""
    if plan.total_s < _LONG_S:
        return False
    print(plan.as_text(), file=sys.stderr, flush=True)
    return True


def measure_pace(space: LatentSpace, batch_size: int) -> Pace:
    """Time the generator of `space` on a few codes, and RTD on `batch_size` points."""
    rng = torch.Generator().manual_seed(0)
    device = next(space.generator.parameters()).device
    with torch.no_grad():
        sample_s = _seconds(lambda: space.sample_codes(_SAMPLED, rng), device) / _SAMPLED
        codes = space.sample_codes(_TIMED_CODES, rng).to(device)
        features_s = _seconds(lambda: space.features(codes), device) / _TIMED_CODES
        images = codes[:_TIMED_IMAGES]
        image_s = _seconds(lambda: space.images(images), device) / _TIMED_IMAGES
        width = space.features(codes[:1]).numel()
        clouds = torch.randn((2, batch_size, width), generator=rng).to(device)
        rtd_s = _seconds(lambda: rtd(clouds[0], clouds[1]), device)

    def with_gradient() -> None:
        leaf = codes.detach().clone().requires_grad_(True)
        space.features(leaf).square().mean().backward()

    gradient_s = _seconds(with_gradient, device) / _TIMED_CODES
    return Pace(
        sample_s=sample_s,
        features_s=features_s,
        gradient_s=gradient_s,
        rtd_s=rtd_s,
        image_s=image_s,
        code_dim=codes.shape[-1],
    )


def plan_run(
    pace: Pace,
    search: DiscoverySettings,
    pictures: PictureSettings,
    *,
    image_px: int,
    num_directions: int | None = None,
    takes_steps: bool = True,
    all_pictures: bool = False,
) -> RunPlan:
    """The plan of a discovery.

    Args:
        pace: how fast this machine is.
        search: settings of the search.
        pictures: the pictures that are named; fewer are planned if they are the default ones and take too long.
        image_px: longer side of an image.
        num_directions: K where it is known; by default that of `search`, or the largest.
        takes_steps: whether the method is a search; a closed form is allowed the pictures of a search.
        all_pictures: plan all pictures in any case.
    """
    num_directions = min(num_directions or search.num_directions or LARGEST_SIZE, pace.code_dim)
    num_points = search.batch_size
    probed = search.span == "effect" or search.needed_span != "span"
    span_s = search.num_span_codes * pace.sample_s + probed * search.num_probes * pace.gradient_s
    search_s = sum(each.steps * _step_s(pace, each, num_directions) for each in (search, *search.refinements))
    judged_s = judging_s(pace, num_points, num_directions, num_sets=1 + takes_steps)
    if takes_steps and search.needed_span != "span" and not search.accept_all and num_directions > 1:
        judged_s += max(len(search.refinements), 1) * num_codes(num_directions) * pace.features_s
    budget_s = max(_FREE_S, min((span_s + search_s) / 4, span_s + search_s - judged_s))
    for chosen in _fewer_and_fewer(pictures):
        drawn = num_images(chosen, num_directions, image_px)
        if all_pictures or drawn * pace.image_s <= budget_s:
            break
    return RunPlan(
        num_directions=num_directions,
        span_s=span_s,
        search_s=search_s if takes_steps else 0.0,
        judging_s=judged_s,
        pictures_s=drawn * pace.image_s,
        pictures=chosen,
        num_images=drawn,
        whole=chosen == pictures,
    )


def _step_s(pace: Pace, search: DiscoverySettings, num_directions: int) -> float:
    """The time of a step: features of the codes, and what the method's loss shifts and differentiates."""
    moved = min(search.directions_per_step, num_directions)
    is_free = search.search_in == "whole"
    shifted = {"hessian": moved * is_free + 4, "reconstructor": moved * is_free + 1}.get(search.method, moved)
    rtd_s = 2 * moved * pace.rtd_s if search.method == "topdis" else 0.0
    return search.batch_size * (pace.features_s + shifted * pace.gradient_s) + rtd_s


def judging_s(
    pace: Pace,
    num_points: int,
    num_directions: int,
    *,
    num_sets: int,
    num_clouds: int = NUM_CLOUDS,
    num_random: int = NUM_RANDOM,
) -> float:
    """Seconds of `discovery.held_out`, whose amounts take two half batches per direction.

    Args:
        pace: how fast this machine is.
        num_points: of a cloud.
        num_directions: K.
        num_sets: 2 if the directions before the search are judged too, by their RTD; else 1.
        num_clouds: B.
        num_random: R.
    """
    clouds = num_directions * num_clouds
    shifted = num_sets * (clouds + num_directions + num_clouds) + 0.4 * clouds + 2.5 * num_random
    return shifted * num_points * pace.features_s + num_sets * clouds * pace.rtd_s


def chosen_pictures(
    folder: Path, pictures: PictureSettings, plan: Callable[[], RunPlan] | None, *, all_pictures: bool = False
) -> PictureSettings:
    """The pictures to draw in the run folder: those of its earlier plan, so that they stay the same, or of a new one.

    Args:
        folder: the run folder; a plan that leaves pictures out is recorded in it.
        pictures: the pictures that are named.
        plan: plans the pictures; None draws all that were drawn before, or all that are named.
        all_pictures: an earlier plan does not count.
    """
    file, named = folder / _FILE, _plain(pictures)
    try:
        known = read_json(file)
        if known["named"] == named and not all_pictures:
            return PictureSettings.from_config(known["drawn"])
    except (OSError, ValueError, TypeError, KeyError, InvalidArgumentError):
        pass
    planned = None if plan is None else plan()
    if planned is None:
        return pictures
    if planned.whole:
        file.unlink(missing_ok=True)
        return pictures
    write_json(file, {"named": named, "drawn": _plain(planned.pictures)})
    return planned.pictures


def _plain(pictures: PictureSettings) -> dict[str, Any]:
    return {**asdict(pictures), "seeds": list(pictures.seeds)}


def _fewer_and_fewer(pictures: PictureSettings) -> Iterator[PictureSettings]:
    """The pictures, then ever fewer of them; what differs from the default was asked for and stays."""
    yield pictures
    default = PictureSettings()
    if pictures.num_mixed is None:
        pictures = replace(pictures, num_mixed=0)
        yield pictures
    if pictures.seeds == default.seeds:
        for num_seeds in range(len(default.seeds) - 1, 0, -1):
            pictures = replace(pictures, seeds=default.seeds[:num_seeds])
            yield pictures
    if pictures.num_frames == default.num_frames:
        for num_frames in range(default.num_frames - 2, 2, -2):
            yield replace(pictures, num_frames=num_frames)


def num_images(pictures: PictureSettings, num_directions: int, image_px: int) -> int:
    """How many images a gallery of `num_directions` has, each of `image_px`."""
    mixed = num_mixed(pictures, num_directions, image_px)
    walks = 1 + num_directions * (pictures.num_frames - 1)
    return len(pictures.seeds) * (walks + num_mixed_frames(mixed, pictures.num_frames))


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """The fewest seconds that `work` takes after its first time, in at most five tries and about a second."""
    work()
    tries: list[float] = []
    while len(tries) < _MOST_TRIES and sum(tries) < _TRIED_S:
        wait_for_device(device)
        start_s = time.perf_counter()
        work()
        wait_for_device(device)
        tries.append(time.perf_counter() - start_s)
    return min(tries)
