"""A small convolutional network that reads the factors of variation from images, and the readings it returns.

Strided 3 x 3 convolutions halve the image down to 4 x 4, one hidden layer follows, and one linear head of `size` logits
per factor. Continuous values are learned through soft labels: the two nearest values share the probability mass in
proportion to their proximity, so that the expected index is the value itself.

For the class probabilities p over the `size` values of a factor, the reading is

    linear       E_p[index] / (size - 1), in [0, 1]
    circular     arg sum_k p_k exp(2 pi i k / size), an angle in (-pi, pi] (mean resultant)
    categorical  p itself

and two readings differ by |a - b|, by the angle between them in [0, pi], or by the total variation 0.5 sum |p - q|.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.factors import Factor
from ganspace_topdis.runs.checksummed import load_checksummed, save_checksummed

__all__ = ["FactorNetwork", "Readings", "change", "factor_loss", "read_logits", "soft_labels", "unwrapped"]

FORMAT = "factor network 1"
RESOLUTIONS = (16, 32, 64, 128, 256)
MAX_WIDTH = 256
MAX_FACTORS = 64
MAX_SIZE = 4096


class FactorNetwork(nn.Module):
    """Images (N, channels, resolution, resolution) in [-1, 1] -> a tuple of (N, size) logits, one per factor.

    Args:
        factors: 1 to 64 factors of up to 4096 values each.
        resolution: side of the images: 16, 32, 64, 128 or 256 px.
        width: channels of the first convolution, 1 to 256.
        channels: of the images, 1 to 4.

    Raises:
        InvalidArgumentError: an argument is out of range.

    >>> network = FactorNetwork((Factor("scale", 8), Factor("hue", 10, "circular")), resolution=32)
    >>> [tuple(logits.shape) for logits in network(torch.zeros(2, 3, 32, 32))]
    [(2, 8), (2, 10)]
    """

    def __init__(self, factors: Sequence[Factor], resolution: int = 64, width: int = 24, channels: int = 3) -> None:
        super().__init__()
        _check_configuration(factors, resolution, width, channels)
        self.factors = tuple(factors)
        self.resolution = resolution
        self.width = width
        self.channels = channels
        num_halvings = int(math.log2(resolution)) - 2
        widths = [width * min(2**k, 3) for k in range(num_halvings)]
        layers: list[nn.Module] = []
        for before, after in zip([channels, *widths], widths, strict=False):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * widths[-1], 4 * width), nn.SiLU())
        self.heads = nn.ModuleList(nn.Linear(4 * width, factor.size) for factor in self.factors)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, size) of every factor.

        Images of twice the network's side, or another whole multiple, are reduced to it by the mean of their pixels.

        Raises:
            InvalidArgumentError: the images have another shape.
        """
        side = images.shape[-1] if images.dim() == 4 else 0
        if not side or side % self.resolution or tuple(images.shape[1:]) != (self.channels, side, side):
            raise InvalidArgumentError(
                f"images of shape {tuple(images.shape)} cannot be read; this factor network takes (N, "
                f"{self.channels}, {self.resolution}, {self.resolution}), or whole multiples: resize them first"
            )
        times = side // self.resolution
        hidden = self.body(nn.functional.avg_pool2d(images, times) if times > 1 else images)
        return tuple(head(hidden) for head in self.heads)

    @torch.no_grad()
    def read(self, images: Tensor, batch_size: int = 256) -> "Readings":
        """The readings of images (N, C, H, W), `batch_size` at a time; see the module for their definition."""
        parts = [read_logits(self.factors, self(batch)) for batch in images.split(batch_size)]
        return Readings.concatenate(parts)

    def save(self, path: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> Path:
        """Write weights, configuration and JSON-able `metadata` to a checksummed safetensors file; return its path.

        Raises:
            RunFolderError: the file cannot be written.
        """
        description = {"format": FORMAT, "metadata": metadata or {}, **self._configuration()}
        return save_checksummed(path, self.state_dict(), description)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | torch.device = "cpu") -> "FactorNetwork":
        """Read a file of `save`, in evaluation mode and without gradients. No code in the file is executed.

        Raises:
            CheckpointError: the file is missing, damaged, or not a factor network.
        """
        tensors, description = _load(path)
        try:
            factors = [Factor(**each) for each in description["factors"]]
            network = cls(factors, description["resolution"], description["width"], description["channels"])
            network.load_state_dict(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path} is no valid factor network ({error}); train it again") from error
        return network.to(device).eval().requires_grad_(False)

    @staticmethod
    def metadata_of(path: str | os.PathLike[str]) -> dict[str, Any]:
        """The metadata in a file of `save` (accuracy, data, settings).

        Raises:
            CheckpointError: the file is missing, damaged, or not a factor network.
        """
        return _load(path)[1]["metadata"]

    def _configuration(self) -> dict[str, Any]:
        factors = [{"name": each.name, "size": each.size, "kind": each.kind} for each in self.factors]
        shape = {"resolution": self.resolution, "width": self.width, "channels": self.channels}
        return {"factors": factors, **shape}


