"""What the methods of search share: shifts along a unit vector of a span, and features of many codes.

Only shifted codes depend on the directions, so features before a shift need no graph; those after it are made
in micro-batches that are computed again in the backward pass, so memory is one micro-batch's whatever N is.
"""

import dataclasses

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ganspace_topdis.discovery.settings import ShiftKind
from ganspace_topdis.discovery.span import Span
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.latent.shift import shift_values
from ganspace_topdis.runs.distributed import by_rows

__all__ = ["Shifted", "features_of", "mean_distance_apart", "outputs_of", "shift_codes", "to_directions"]


@dataclasses.dataclass(frozen=True)
class Shifted:
    """Codes after a shift, (M, D), and the mask (N,) of the rows of the batch that they came from."""

    codes: Tensor
    kept: Tensor


def shift_codes(span: Span, direction: Tensor, codes: Tensor, amount: float, law: ShiftKind) -> Shifted:
    """Move `codes` (N, D) along the unit vector `direction` (M,) of `span`.

    Args:
        span: where the direction lives.
        direction: unit vector in the span's whitened coordinates; the gradient flows to it.
        codes: (N, D).
        amount: C of the Gaussian-preserving shift, or a number of standard deviations; its sign counts.
        law: "gaussian" or "sigma".
    """
    vector = direction @ span.axes
    if law == "sigma":
        return Shifted(codes + amount * vector, torch.ones(len(codes), dtype=torch.bool, device=codes.device))
    values = (codes - span.mean) @ (direction @ span.projection)
    moved, kept = shift_values(values, amount)
    return Shifted((codes + (moved - values)[:, None] * vector)[kept], kept)


def features_of(generate: Generate, codes: Tensor, micro_batch: int) -> Tensor:
    """Features of `codes` as (N, F), with one micro-batch's graph alive at a time."""
    return outputs_of(generate, codes, micro_batch).flatten(1)


def outputs_of(generate: Generate, codes: Tensor, micro_batch: int) -> Tensor:
    """What `generate` gives for all `codes`, with one micro-batch's graph alive at a time.

    More than one micro-batch costs a second forward pass in the backward pass. Of several processes, each computes
    its part of the rows (see `runs.distributed`).
    """
    return by_rows(lambda part: _in_micro_batches(generate, part, micro_batch), codes)


def _in_micro_batches(generate: Generate, codes: Tensor, micro_batch: int) -> Tensor:
    if len(codes) <= micro_batch or not torch.is_grad_enabled():
        return torch.cat([generate(chunk) for chunk in codes.split(micro_batch)])
    return torch.cat([checkpoint(generate, chunk, use_reentrant=False) for chunk in codes.split(micro_batch)])


def mean_distance_apart(features: Tensor) -> Tensor:
    """The mean distance between the features (N, F) of two random codes, never zero."""
    return (features - features.roll(1, 0)).norm(dim=1).mean().clamp(min=torch.finfo(features.dtype).tiny)


def to_directions(span: Span, rotation: Tensor, **metadata: object) -> Directions:
    """Directions for the orthonormal rows of `rotation` (K, M) in the whitened coordinates of `span`."""
    scales = span.axes.norm(dim=1)
    return Directions(
        vectors=(rotation @ span.axes).detach().float().cpu(),
        readouts=(rotation @ span.projection).detach().float().cpu(),
        mean=span.mean.detach().float().cpu(),
        span=(span.axes / scales[:, None]).detach().float().cpu(),
        scales=scales.detach().float().cpu(),
        metadata=dict(metadata),
    )
