"""The discriminator of the scene trainer: a small residual network, with additional heads on frozen features.

A 4x4 convolution of stride 2 reads the pixels; then every block halves the image: a 3x3 convolution and a second
one of stride 2, beside a 2x2 shortcut of stride 2, their sum over sqrt(2). The last block sees the standard
deviation of its minibatch group as an extra channel (Karras et al. 2018,
arXiv:1710.10196, section 3). Weights are scaled at run time like the generator's.

`FeatureHeads` scores the activations of a frozen network instead of pixels (Sauer et al. 2021, arXiv:2111.01007,
"projected GANs"); there the network is pretrained on photographs, here it is one trained on scenes.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Discriminator", "FeatureHeads"]


class ScaledConv(nn.Module):
    """A convolution whose unit-variance weights are scaled by 1 / sqrt(fan in) when used."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.stride, self.padding = stride, (size - 1) // 2
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = 1 / math.sqrt(inputs * size * size)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.gain, self.bias, self.stride, self.padding)


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU with unit gain on normal inputs."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class Block(nn.Module):
    """(N, I, r, r) to (N, O, r / 2, r / 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = ScaledConv(inputs, inputs, 3)
        self.second = ScaledConv(inputs, outputs, 3, stride=2)
        self.shortcut = ScaledConv(inputs, outputs, 2, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = activate(self.second(activate(self.first(x))))
        return (y + self.shortcut(x)) * math.sqrt(0.5)


class Discriminator(nn.Module):
    """Images (N, 3, R, R) to logits (N,), positive for real ones."""

    def __init__(self, resolution: int, width: int = 64, width_max: int = 128, group: int = 4) -> None:
        super().__init__()
        self.group = group
        widths = [min(width * 2**k, width_max) for k in range(int(math.log2(resolution)) - 2)]
        self.from_rgb = ScaledConv(3, widths[0], 4, stride=2)
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in itertools.pairwise(widths)))
        self.last = ScaledConv(widths[-1] + 1, widths[-1], 3)
        self.hidden = ScaledConv(16 * widths[-1], widths[-1], 1)
        self.logit = ScaledConv(widths[-1], 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.blocks(activate(self.from_rgb(images)))
        x = activate(self.last(torch.cat([x, minibatch_deviation(x, self.group)], dim=1)))
        return self.logit(activate(self.hidden(x.flatten(1)[:, :, None, None]))).flatten()


class FeatureHeads(nn.Module):
    """Logits (N, heads) from the activations of a frozen convolutional network after each halving."""

    def __init__(self, body: nn.Sequential, width: int = 48) -> None:
        super().__init__()
        self.stages = _stages(body)
        widths = [stage[0].out_channels for stage in self.stages]
        self.heads = nn.ModuleList(
            nn.Sequential(ScaledConv(inputs, width, 1), nn.LeakyReLU(0.2), ScaledConv(width, 1, 3)) for inputs in widths
        )

    def forward(self, images: Tensor) -> Tensor:
        logits, x = [], images
        for stage, head in zip(self.stages, self.heads, strict=True):
            for layer in stage:
                x = layer(x)
            logits.append(head(x).mean(dim=(1, 2, 3)))
        return torch.stack(logits, dim=1)


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """The mean standard deviation within groups of samples, as one channel (N, 1, r, r)."""
    groups = x.float().unflatten(0, (-1, len(x) // max(1, len(x) // group)))
    deviation = (groups.var(dim=1, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    spread = deviation.repeat_interleave(groups.shape[1])
    return spread[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)


def _stages(body: nn.Sequential) -> list[list[nn.Module]]:
    """The convolutions of a body, each with the activation that follows it, kept out of the module tree."""
    layers = list(body)
    convolutions = [k for k, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    return [[layers[k], layers[k + 1]] for k in convolutions]
