"""Batches of images, drawn as the data set draws them, as tensors on the training's device."""

import numpy as np
import torch
from torch import Tensor

from vae.data import DataSet

__all__ = ["Batches"]

_CHUNK = 16_384


class Batches:
    """Draws batches.

    Args:
        data: where the images come from.
        batch_size: images of a batch.
        device: where they go.
        resident: whether the whole set is put on the device first, as bytes; each step then moves indices alone.
    """

    def __init__(self, data: DataSet, batch_size: int, device: torch.device, *, resident: bool = False) -> None:
        self._data, self._batch_size, self._device = data, batch_size, device
        self._all = _everything(data, device) if resident else None

    def draw(self, rng: np.random.Generator) -> Tensor:
        """The next batch, (B, C, H, W), in [0, 1]."""
        indices = self._data.sample(self._batch_size, rng)
        if self._all is not None:
            images = self._all[torch.from_numpy(indices).to(self._device)]
        else:
            images = torch.from_numpy(self._data.images(indices)).to(self._device)
        return images.permute(0, 3, 1, 2).float() / 255


def _everything(data: DataSet, device: torch.device) -> Tensor:
    whole = torch.empty((len(data), *data.image_shape), dtype=torch.uint8, device=device)
    for start in range(0, len(data), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(data)))
        whole[start : start + len(rows)] = torch.from_numpy(data.images(rows)).to(device)
    return whole