def soft_labels(factor: Factor, values: Tensor) -> Tensor:
    """Target probabilities (N, size) for values (N,) in index units, integer or fractional.

    The two nearest values share the mass. Circular factors wrap around, linear ones are clamped, and categorical ones
    are rounded to the nearest value.

    >>> soft_labels(Factor("hue", 4, "circular"), torch.tensor([3.25]))
    tensor([[0.2500, 0.0000, 0.0000, 0.7500]])
    """
    if factor.kind == "categorical":
        nearest = values.round().long().clamp(0, factor.size - 1)
        return nn.functional.one_hot(nearest, factor.size).to(torch.get_default_dtype())
    position = values.remainder(factor.size) if factor.kind == "circular" else values.clamp(0, factor.size - 1)
    lower = position.floor()
    share = (position - lower).to(torch.get_default_dtype())
    labels = torch.zeros(len(values), factor.size, device=values.device)
    rows = torch.arange(len(values), device=values.device)
    labels.index_put_((rows, lower.long() % factor.size), 1 - share, accumulate=True)
    labels.index_put_((rows, (lower.long() + 1) % factor.size), share, accumulate=True)
    return labels


def factor_loss(factors: Sequence[Factor], logits: Sequence[Tensor], values: Tensor) -> Tensor:
    """Cross-entropy with soft labels, summed over the factors, mean over the batch.

    Args:
        factors: the K factors.
        logits: (N, size) per factor, the outputs of the network.
        values: (N, K) true values in index units, integer or fractional.
    """
    pairs = zip(factors, logits, values.unbind(dim=1), strict=True)
    losses = [nn.functional.cross_entropy(x, soft_labels(factor, v)) for factor, x, v in pairs]
    return torch.stack(losses).sum()


@dataclass(frozen=True)
class Readings:
    """The factors read from N images.

    Attributes:
        factors: the K factors, in order.
        values: per factor a tensor: (N,) in [0, 1] for a linear one, (N,) radians for a circular one,
            (N, size) probabilities for a categorical one.
    """

    factors: tuple[Factor, ...]
    values: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.values[0])

    def select(self, rows: slice | Tensor) -> "Readings":
        """The readings of some of the images."""
        return Readings(self.factors, tuple(value[rows] for value in self.values))

    @staticmethod
    def concatenate(parts: Sequence["Readings"]) -> "Readings":
        """The readings of several batches, concatenated."""
        values = tuple(torch.cat(column) for column in zip(*(part.values for part in parts), strict=True))
        return Readings(parts[0].factors, values)


def read_logits(factors: Sequence[Factor], logits: Sequence[Tensor]) -> Readings:
    """Readings from one (N, size) tensor of logits per factor."""
    probabilities = [each.softmax(dim=1) for each in logits]
    values = tuple(_value(factor, p) for factor, p in zip(factors, probabilities, strict=True))
    return Readings(tuple(factors), values)


def change(a: Readings, b: Readings) -> Tensor:
    """The distances (N, K), at least 0, between the readings of N images and those of N other images.

    Linear factors give a distance in [0, 1], circular ones an angle in [0, pi], categorical ones the total
    variation in [0, 1]. The units differ between factors; divide by a mean change to compare factors.

    Raises:
        InvalidArgumentError: the readings are of different factors.
    """
    if a.factors != b.factors:
        raise InvalidArgumentError("readings to compare are of different factors; read both with the same network")
    return torch.stack([_distance(*each) for each in zip(a.factors, a.values, b.values, strict=True)], dim=1)


def unwrapped(angles: Tensor) -> Tensor:
    """Angles (N, P) along paths of P steps, in radians, without jumps of a full turn."""
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


def _check_configuration(factors: Sequence[Factor], resolution: int, width: int, channels: int) -> None:
    if not 1 <= len(factors) <= MAX_FACTORS or any(factor.size > MAX_SIZE for factor in factors):
        raise InvalidArgumentError(
            f"a factor network takes 1 to {MAX_FACTORS} factors of up to {MAX_SIZE} values, not {len(factors)}"
        )
    if resolution not in RESOLUTIONS:
        raise InvalidArgumentError(f"resolution {resolution!r} is not allowed; use one of {RESOLUTIONS}")
    if not 1 <= width <= MAX_WIDTH or not 1 <= channels <= 4:
        raise InvalidArgumentError(
            f"width {width!r} must be 1 to {MAX_WIDTH} and channels {channels!r} 1 to 4 in a factor network"
        )


def _load(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, description = load_checksummed(path)
    if description.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no factor network; its format is {description.get('format')!r}")
    return tensors, description
