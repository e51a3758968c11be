"""The fully connected layer with a run-time scale, and the normalisation of codes.

Weights are stored with unit variance (times 1 / lr_multiplier) and scaled when used, so that all layers learn
at one speed: y = act(x (W lr / sqrt(n))^T + b lr). Source: Karras et al. 2018, arXiv:1710.10196, section 4.1.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LEAKY_GAIN", "LEAKY_SLOPE", "FullyConnected", "normalize_second_moment", "standard_normal"]

LEAKY_SLOPE = 0.2
LEAKY_GAIN = math.sqrt(2.0)


def standard_normal(*shape: int) -> Tensor:
    """Weights to start a training from.

    On torch's meta device, where a network only shows its shapes, none are drawn: that would load a compiler.
    """
    weights = torch.empty(shape)
    return weights if weights.is_meta else weights.normal_()


def normalize_second_moment(x: Tensor) -> Tensor:
    """Scale every row of (B, D) to a mean square of one."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class FullyConnected(nn.Module):
    """A linear layer with equalised learning rate, and leaky ReLU times sqrt(2) if `activate`.

    Args:
        in_features: length of an input row.
        out_features: length of an output row.
        activate: apply the leaky ReLU.
        lr_multiplier: learning rate relative to other layers.
        bias_init: value that the bias starts at.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activate: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.activate = activate
        weight = standard_normal(out_features, in_features)
        self.weight = nn.Parameter(weight if weight.is_meta else weight / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """Rows (B, in_features) to rows (B, out_features)."""
        x = torch.addmm(self.bias * self.bias_gain, x, self.weight.t(), alpha=self.weight_gain)
        return F.leaky_relu(x, LEAKY_SLOPE) * LEAKY_GAIN if self.activate else x
