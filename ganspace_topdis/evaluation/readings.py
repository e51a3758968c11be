"""What a factor network reads from a batch of images, and how far two such readings lie apart.

For class probabilities p over the `size` values of a factor, the reading is

    linear       E_p[index] / (size - 1), in [0, 1]
    circular     arg sum_k p_k exp(2 pi i k / size), an angle in (-pi, pi] (mean resultant)
    categorical  p itself

and two readings differ by |a - b|, by the angle between them in [0, pi], or by the total variation
0.5 sum |p - q|.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.factors import Factor

__all__ = ["Readings", "change", "read_logits", "unwrapped"]


@dataclass(frozen=True)
class Readings:
    """The factors read from N images.

    Attributes:
        factors: the K factors, in order.
        values: per factor a tensor: (N,) in [0, 1] for a linear one, (N,) radians for a circular one,
            (N, size) probabilities for a categorical one.
        confidence: (N, K), the largest probability of each factor.
    """

    factors: tuple[Factor, ...]
    values: tuple[Tensor, ...]
    confidence: Tensor

    def __len__(self) -> int:
        return len(self.confidence)

    def select(self, rows: slice | Tensor) -> "Readings":
        """The readings of some of the images."""
        return Readings(self.factors, tuple(value[rows] for value in self.values), self.confidence[rows])

    @staticmethod
    def concatenate(parts: Sequence["Readings"]) -> "Readings":
        """The readings of several batches, one after the other."""
        values = tuple(torch.cat(column) for column in zip(*(part.values for part in parts), strict=True))
        return Readings(parts[0].factors, values, torch.cat([part.confidence for part in parts]))


def read_logits(factors: Sequence[Factor], logits: Sequence[Tensor]) -> Readings:
    """Readings from one (N, size) tensor of logits per factor."""
    probabilities = [each.softmax(dim=1) for each in logits]
    values = tuple(_value(factor, p) for factor, p in zip(factors, probabilities, strict=True))
    return Readings(tuple(factors), values, torch.stack([p.amax(dim=1) for p in probabilities], dim=1))


def change(a: Readings, b: Readings) -> Tensor:
    """How far the readings of N images lie from those of N others: (N, K), never negative.

    Linear factors give a distance in [0, 1], circular ones an angle in [0, pi], categorical ones the total
    variation in [0, 1]. The units differ between factors; divide by a mean change to compare them.

    Raises:
        InvalidArgumentError: the two are of different factors.
    """
    if a.factors != b.factors:
        raise InvalidArgumentError("readings to compare are of different factors; read both with the same network")
    return torch.stack([_distance(*each) for each in zip(a.factors, a.values, b.values, strict=True)], dim=1)


def unwrapped(angles: Tensor) -> Tensor:
    """Angles (N, P) along paths of P steps, with jumps of a full turn removed."""
    steps = torch.diff(angles, dim=1)
    steps = torch.remainder(steps + math.pi, 2 * math.pi) - math.pi
    return torch.cat([angles[:, :1], angles[:, :1] + steps.cumsum(dim=1)], dim=1)


def _value(factor: Factor, probabilities: Tensor) -> Tensor:
    if factor.kind == "categorical":
        return probabilities
    index = torch.arange(factor.size, dtype=probabilities.dtype, device=probabilities.device)
    if factor.kind == "linear":
        return probabilities @ index / max(factor.size - 1, 1)
    angle = index * (2 * math.pi / factor.size)
    return torch.atan2(probabilities @ angle.sin(), probabilities @ angle.cos())


def _distance(factor: Factor, a: Tensor, b: Tensor) -> Tensor:
    if factor.kind == "categorical":
        return 0.5 * (a - b).abs().sum(dim=1)
    if factor.kind == "linear":
        return (a - b).abs()
    turn = torch.remainder(a - b, 2 * math.pi)
    return torch.minimum(turn, 2 * math.pi - turn)
