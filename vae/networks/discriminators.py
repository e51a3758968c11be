"""Networks that tell two kinds of things apart: codes for FactorVAE, images for DAVA."""

from itertools import pairwise

from torch import nn

__all__ = ["code_discriminator", "image_discriminator"]

_SLOPE = 0.2
_LAST_PX = 4


def code_discriminator(num_latents: int, *, width: int = 1000, num_hidden: int = 5) -> nn.Sequential:
    """FactorVAE's: codes (B, D) -> two logits, class 0 for q(z), class 1 for permuted codes (Kim and Mnih 2018).

    Six linear layers, five of them hidden, with leaky ReLU of slope 0.2, as the implementations have it.
    """
    sizes = [num_latents, *[width] * num_hidden]
    hidden = [layer for ins, outs in pairwise(sizes) for layer in (nn.Linear(ins, outs), nn.LeakyReLU(_SLOPE))]
    return nn.Sequential(*hidden, nn.Linear(width, 2))


def image_discriminator(image_shape: tuple[int, int, int], *, width: int = 32) -> nn.Sequential:
    """DAVA's: images (B, C, H, W) -> one logit (B, 1), high for reconstructions (Estermann and Wattenhofer 2023).

    Convolutions (k4 s2 p1) of width, 2, 4, 8 times width, ..., instance-normalised but for the first, down to
    4 pixels; then a convolution over them.
    """
    height, side, num_channels = image_shape
    num_stages = max((min(height, side) // _LAST_PX).bit_length() - 1, 1)
    channels = [num_channels, *(width * 2 ** min(index, 3) for index in range(num_stages))]
    layers: list[nn.Module] = []
    for index, (ins, outs) in enumerate(pairwise(channels)):
        layers += [nn.Conv2d(ins, outs, 4, stride=2, padding=1)]
        layers += [nn.InstanceNorm2d(outs, affine=True)] if index else []
        layers += [nn.LeakyReLU(_SLOPE)]
    num_flat = channels[-1] * (height >> num_stages) * (side >> num_stages)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(num_flat, 1))
