"""The synthesis network in its plain form: as in the equations, one torch operation per step.

A kernel is built for every sample and run as a grouped convolution, filters are depthwise convolutions of
zero-stuffed and padded images, and noise, bias, leaky ReLU and gain are one step each. It uses the weights of a
`Generator` of the "skip" architecture without a clamp, and gives the same images.
"""

import math

from torch import Tensor
from torch.nn import functional as F

from stylegan2 import Generator
from stylegan2.synthesis import SynthesisLayer, ToRGB

__all__ = ["plain_features", "plain_images"]


def plain_images(generator: Generator, w: Tensor) -> Tensor:
    """Images of styles w (B, num_ws, w_dim), with the stored noise."""
    return _run(generator, w, None)


def plain_features(generator: Generator, w: Tensor, resolution: int) -> Tensor:
    """Activations after the block of that resolution."""
    return _run(generator, w, resolution)


def _run(generator: Generator, w: Tensor, last: int | None) -> Tensor:
    styles = w.unbind(1)
    x = generator.synthesis.block(4).const.expand(len(w), -1, -1, -1)
    image, first = None, 0
    for resolution in generator.synthesis.resolutions:
        block = generator.synthesis.block(resolution)
        if resolution > 4:
            x, first = _layer(block.conv0, x, styles[first]), first + 1
        x, first = _layer(block.conv1, x, styles[first]), first + 1
        if resolution == last:
            return x
        below = None if image is None else _upsampled(image, block.resample_filter)
        image = _image(block.torgb, x, styles[first])
        image = image if below is None else below + image
    assert image is not None
    return image


def _layer(layer: SynthesisLayer, x: Tensor, w: Tensor) -> Tensor:
    kernels = layer.weight[None] * layer.affine(w)[:, None, :, None, None]
    kernels = kernels * (kernels.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    x = _convolved_up(x, kernels, layer.resample_filter) if layer.up else _convolved(x, kernels)
    x = x + layer.noise_const * layer.noise_strength
    x = x + layer.bias[:, None, None]
    return F.leaky_relu(x, 0.2) * math.sqrt(2.0)


def _image(layer: ToRGB, x: Tensor, w: Tensor) -> Tensor:
    kernels = layer.weight[None] * (layer.affine(w) * layer.weight_gain)[:, None, :, None, None]
    return _convolved(x, kernels) + layer.bias[:, None, None]


def _convolved(x: Tensor, kernels: Tensor) -> Tensor:
    """x (B, I, H, W) with one kernel (O, I, k, k) per sample."""
    batch, outputs = kernels.shape[:2]
    x = F.conv2d(x.reshape(1, -1, *x.shape[2:]), kernels.flatten(0, 1), padding=kernels.shape[-1] // 2, groups=batch)
    return x.reshape(batch, outputs, *x.shape[2:])


def _convolved_up(x: Tensor, kernels: Tensor, fir: Tensor) -> Tensor:
    batch, outputs = kernels.shape[:2]
    flat = kernels.transpose(1, 2).flatten(0, 1)
    x = F.conv_transpose2d(x.reshape(1, -1, *x.shape[2:]), flat, stride=2, groups=batch)
    return _filtered(x.reshape(batch, outputs, *x.shape[2:]), fir, (1, 1, 1, 1))


def _upsampled(image: Tensor, fir: Tensor) -> Tensor:
    batch, channels, height, width = image.shape
    stuffed = F.pad(image[:, :, :, None, :, None], (0, 1, 0, 0, 0, 1))
    return _filtered(stuffed.reshape(batch, channels, 2 * height, 2 * width), fir, (2, 1, 2, 1))


def _filtered(x: Tensor, fir: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    kernel = (4 * fir).flip(0, 1).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(x, padding), kernel, groups=x.shape[1])
