"""Codes of a data set, encoded once in batches and looked up afterwards, and the reconstruction error.

A factor grid is encoded completely (737,280 images of dSprites) or thinned: each factor keeps as many evenly spaced
values as bring the grid below a limit. The thousands of draws of the metrics are then lookups.

Reconstructions are decoded from the mean codes, so two calls agree:

    reconstruction    sum over pixels of the Bernoulli cross-entropy, mean over images, nats (as in training)
    squared_error     mean over pixels of the squared difference, images in [0, 1]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

from ganspace_topdis.runs.progress import Progress
from vae.data.dataset import DataSet, Integers
from vae.networks.autoencoder import AutoEncoder

__all__ = [
    "Encoded",
    "Floats",
    "encode",
    "encode_grid",
    "grid_sizes",
    "kl_of_latents",
    "reconstruction_errors",
    "to_tensor",
    "uniform_indices",
]

Floats = NDArray[np.float32]
_BATCH_SIZE = 256


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """q(z | x) of images of a data set.

    Attributes:
        means: (N, D).
        logvars: (N, D), natural logarithms of the variances.
        codes: (N, K) factor values as indices in the whole data set; (N, 0) if unknown.
        sizes: number of values of each factor if the rows are a grid with the last factor fastest; () otherwise.
    """

    means: Floats
    logvars: Floats
    codes: Integers
    sizes: tuple[int, ...] = ()

    def take(self, rows: Integers) -> "Encoded":
        """Return the given rows, in any order and with repetition."""
        return Encoded(means=self.means[rows], logvars=self.logvars[rows], codes=self.codes[rows])


def uniform_indices(data: DataSet, num: int, rng: np.random.Generator) -> Integers:
    """Indices (num,) of images whose factors are drawn independently and uniformly; of any images without factors."""
    if not data.factors:
        return data.sample(num, rng)
    return data.indices(rng.integers(data.factor_sizes, size=(num, len(data.factors))), rng)


def encode(
    model: AutoEncoder, data: DataSet, indices: Integers, *, progress: Progress | None = None
) -> tuple[Floats, Floats]:
    """Encode the images `indices` (N,) of `data` on the model's device: means and log-variances (N, D).

    Args:
        model: in evaluation mode.
        data: the data set.
        indices: the images.
        progress: called with the number of images done and in total.
    """
    device = next(model.parameters()).device
    means = np.empty((len(indices), model.num_latents), np.float32)
    logvars = np.empty_like(means)
    for start in range(0, len(indices), _BATCH_SIZE):
        part = slice(start, start + _BATCH_SIZE)
        with torch.inference_mode():
            mean, logvar = model.encode(to_tensor(data.images(indices[part])).to(device))
        means[part], logvars[part] = mean.float().cpu().numpy(), logvar.float().cpu().numpy()
        if progress is not None:
            progress(min(start + _BATCH_SIZE, len(indices)), len(indices))
    return means, logvars


def encode_grid(
    model: AutoEncoder, data: DataSet, *, max_images: int | None = None, progress: Progress | None = None
) -> Encoded:
    """Encode every combination of factor values, or of as many values as stay within `max_images`.

    If a combination has several images, the first represents it.
    """
    sizes = grid_sizes(data.factor_sizes, max_images)
    values = [_spread(kept, size) for kept, size in zip(sizes, data.factor_sizes, strict=True)]
    codes = np.stack([axis.ravel() for axis in np.meshgrid(*values, indexing="ij")], axis=1)
    means, logvars = encode(model, data, data.indices(codes), progress=progress)
    return Encoded(means=means, logvars=logvars, codes=codes, sizes=sizes)


def grid_sizes(sizes: Sequence[int], max_images: int | None) -> tuple[int, ...]:
    """Return how many values of each factor to keep: the largest factors are thinned first, none below two values.

    >>> grid_sizes((3, 6, 40, 32, 32), None)
    (3, 6, 40, 32, 32)
    >>> grid_sizes((3, 6, 40, 32, 32), 20_000)
    (3, 6, 10, 10, 11)
    """
    kept = list(sizes)
    while max_images is not None and math.prod(kept) > max_images:
        largest = max(range(len(kept)), key=kept.__getitem__)
        if kept[largest] <= 2:
            break
        kept[largest] -= 1
    return tuple(kept)


def kl_of_latents(encoded: Encoded) -> NDArray[np.float64]:
    """Return the mean KL divergence of each latent from its prior N(0, 1), nats, (D,)."""
    means, logvars = encoded.means.astype(np.float64), encoded.logvars.astype(np.float64)
    return np.asarray(0.5 * (means**2 + np.exp(logvars) - 1 - logvars).mean(axis=0))


def to_tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """Convert images (N, H, W, C), 0 to 255, to (N, C, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255


def _spread(num: int, size: int) -> Integers:
    """Return `num` evenly spaced values of 0 .. size - 1; with equal spacing if `num` divides `size`."""
    return np.asarray(np.arange(num) * size // num, dtype=np.int64)


def reconstruction_errors(model: AutoEncoder, data: DataSet, indices: Integers) -> dict[str, float]:
    """Return both reconstruction errors over the images `indices` (N,) of `data`."""
    device = next(model.parameters()).device
    entropy = squared = 0.0
    for start in range(0, len(indices), _BATCH_SIZE):
        images = to_tensor(data.images(indices[start : start + _BATCH_SIZE])).to(device)
        with torch.inference_mode():
            logits = model.decode(model.encode(images)[0]).float()
            entropy += binary_cross_entropy_with_logits(logits, images, reduction="sum").item()
            squared += (logits.sigmoid() - images).square().mean(dim=(1, 2, 3)).sum().item()
    return {"reconstruction": entropy / len(indices), "squared_error": squared / len(indices)}
