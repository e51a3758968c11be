"""The fully connected autoencoder of Higgins et al. 2017 for dSprites; also that of Chen et al. 2018 (beta-TCVAE).

Encoder: two layers of 1200 with ReLU. Decoder: three layers of 1200 with tanh. Images of any shape.
"""

import math

from torch import nn

from vae.networks.autoencoder import AutoEncoder

__all__ = ["fully_connected"]


def fully_connected(image_shape: tuple[int, int, int], num_latents: int, width: float = 1.0) -> AutoEncoder:
    """See the module. `width` multiplies the hidden sizes."""
    height, side, num_channels = image_shape
    num_pixels, hidden = math.prod(image_shape), max(round(1200 * width), 1)
    encoder = nn.Sequential(
        nn.Flatten(),
        nn.Linear(num_pixels, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, 2 * num_latents),
    )
    decoder = nn.Sequential(
        nn.Linear(num_latents, hidden),
        nn.Tanh(),
        nn.Linear(hidden, hidden),
        nn.Tanh(),
        nn.Linear(hidden, hidden),
        nn.Tanh(),
        nn.Linear(hidden, num_pixels),
        nn.Unflatten(1, (num_channels, height, side)),
    )
    return AutoEncoder(encoder, decoder, num_latents=num_latents, image_shape=image_shape)
