import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.vae.evaluation.readers import SIDE_PX, Dots, reader
from vae.evaluation.encoding import (
    Encoded,
    encode,
    encode_grid,
    grid_sizes,
    kl_of_latents,
    reconstruction_errors,
    to_tensor,
)
from vae.networks.autoencoder import AutoEncoder


def test_the_grid_has_one_row_a_combination_with_the_last_factor_fastest() -> None:
    grid = encode_grid(reader(), Dots())
    assert grid.sizes == (2, 6, 6)
    assert grid.codes[:7, 2].tolist() == [0, 1, 2, 3, 4, 5, 0]
    assert np.array_equal(grid.means, encode(reader(), Dots(), np.arange(72))[0])


def test_a_thinned_grid_is_a_grid_of_the_same_images() -> None:
    whole, thin = encode_grid(reader(), Dots()), encode_grid(reader(), Dots(), max_images=20)
    assert thin.sizes == (2, 3, 3)
    assert thin.codes[:, 1].max() == 4
    rows = Dots().indices(thin.codes)
    assert np.allclose(thin.means, whole.means[rows])


def test_thinning_stops_at_two_values_a_factor() -> None:
    assert grid_sizes((3, 9), 1) == (2, 2)


def test_codes_do_not_depend_on_the_batch_they_are_encoded_in() -> None:
    indices = np.arange(600) % 72
    means, _ = encode(reader(), Dots(), indices)
    assert np.array_equal(means[:72], means[72:144])
    assert np.array_equal(means[-1:], encode(reader(), Dots(), indices[-1:])[0])


def test_progress_ends_at_the_number_of_images() -> None:
    seen: list[tuple[int, int]] = []
    encode(reader(), Dots(), np.arange(300) % 72, progress=lambda step, num, **_: seen.append((step, num)))
    assert seen == [(256, 300), (300, 300)]


def test_the_divergence_of_the_prior_from_itself_is_zero_and_of_a_shift_half_its_square() -> None:
    means = np.tile(np.array([[0.0, 2.0, 0.0]], np.float32), (5, 1))
    logvars = np.tile(np.array([[0.0, 0.0, 2.0]], np.float32), (5, 1))
    encoded = Encoded(means=means, logvars=logvars, codes=np.zeros((5, 0), np.int64))
    gaussian = torch.distributions.kl_divergence(
        torch.distributions.Normal(0.0, float(np.e)), torch.distributions.Normal(0.0, 1.0)
    )
    assert np.allclose(kl_of_latents(encoded), [0, 2, gaussian.item()])


def test_bytes_become_the_unit_interval_with_channels_first() -> None:
    images = np.array([[[[0, 51, 255]]]], np.uint8)
    assert torch.equal(to_tensor(images), torch.tensor([0.0, 0.2, 1.0]).reshape(1, 3, 1, 1))


class Constant(nn.Module):
    """Draws the same gray everywhere."""

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
    white, gray, dark = (0.25, (128 / 255 - 0.5) ** 2, 0.25)
    lit = 16 / SIDE_PX**2
    assert errors["squared_error"] == pytest.approx(lit * (white + gray) / 2 + (1 - lit) * dark, rel=1e-4)
