"""Directions at equal effect: how far each has to move the codes, and what its shifts change.

With f the features of a code c and v_i a direction of one standard deviation, the change is

    d_i(c) = f(c + a_i v_i) - f(c),        effect  e_i = mean |d_i(c)| / mean |f(c) - f(c')|

over codes c and pairs of random codes c, c'. The amount a_i is chosen so that e_i = 0.2, whatever the length of v_i, so
no direction is judged on smaller changes than another. Measured are, per cloud of codes,

    RTD                      of f(c) and f(c + a_i v_i), symmetric, min variant (Trofimov et al. 2023)
    mixed second difference  |f(c + a_i v_i + a_j v_j) - f(c) - d_i - d_j| / sqrt(|d_i| |d_j|), mean over codes
    overlap                  cos of the absolute changes |d_i| and |d_j|, element by element, mean over codes

The last two are of pairs; in every cloud each direction has one partner j ahead of it, and is one's partner. Vectors
need be neither orthogonal nor of one length.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.topology.rtd import rtd

__all__ = [
    "EQUAL_EFFECT",
    "LARGEST_AMOUNT",
    "SMALLEST_AMOUNT",
    "ShiftedBatch",
    "equal_effect_amounts",
    "mean_distance",
    "mixed_difference",
    "mixed_differences",
    "overlap",
    "pairs_of",
    "profile",
]

EQUAL_EFFECT = 0.2
"""The effect at which directions are judged."""

SMALLEST_AMOUNT, LARGEST_AMOUNT = 1 / 16, 8.0
"""Bounds of an amount, in standard deviations; beyond the last, codes are far from all that the generator knows."""

_LEAST_EXPONENT, _LARGEST_EXPONENT = 0.3, 1.5


def mean_distance(features: Tensor) -> Tensor:
    """The mean distance between the features (N, F) of two random codes, a positive scalar."""
    return (features - features.roll(1, 0)).norm(dim=1).mean().clamp(min=torch.finfo(features.dtype).tiny)


def mixed_differences(both: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The mixed second differences (N,) of changes (N, F): by the sum of two shifts, and by each of them."""
    scale = (first.norm(dim=1) * second.norm(dim=1)).sqrt()
    return (both - first - second).norm(dim=1) / scale.clamp(min=torch.finfo(scale.dtype).tiny)


def mixed_difference(both: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The mean over codes of `mixed_differences`, a scalar.

    >>> first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> float(mixed_difference(first + second, first, second))
    0.0
    """
    return mixed_differences(both, first, second).mean()


def profile(change: Tensor) -> Tensor:
    """The absolute changes (..., N, F) of shifts, of unit norm for each code: where they change the features."""
    return F.normalize(change.abs(), dim=-1)


def overlap(first: Tensor, second: Tensor) -> float:
    """The overlap of two profiles (N, F), in [0, 1]: 0 where the shifts change different features.

    >>> overlap(profile(torch.tensor([[1.0, 0.0]])), profile(torch.tensor([[0.0, -2.0]])))
    0.0
    """
    return float(torch.linalg.vecdot(first, second).mean())


def pairs_of(batch: int, num_directions: int) -> Iterator[tuple[int, int]]:
    """Yields each direction once, with its partner in a batch; a partner comes next where it was not yet.

    Over the batches, partners are as different as possible. A single direction is its own partner.

    >>> list(pairs_of(1, 4))
    [(0, 2), (2, 0), (1, 3), (3, 1)]
    """
    stride = 1 + batch % max(num_directions // 2, 1)
    for row in range(math.gcd(stride, num_directions)):
        for _ in range(num_directions // math.gcd(stride, num_directions)):
            partner = (row + stride) % num_directions
            yield row, partner
            row = partner


class ShiftedBatch:
    """A batch of codes and what shifts change in its features.

    Args:
        features: codes (N, D) -> (N, F).
        codes: (N, D).

    Attributes:
        before: (N, F), the features of the codes.
        distance: mean distance of two codes' features.
    """

    def __init__(self, features: Callable[[Tensor], Tensor], codes: Tensor) -> None:
        self._features, self._codes = features, codes
        self.before = features(codes)
        self.distance = mean_distance(self.before)

    def change(self, shifts: Sequence[tuple[Directions, int, float | Tensor]]) -> Tensor:
        """The change (N, F) by one or several shifts: directions, index, amount in standard deviations."""
        moved = self._codes
        for directions, index, amount in shifts:
            moved = directions.move(moved, index, amount)
        return self._features(moved) - self.before

    def effect(self, change: Tensor) -> float:
        """The size of a change (N, F), relative to the distance of two codes' features."""
        return float(change.norm(dim=1).mean() / self.distance)

    def rtd(self, change: Tensor) -> float:
        """RTD between the features before and after a change (N, F)."""
        return float(rtd(self.before, self.before + change))


def equal_effect_amounts(batch: ShiftedBatch, directions: Directions, target: float = EQUAL_EFFECT) -> list[float]:
    """The amounts, in standard deviations, at which each direction has the effect `target`, within the bounds.

    The effect is measured at one standard deviation and at the amount that a proportional effect would need; a power
    law through both gives the result. Half the codes move ahead, half back.
    """
    signs = torch.ones(len(batch.before), dtype=batch.before.dtype, device=batch.before.device)
    signs[1::2] = -1
    amounts = []
    for index in range(directions.num_directions):
        first = batch.effect(batch.change([(directions, index, signs)]))
        guess = _bounded(target / max(first, 1e-12))
        second = batch.effect(batch.change([(directions, index, guess * signs)]))
        amounts.append(_bounded(guess * (target / max(second, 1e-12)) ** (1 / _exponent(first, second, guess))))
    return amounts


def _exponent(first: float, second: float, amount: float) -> float:
    """The exponent of the power law through the effects at 1 and at `amount`; 1 where the two are one point."""
    if abs(math.log(amount)) < 0.05 or min(first, second) <= 0:
        return 1.0
    return min(max(math.log(second / first) / math.log(amount), _LEAST_EXPONENT), _LARGEST_EXPONENT)


def _bounded(amount: float) -> float:
    return min(max(amount, SMALLEST_AMOUNT), LARGEST_AMOUNT)
