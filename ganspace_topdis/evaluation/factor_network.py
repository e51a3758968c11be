"""A small convolutional network that reads the factors of variation from an image.

Strided 3 x 3 convolutions halve the image down to 4 x 4, one hidden layer follows, and one linear head of
`size` logits per factor. Continuous values are learnt through soft labels: the two nearest values share the
probability mass in proportion to their nearness, so that the expected index is the value itself.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.evaluation.factors import Factor
from ganspace_topdis.evaluation.readings import Readings, change, read_logits
from ganspace_topdis.runs.checksummed import load_checksummed, save_checksummed

__all__ = ["FactorNetwork", "change", "factor_loss", "soft_labels"]

FORMAT = "factor network 1"
RESOLUTIONS = (16, 32, 64, 128, 256)
MAX_WIDTH = 256
MAX_FACTORS = 64
MAX_SIZE = 4096


class FactorNetwork(nn.Module):
    """Images (N, channels, resolution, resolution) in [-1, 1] -> a tuple of (N, size) logits, one per factor.

    Raises:
        InvalidArgumentError: no factors, a resolution that is not 16, 32, 64, 128 or 256, or a width, a
            number of factors or a factor's size beyond reason.

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
        """Logits of every factor."""
        expected = (self.channels, self.resolution, self.resolution)
        if images.dim() != 4 or tuple(images.shape[1:]) != expected:
            raise InvalidArgumentError(
                f"images of shape {tuple(images.shape)} cannot be read; this factor network takes (N, "
                f"{self.channels}, {self.resolution}, {self.resolution}): resize them first"
            )
        hidden = self.body(images)
        return tuple(head(hidden) for head in self.heads)

    @torch.no_grad()
    def read(self, images: Tensor, batch_size: int = 256) -> Readings:
        """Read the factors of images (N, C, H, W), in batches; see `readings` for what a reading is."""
        parts = [read_logits(self.factors, self(batch)) for batch in images.split(batch_size)]
        return Readings.concatenate(parts)

    def save(self, path: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> Path:
        """Write weights, configuration and JSON-able `metadata` as one sealed safetensors file.

        Raises:
            RunFolderError: the file cannot be written.
        """
        description = {"format": FORMAT, "metadata": metadata or {}, **self._configuration()}
        return save_checksummed(path, self.state_dict(), description)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | torch.device = "cpu") -> "FactorNetwork":
        """Read a file that `save` wrote: in evaluation mode, without gradients. Nothing in it is executed.

        Raises:
            CheckpointError: the file is missing, damaged, or not a factor network.
        """
        tensors, description = _load(path)
        try:
            factors = [Factor(**each) for each in description["factors"]]
            network = cls(factors, description["resolution"], description["width"], description["channels"])
            network.load_state_dict(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path} describes no factor network ({error}); train it again") from error
        return network.to(device).eval().requires_grad_(False)

    @staticmethod
    def metadata_of(path: str | os.PathLike[str]) -> dict[str, Any]:
        """The metadata that `save` was given (accuracy, data, settings).

        Raises:
            CheckpointError: the file is missing, damaged, or not a factor network.
        """
        return _load(path)[1]["metadata"]

    def _configuration(self) -> dict[str, Any]:
        factors = [{"name": each.name, "size": each.size, "kind": each.kind} for each in self.factors]
        shape = {"resolution": self.resolution, "width": self.width, "channels": self.channels}
        return {"factors": factors, **shape}


def soft_labels(factor: Factor, values: Tensor) -> Tensor:
    """Target probabilities (N, size) for values (N,) in index units, whole or in between.

    The two nearest values share the mass; a circular factor wraps around; a linear one is clamped to its
    ends; a categorical one takes the nearest value.

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
        logits: what the network returned.
        values: (N, K) true values in index units, whole or in between.
    """
    pairs = zip(factors, logits, values.unbind(dim=1), strict=True)
    losses = [nn.functional.cross_entropy(x, soft_labels(factor, v)) for factor, x, v in pairs]
    return torch.stack(losses).sum()


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
        raise CheckpointError(f"{path} holds {description.get('format')!r} and no factor network; give another")
    return tensors, description
