"""The random draws of a training: on the host (images, choices) and on the device (noise), from one seed."""

import warnings
from typing import Any

import numpy as np
import torch

__all__ = ["Random"]


class Random:
    """Two generators that are seeded, saved and restored together.

    Args:
        seed: the training's.
        stream: draws of different streams are independent of each other.
        device: where `device` draws.

    Attributes:
        host: numpy's, on the host.
        device: torch's, on the device.
    """

    def __init__(self, seed: int, stream: int, device: torch.device) -> None:
        self._seeds = np.random.SeedSequence([seed, stream])
        self.host = np.random.default_rng(self._seeds)
        self.device = torch.Generator(device).manual_seed(self._device_seed(0))

    def state(self) -> dict[str, Any]:
        """What `load_state` takes."""
        return {
            "host": self.host.bit_generator.state,
            "device": self.device.get_state(),
            "kind": self.device.device.type,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave. On another kind of device other noise is drawn, with a warning."""
        self.host.bit_generator.state = state["host"]
        if state["kind"] == self.device.device.type:
            self.device.set_state(state["device"])
            return
        here = self.device.device.type
        warnings.warn(f"the run was on {state['kind']}: on {here} other noise is drawn", stacklevel=2)
        self.device.manual_seed(self._device_seed(int(self.host.bit_generator.state["state"]["state"] % 2**32)))

    def _device_seed(self, offset: int) -> int:
        return int(self._seeds.generate_state(1)[0]) + offset
