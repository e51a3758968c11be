"""Discovery in one call, for any differentiable generator.

    directions = discover_directions(generate, sample_codes)

runs the search of `discovery.loop`, evaluates the initial and the final directions on held-out codes
(`discovery.held_out`), and ranks the directions by their score without truth.
"""

from typing import Any

import torch

from ganspace_topdis.discovery.cloud_measures import PartialStore
from ganspace_topdis.discovery.held_out import rank
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import DiscoverySettings, SpanKind
from ganspace_topdis.generators import Generate, SampleCodes, checked_codes, checked_outputs
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.devices import choose_device, torch_defaults
from ganspace_topdis.runs.progress import Progress

__all__ = ["discover_directions", "finalize"]


@torch_defaults()
def discover_directions(
    generate: Generate,
    sample_codes: SampleCodes,
    *,
    num_directions: int | None = DiscoverySettings.num_directions,
    span: SpanKind = DiscoverySettings.span,
    steps: int = DiscoverySettings.steps,
    batch_size: int = DiscoverySettings.batch_size,
    shift: float = DiscoverySettings.shift,
    seed: int = DiscoverySettings.seed,
    start: Directions | None = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Directions:
    """Find directions whose shifts preserve the topology of the outputs of a generator.

    The method is TopDis (Balabin et al. 2024) by default; see `discovery.losses` for the others. The steps find an
    orthonormal basis of the span. Further ones, a quarter as many, move unit vectors of the whole code
    (`discovery.scale_free`), and each is kept only where it is better than its start (`discovery.acceptance`);
    `search_in="span"` leaves these out. Codes of W+, one vector per layer side by side, need `whitening="layers"`, and
    style channels `whitening="channels"`; there the further steps are taken twice, first within what w reaches. The
    defaults are those of `topdis-gan discover`. Default type, default device and autocast of the caller do not matter
    (`precision` is that of `generate`). Gradients of the generator's parameters and the global random stream stay as
    they are.

    Args:
        generate: codes (N, D) -> images or features (N, ...), differentiable.
        sample_codes: (n, rng) -> codes (n, D), drawn with the `torch.Generator` rng.
        num_directions: K; None reads it off the spectrum of the span, at most 32.
        span: the subspace that is searched: "effect", the active subspace; "pca"; or "identity", the whole code (see
            `discovery.active_subspace`).
        steps: optimization steps in the span; 0 keeps the initial directions.
        batch_size: N, codes per step and points per cloud, at least 4.
        shift: length of a shift, in standard deviations of the code by default (see `DiscoverySettings`).
        seed: equal seeds give equal directions on the same machine.
        start: directions to start near, up to rotation in the span, or exactly at in the whole code; None starts at the
            axes of the span.
        device: device of the codes; that of `sample_codes` by default.
        progress: called after every step with the step, the number of steps, and the loss.
        settings: further fields of `DiscoverySettings`.

    Returns:
        K directions, best first. Their `metadata` has one list of K numbers each for "score", "rank", held-out RTD of
        the initial ("rtd_before") and the final directions ("rtd_after"), "effect", and whether the whole code
            "improved" each; and the spectrum of the span.

    Raises:
        InvalidArgumentError: a setting is not allowed, there is no such device, the span has fewer than K axes, or a
            function returns something other than a finite floating-point tensor with a row per code and, for
            `generate`, a gradient.

    Example:
        >>> from ganspace_topdis.generators import HandBuiltGenerator
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
    placed = None if device is None else choose_device(str(device))
    search = Discovery(checked_outputs(generate), checked_codes(sample_codes), chosen, device=placed)
    if start is not None:
        search.initialize_near(start)
    search.run(progress)
    return finalize(search)


def finalize(search: Discovery, progress: Progress | None = None, store: PartialStore | None = None) -> Directions:
    """The directions of a search, evaluated on held-out codes before and after it, best first.

    Args:
        search: a search whose steps are done.
        progress: called after every shifted cloud of the evaluation.
        store: saves and restores the evaluation; see `evaluate_held_out`.
    """
    count = 2 + search.chooses
    parts = [_part(progress, place, count) for place in range(count)]
    before = search.evaluate(search.directions(search.initial_rotation), parts[0], store, rtd_only=True)
    spectrum = [round(share, 6) for share in search.span.spectrum.tolist()]
    directions = search.accepted(parts[1], store, spectrum=spectrum)
    return rank(directions, search.evaluate(directions, parts[-1], store), rtd_before=before.rtd)


def _part(progress: Progress | None, place: int, count: int) -> Progress | None:
    """`progress` for one of several equal pieces of work, numbered from 0."""
    if progress is None:
        return None
    return lambda step, num_steps, **values: progress(place * num_steps + step, count * num_steps, **values)
