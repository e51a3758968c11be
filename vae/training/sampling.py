"""The random draws of a training: batches of images, and the generators behind batches, choices and noise."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae.data import DataSet

__all__ = ["Batches", "RandomStreams"]

_BLOCK = 16_384


class Batches:
    """Draws batches from a data set.

    Args:
        data: the data set.
        batch_size: images per batch.
        device: where the batches are moved.
        resident: whether the whole data set is copied to the device first, as bytes; each step then moves indices only.
    """

    def __init__(self, data: DataSet, batch_size: int, device: torch.device, *, resident: bool = False) -> None:
        self._data, self._batch_size, self._device = data, batch_size, device
        self._resident = _copy_to_device(data, device) if resident else None

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Return the next batch, (B, C, H, W), in [0, 1]."""
        indices = self._data.sample(self._batch_size, rng)
        if self._resident is not None:
            images = self._resident[torch.from_numpy(indices).to(self._device)]
        else:
            images = torch.from_numpy(self._data.images(indices)).to(self._device)
        return images.permute(0, 3, 1, 2) / 255


class RandomStreams:
    """Two generators that are seeded, saved and restored together.

    Args:
        seed: the training's seed.
        stream: draws of different streams are independent of each other.
        device: device of the noise.

    Attributes:
        host: numpy's generator, for images and choices.
        device: torch's generator, for noise on the device.
    """

    def __init__(self, seed: int, stream: int, device: torch.device) -> None:
        self._seeds = np.random.SeedSequence([seed, stream])
        self.host = np.random.default_rng(self._seeds)
        self.device = torch.Generator(device).manual_seed(self._device_seed(0))

    def state(self) -> dict[str, Any]:
        """Return what `load_state` takes."""
        return {
            "host": self.host.bit_generator.state,
            "device": self.device.get_state(),
            "kind": self.device.device.type,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned. On another type of device the noise differs, with a warning."""
        self.host.bit_generator.state = state["host"]
        if state["kind"] == self.device.device.type:
            self.device.set_state(state["device"])
            return
        here = self.device.device.type
        warnings.warn(f"the run was on {state['kind']}; on {here} its noise differs", stacklevel=2)
        self.device.manual_seed(self._device_seed(int(self.host.bit_generator.state["state"]["state"] % 2**32)))

    def _device_seed(self, offset: int) -> int:
        return int(self._seeds.generate_state(1)[0]) + offset


def _copy_to_device(data: DataSet, device: torch.device) -> Tensor:
    whole = torch.empty((len(data), *data.image_shape), dtype=torch.uint8, device=device)
    for start in range(0, len(data), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(data)))
        whole[start : start + len(rows)] = torch.from_numpy(data.images(rows)).to(device)
    return whole
