"""Discovery in one call, for any generator that can be called and differentiated.

    directions = discover_directions(generate, sample_codes)

runs the search of `discovery.loop` to its end, judges start and result on codes that the search has not seen,
and orders the directions by their score, effect / RTD: how much a direction changes for the topology it breaks.
"""

from typing import Any

import torch

from ganspace_topdis.discovery.held_out import HeldOut, KeepsWork
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import DiscoverySettings, SpanKind
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import Progress

__all__ = ["conclude", "discover_directions", "judged"]


def discover_directions(
    generate: Generate,
    sample_codes: SampleCodes,
    *,
    num_directions: int | None = None,
    span: SpanKind = "effect",
    steps: int = DiscoverySettings.steps,
    batch_size: int = 64,
    shift: float = DiscoverySettings.shift,
    seed: int = 0,
    start: Directions | None = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Directions:
    """Find orthonormal directions whose shifts keep the topology of what `generate` gives.

    Args:
        generate: codes (N, D) -> images or features (N, ...), differentiable.
        sample_codes: (n, rng) -> codes (n, D), drawn with the `torch.Generator` rng.
        num_directions: K; as many as the span's spectrum shows by default.
        span: "effect" | "pca" | "identity", where to look (see `discovery.span`).
        steps: optimisation steps.
        batch_size: codes a step.
        shift: how far a step shifts (see `DiscoverySettings.shift`).
        seed: equal seeds give equal directions on one machine.
        start: directions to start near to; a random rotation of the span by default.
        device: where the codes go; wherever `sample_codes` puts them by default.
        progress: called after every step.
        settings: further fields of `DiscoverySettings`.

    Returns:
        K directions, best first; `metadata` holds the settings, and for each direction its score, held-out RTD
        before (of the start) and after, and effect.

    Raises:
        InvalidArgumentError: a setting is out of range, or more directions are asked for than the span has.
        TopdisError: the generator gave values that are not finite.

    Example:
        >>> from ganspace_topdis.evaluation.hand_built import HandBuiltGenerator
        >>> generator = HandBuiltGenerator(seed=0)
        >>> directions = discover_directions(generator, generator.sample_codes, span="identity", steps=2)
        >>> directions.vectors.shape
        torch.Size([6, 6])
    """
    chosen = DiscoverySettings(
        num_directions=num_directions,
        span=span,
        steps=steps,
        batch_size=batch_size,
        shift=shift,
        seed=seed,
        **settings,
    )
    search = Discovery(generate, sample_codes, chosen, device=device)
    if start is not None:
        search.start_near(start)
    search.run(progress)
    return conclude(search)


def conclude(search: Discovery, progress: Progress | None = None, kept: KeepsWork | None = None) -> Directions:
    """The directions of a search, judged on held-out codes before and after it, best first (see `judge_held_out`)."""
    before = search.judge(search.directions(search.start), _half(progress, 0), kept)
    directions = search.directions(spectrum=[round(share, 6) for share in search.span.spectrum.tolist()])
    return judged(directions, search.judge(directions, _half(progress, 1), kept), rtd_before=before.rtd)


def _half(progress: Progress | None, place: int) -> Progress | None:
    """`progress` for the first or second of two equal pieces of work."""
    if progress is None:
        return None
    return lambda step, num_steps, **values: progress(place * num_steps + step, 2 * num_steps, **values)


def judged(directions: Directions, result: HeldOut, *, rtd_before: list[float] | None = None) -> Directions:
    """`directions` in the order of their score, with `result` in their metadata, a list of K numbers each."""
    scores = [effect / max(rtd, 1e-12) for effect, rtd in zip(result.effect, result.rtd, strict=True)]
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    columns = {"score": scores, "rtd_after": result.rtd, "effect": result.effect}
    if rtd_before is not None:
        columns["rtd_before"] = rtd_before
    return directions.select(order, **{name: [column[index] for index in order] for name, column in columns.items()})
