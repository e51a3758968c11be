"""Networks whose codes are known: they read positions off the picture instead of having learnt to."""

import numpy as np
import torch
from torch import Tensor, nn

from ganspace_topdis.factors import Factor
from vae.data.dataset import DataSet, Images, Integers
from vae.networks.autoencoder import AutoEncoder

SIDE_PX = 16
FACTORS = (Factor("brightness", 2), Factor("posX", 6), Factor("posY", 6))


class Dots(DataSet):
    """A dot of 4 x 4 px that is gray or white, on a grid of places."""

    def __init__(self, *, known: bool = True) -> None:
        super().__init__(
            name="dots",
            factors=FACTORS if known else (),
            image_shape=(SIDE_PX, SIDE_PX, 1),
            num_images=72,
            fingerprint="dots",
        )

    def _read(self, indices: Integers) -> Images:
        codes = np.stack(np.unravel_index(indices, (2, 6, 6)), axis=1)
        images = np.zeros((len(indices), *self.image_shape), np.uint8)
        for image, (brightness, x, y) in zip(images, codes, strict=True):
            image[2 * y : 2 * y + 4, 2 * x : 2 * x + 4] = 128 + 127 * brightness
        return images


class _Reader(nn.Module):
    """Latent 0 reads posX, latent 1 posY, latent 2 the brightness, latent 3 nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        images = images.double()  # in float32, the same position may get two codes, in two bins
        places = torch.arange(SIDE_PX, dtype=torch.float64) / SIDE_PX - 0.5
        mass = images.sum(dim=(1, 2, 3))
        x = (images.sum(dim=(1, 2)) @ places) / mass
        y = (images.sum(dim=(1, 3)) @ places) / mass
        means = torch.stack([4 * x, 4 * y, mass / 16, torch.zeros_like(x)], dim=1).float() * self.scale
        return torch.cat([means, torch.full_like(means, -4.0) * torch.tensor([1.0, 1, 1, 0])], dim=1)


class _Gray(nn.Module):
    """Draws the same gray picture for every code, a little brighter for a larger latent 0."""

    def forward(self, codes: Tensor) -> Tensor:
        return codes[:, :1, None, None].expand(-1, 1, SIDE_PX, SIDE_PX)


def reader() -> AutoEncoder:
    """An autoencoder with four latents, of which three say all about `Dots`."""
    return AutoEncoder(_Reader(), _Gray(), num_latents=4, image_shape=(SIDE_PX, SIDE_PX, 1)).eval()
