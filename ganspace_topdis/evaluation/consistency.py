"""Scores that need no truth: whether seeds agree on the directions, and how much a direction does.

Agreement of two sets is the mean matched |cos| of their displacements (`recovery`); of several sets, the mean
over all pairs. The effect size of a direction is the root mean square change of an image or feature for one
standard deviation, || f(c + v) - f(c) || / sqrt(number of entries).
"""

from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.recovery import recovery
from ganspace_topdis.latent.directions import Directions

__all__ = ["agreement", "agreement_of_each", "effect_sizes"]


def agreement(sets: Sequence[Directions]) -> float:
    """Mean matched |cos| over all pairs of sets, in [0, 1].

    Raises:
        InvalidArgumentError: fewer than two sets, or sets of different code widths.
    """
    if len(sets) < 2:
        raise InvalidArgumentError(f"agreement needs the directions of at least two seeds, got {len(sets)}")
    pairs = [recovery(a.vectors, b.vectors).mean for a, b in combinations(sets, 2)]
    return sum(pairs) / len(pairs)


def agreement_of_each(directions: Directions, others: Sequence[Directions]) -> tuple[float, ...]:
    """For each of K directions its |cos| with its match in another set, mean over the `others`.

    Raises:
        InvalidArgumentError: no others, or sets of different code widths.
    """
    if not others:
        raise InvalidArgumentError("agreement needs the directions of at least one other seed")
    columns = [recovery(other.vectors, directions.vectors).cosines for other in others]
    return tuple(sum(column) / len(columns) for column in zip(*columns, strict=True))


@torch.no_grad()
def effect_sizes(
    features: Callable[[Tensor], Tensor],
    directions: Directions,
    codes: Tensor,
    *,
    amount_sigma: float = 1.0,
    batch_size: int = 64,
) -> tuple[float, ...]:
    """The mean change per standard deviation along each direction, in units of the features.

    Args:
        features: codes to images or activations (N, ...).
        directions: K directions.
        codes: (N, D) or (N, num_layers, D).
        amount_sigma: how far codes move, standard deviations, not 0.
        batch_size: codes at once.
    """
    batches = codes.split(batch_size)
    base = [features(batch).flatten(1) for batch in batches]
    sizes = []
    for index in range(directions.num_directions):
        moved = (features(directions.move(batch, index, amount_sigma)).flatten(1) for batch in batches)
        steps = [(a - b).square().mean(dim=1).sqrt() for a, b in zip(moved, base, strict=True)]
        sizes.append(float(torch.cat(steps).mean()) / abs(amount_sigma))
    return tuple(sizes)
