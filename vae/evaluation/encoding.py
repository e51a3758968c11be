"""Codes of a data set: every image encoded once, in batches, and looked up ever after.

A grid of factors is encoded whole (737,280 images of dSprites), or thinned: each factor keeps as many values, evenly
spaced, as bring the grid under a limit. What the metrics draw by the thousand then costs nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ganspace_topdis.runs.progress import Progress
from vae.data.dataset import DataSet, Integers
from vae.networks.autoencoder import AutoEncoder

__all__ = ["Encoded", "Floats", "encode", "encode_grid", "grid_sizes", "kl_of_latents", "to_tensor"]

Floats = NDArray[np.float32]
_BATCH_SIZE = 256


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """q(z | x) of some images of a data set.

    Attributes:
        means: (N, D).
        logvars: (N, D), natural logarithms of the variances.
        codes: (N, K) factor values, indices in the whole data set; (N, 0) where they are unknown.
        sizes: values of each factor, where the rows are a grid with the last factor fastest; () otherwise.
    """

    means: Floats
    logvars: Floats
    codes: Integers
    sizes: tuple[int, ...] = ()

    def take(self, rows: Integers) -> "Encoded":
        """Some rows, in any order, repeated where they are named twice."""
        return Encoded(means=self.means[rows], logvars=self.logvars[rows], codes=self.codes[rows])


def encode(
    model: AutoEncoder, data: DataSet, indices: Integers, *, progress: Progress | None = None
) -> tuple[Floats, Floats]:
    """Means and log-variances (N, D) of the images `indices` (N,) of `data`, on the model's device.

    Args:
        model: in evaluation mode.
        data: where the images are.
        indices: which.
        progress: called with images done and to do.
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
    """Every combination of factor values, or of as many values as stay within `max_images`.

    Where a combination has several images, the first stands for all.
    """
    sizes = grid_sizes(data.factor_sizes, max_images)
    values = [_spread(kept, size) for kept, size in zip(sizes, data.factor_sizes, strict=True)]
    codes = np.stack([axis.ravel() for axis in np.meshgrid(*values, indexing="ij")], axis=1)
    means, logvars = encode(model, data, data.indices(codes), progress=progress)
    return Encoded(means=means, logvars=logvars, codes=codes, sizes=sizes)


def grid_sizes(sizes: Sequence[int], max_images: int | None) -> tuple[int, ...]:
    """How many values of each factor to keep: the largest factors are thinned first, none under two values.

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
    """The mean KL divergence of each latent from its prior N(0, 1), nats, (D,)."""
    means, logvars = encoded.means.astype(np.float64), encoded.logvars.astype(np.float64)
    return np.asarray(0.5 * (means**2 + np.exp(logvars) - 1 - logvars).mean(axis=0))


def to_tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """Images (N, H, W, C) in 0..255 as (N, C, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 255


def _spread(num: int, size: int) -> Integers:
    """`num` values, evenly spaced among 0 .. size - 1; the same space between neighbours where that fits."""
    return np.asarray(np.arange(num) * size // num, dtype=np.int64)
