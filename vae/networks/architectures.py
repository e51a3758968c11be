"""Autoencoders of the literature by name: `build_networks("narrow", image_shape=(64, 64, 1), num_latents=10)`.

The convolutional ones take square images whose side is a power of two and halve the side down to 4 pixels. At 64
pixels, with z latents and k, s, p for kernel, stride and padding:

    narrow     32, 32, 64, 64 (k4 s2 p1) - 128, or 256 for color (k4) - 2z (k1); mirrored
               (the convolutional network of Higgins et al. 2017 as in 1Konny's Beta-VAE and FactorVAE; TopDis on
               color data sets)
    narrow-256 the same with 256 for gray images too (ControlVAE's model H; TopDis on 3D Faces)
    wide       32, 64, 128, 256 (k4 s2 p1) - 512 (k4) - 2z (k1); mirrored (TopDis on dSprites, except FactorVAE's)
    burgess    4 x 32 (k4 s2 p1) - 256 - 256 - 2z; mirrored (Burgess et al. 2018; YannDubs, ControlVAE)
    locatello  32, 32 (k4 s2 p1), 64, 64 (k2 s2) - 256 - 2z; decoder 256 - 1024 - 64, 32, 32, image (k4 s2 p1)
               (disentanglement_lib)
    locatello-k4
               the same with k4 s2 p1 in every stage of the encoder (DAVA)

Their activations are ReLU. Smaller images skip the first stages, larger ones repeat the first.

    fc         encoder 1200 - 1200 - 2z with ReLU, decoder 1200 - 1200 - 1200 with tanh; images of any shape
               (dSprites in Higgins et al. 2017 and in Chen et al. 2018)

`width` multiplies the sizes of all hidden layers. To add a network, write its function here, list it in `NETWORKS`
and add its name to `vae.settings.Network`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from ganspace_topdis.errors import InvalidArgumentError
from vae.networks.autoencoder import AutoEncoder
from vae.networks.layers import ConvFromPixel, ConvToPixel, InitialWeights, TransposeToFew, draw_initial_weights

__all__ = [
    "NETWORKS",
    "build_networks",
    "burgess",
    "fully_connected",
    "locatello",
    "locatello_k4",
    "narrow",
    "narrow_256",
    "wide",
]

_LAST_PX = 4
_MAX_FAST_CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class _Stages:
    """Channels, starting with those of the image, and kernels of the stages that halve the side."""

    channels: tuple[int, ...]
    kernels: tuple[int, ...]

    @property
    def num_flat(self) -> int:
        return self.channels[-1] * _LAST_PX**2


def narrow(image_shape: tuple[int, int, int], num_latents: int, width: float = 1.0) -> AutoEncoder:
    """Build `narrow`; see the module."""
    hidden = 128 if image_shape[2] == 1 else 256
    return _fully_convolutional(image_shape, num_latents, _scaled((32, 32, 64, 64), width), _scale(hidden, width))


def narrow_256(image_shape: tuple[int, int, int], num_latents: int, width: float = 1.0) -> AutoEncoder:
    """Build `narrow-256`; see the module."""
    return _fully_convolutional(image_shape, num_latents, _scaled((32, 32, 64, 64), width), _scale(256, width))


def wide(image_shape: tuple[int, int, int], num_latents: int, width: float = 1.0) -> AutoEncoder:
    """Build `wide`; see the module."""
    return _fully_convolutional(image_shape, num_latents, _scaled((32, 64, 128, 256), width), _scale(512, width))


def burgess(image_shape: tuple[int, int, int], num_latents: int, width: float = 1.0) -> AutoEncoder:
    """Build `burgess`; see the module."""
    stages = _stages(image_shape, _scaled((32, 32, 32, 32), width), (4, 4, 4, 4))
    hidden = _scale(256, width)
    encoder = nn.Sequential(
        *_down(stages),
        nn.Flatten(),
        *_dense(stages.num_flat, hidden, hidden),
        nn.Linear(hidden, 2 * num_latents),
    )
    decoder = nn.Sequential(
        *_dense(num_latents, hidden, hidden, stages.num_flat),
        nn.Unflatten(1, (stages.channels[-1], _LAST_PX, _LAST_PX)),
        *_up(stages.channels[::-1]),
    )
    return AutoEncoder(encoder, decoder, num_latents=num_latents, image_shape=image_shape)


def locatello(image_shape: tuple[int, int, int], num_latents: int, width: float = 1.0) -> AutoEncoder:
    """Build `locatello`; see the module."""
    return _locatello(image_shape, num_latents, width, (4, 4, 2, 2))


def locatello_k4(image_shape: tuple[int, int, int], num_latents: int, width: float = 1.0) -> AutoEncoder:
    """Build `locatello-k4`; see the module."""
    return _locatello(image_shape, num_latents, width, (4, 4, 4, 4))


def _locatello(
    image_shape: tuple[int, int, int], num_latents: int, width: float, kernels: Sequence[int]
) -> AutoEncoder:
    stages = _stages(image_shape, _scaled((32, 32, 64, 64), width), kernels)
    hidden = _scale(256, width)
    encoder = nn.Sequential(
        *_down(stages), nn.Flatten(), *_dense(stages.num_flat, hidden), nn.Linear(hidden, 2 * num_latents)
    )
    decoder = nn.Sequential(
        *_dense(num_latents, hidden, stages.num_flat),
        nn.Unflatten(1, (stages.channels[-1], _LAST_PX, _LAST_PX)),
        *_up(stages.channels[::-1]),
    )
    return AutoEncoder(encoder, decoder, num_latents=num_latents, image_shape=image_shape)


def _fully_convolutional(
    image_shape: tuple[int, int, int], num_latents: int, widths: Sequence[int], hidden: int
) -> AutoEncoder:
    stages = _stages(image_shape, widths, (4,) * len(widths))
    last = stages.channels[-1]
    encoder = nn.Sequential(
        *_down(stages),
        ConvToPixel(last, hidden, _LAST_PX),
        nn.ReLU(),
        ConvToPixel(hidden, 2 * num_latents, 1),
        nn.Flatten(),
    )
    decoder = nn.Sequential(
        nn.Unflatten(1, (num_latents, 1, 1)),
        ConvToPixel(num_latents, hidden, 1),
        nn.ReLU(),
        ConvFromPixel(hidden, last, _LAST_PX),
        nn.ReLU(),
        *_up(stages.channels[::-1]),
    )
    return AutoEncoder(encoder, decoder, num_latents=num_latents, image_shape=image_shape)


def _stages(image_shape: tuple[int, int, int], widths: Sequence[int], kernels: Sequence[int]) -> _Stages:
    height, side, num_channels = image_shape
    num_stages = (side // _LAST_PX).bit_length() - 1
    if height != side or side < 2 * _LAST_PX or side != _LAST_PX << num_stages:
        raise InvalidArgumentError(
            f"the images have {height} x {side} pixels, but convolutional networks need squares of 8, 16, 32, 64, ... "
            "pixels; choose fc as `network`"
        )
    chosen = [max(index, 0) for index in range(len(widths) - num_stages, len(widths))]
    return _Stages(
        channels=(num_channels, *(widths[index] for index in chosen)), kernels=tuple(kernels[index] for index in chosen)
    )


def _down(stages: _Stages) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index, (ins, outs) in enumerate(pairwise(stages.channels)):
        kernel = stages.kernels[index]
        layers += [nn.Conv2d(ins, outs, kernel, stride=2, padding=(kernel - 2) // 2), nn.ReLU(inplace=True)]
    return layers


def _up(channels: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for ins, outs in pairwise(channels):
        layer = TransposeToFew if outs <= _MAX_FAST_CHANNELS else nn.ConvTranspose2d
        layers += [layer(ins, outs, 4, stride=2, padding=1), nn.ReLU(inplace=True)]
    return layers[:-1]


def _dense(*sizes: int) -> list[nn.Module]:
    return [layer for ins, outs in pairwise(sizes) for layer in (nn.Linear(ins, outs), nn.ReLU(inplace=True))]


def _scaled(widths: Sequence[int], width: float) -> tuple[int, ...]:
    return tuple(_scale(size, width) for size in widths)


def _scale(size: int, width: float) -> int:
    return max(round(size * width), 1)


def fully_connected(image_shape: tuple[int, int, int], num_latents: int, width: float = 1.0) -> AutoEncoder:
    """Build `fc`; see the module."""
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


NETWORKS: dict[str, Callable[[tuple[int, int, int], int, float], AutoEncoder]] = {
    "narrow": narrow,
    "narrow-256": narrow_256,
    "wide": wide,
    "burgess": burgess,
    "locatello": locatello,
    "locatello-k4": locatello_k4,
    "fc": fully_connected,
}


def build_networks(
    name: str,
    *,
    image_shape: tuple[int, int, int],
    num_latents: int,
    width: float = 1.0,
    initial_weights: InitialWeights = "kaiming",
) -> AutoEncoder:
    """Build the autoencoder called `name`, with weights drawn from torch's global generator.

    Args:
        name: a key of `NETWORKS`.
        image_shape: (H, W, C).
        num_latents: D.
        width: factor on the sizes of all hidden layers.
        initial_weights: one of `InitialWeights`; see `vae.networks.layers`.

    Raises:
        InvalidArgumentError: the name or the initialization is unknown, or the network cannot process such images.

    >>> model = build_networks("narrow", image_shape=(64, 64, 1), num_latents=10)
    >>> sum(parameter.numel() for parameter in model.parameters())
    497045
    """
    if name not in NETWORKS:
        raise InvalidArgumentError(f"`network` is {name!r}, but must be one of {', '.join(NETWORKS)}", field="network")
    model = NETWORKS[name](image_shape, num_latents, width)
    draw_initial_weights(model, initial_weights)
    return model
