"""Initial weights: which law they are drawn from.

    kaiming   N(0, 2 / fan in), fan in being the inputs that one output really sees: a transposed convolution of
              stride s sees in * k^2 / s^2 of them (torch's own kaiming_normal_ counts out * k^2 there, and each
              such layer then starts with a quarter of the variance)
    normal    N(0, 0.02^2), as 1Konny's FactorVAE and TopDis have it
    torch     torch's defaults

Biases start at zero in the first two.
"""

import math
from typing import Literal, get_args

import torch
from torch import nn

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["InitialWeights", "draw_initial_weights"]

InitialWeights = Literal["kaiming", "normal", "torch"]

_NORMAL_STD = 0.02


def draw_initial_weights(network: nn.Module, law: InitialWeights) -> None:
    """Draw the weights of every linear and convolutional layer of `network` from torch's global generator.

    Raises:
        InvalidArgumentError: `law` is unknown.
    """
    if law not in get_args(InitialWeights):
        raise InvalidArgumentError(f"init is {law!r}, allowed are {', '.join(get_args(InitialWeights))}")
    if law == "torch":
        return
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                std = _NORMAL_STD if law == "normal" else math.sqrt(2 / _fan_in(module))
                module.weight.normal_(0, std)
                if module.bias is not None:
                    module.bias.zero_()


def _fan_in(module: nn.Module) -> float:
    if isinstance(module, nn.Linear):
        return module.in_features
    assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    taps = math.prod(module.kernel_size)
    if isinstance(module, nn.Conv2d):
        return module.in_channels * taps
    in_padding = module.kernel_size == (4, 4) and module.stride == (1, 1)  # from one pixel to four: one input each
    return module.in_channels * (1 if in_padding else taps / math.prod(module.stride))
