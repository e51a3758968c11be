import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.vae.evaluation.readers import SIDE_PX, Dots
from vae.evaluation.reconstruction import reconstruction_errors
from vae.networks.autoencoder import AutoEncoder


class Constant(nn.Module):
    """Draws the same grey everywhere."""

    def __init__(self, shape: tuple[int, ...], value: float) -> None:
        super().__init__()
        self.shape, self.value = shape, nn.Parameter(torch.tensor(value))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.value.expand(len(inputs), *self.shape)


def test_an_even_grey_costs_log_two_nats_a_pixel() -> None:
    model = AutoEncoder(
        Constant((4,), 0.0), Constant((1, SIDE_PX, SIDE_PX), 0.0), num_latents=2, image_shape=(SIDE_PX, SIDE_PX, 1)
    )
    errors = reconstruction_errors(model, Dots(), np.arange(72))
    assert errors["reconstruction"] == pytest.approx(SIDE_PX**2 * math.log(2), rel=1e-5)
    white, grey, dark = (0.25, (128 / 255 - 0.5) ** 2, 0.25)
    lit = 16 / SIDE_PX**2
    assert errors["squared_error"] == pytest.approx(lit * (white + grey) / 2 + (1 - lit) * dark, rel=1e-4)
