"""Initial weights, and convolutions that are matrix products.

Initial weights are drawn from one of

    kaiming   N(0, 2 / fan_in), where fan_in counts the inputs that reach one output: in * k^2 / s^2 for a transposed
              convolution of stride s (torch's own kaiming_normal_ counts out * k^2 there, so that each such layer
              starts with a quarter of the variance)
    normal    N(0, 0.02^2)
    torch     torch's defaults, biases included: U(-a, a), a = 1 / sqrt(fan_in)
    kaiming-partial, normal-partial
              kaiming or normal for linear layers and convolutions, torch's defaults for transposed convolutions:
              what the releases do whose initialization names nn.Linear and nn.Conv2d only (1Konny's FactorVAE,
              ControlVAE, TopDis). A decoder's last layer then starts with a deviation of 0.14 instead of 0.02
    kaiming-uniform
              U(-a, a), a = sqrt(6 / fan_in), biases as torch draws them: torch's kaiming_uniform_ for ReLU in every
              layer, the discriminator's too (disentangling-vae, disvae/utils/initialization.py 50 to 61)
    glorot-uniform
              U(-a, a), a = sqrt(6 / (fan_in + fan_out)): the default of TensorFlow 1's layers (disentanglement_lib).
              An encoder's last layer has a smaller a here by 2 % (256 inputs, 10 latents), as mean and log-variance
              are two layers there

with zero biases where nothing else is said. Where torch draws, a transposed convolution's fan_in is torch's, out * k^2.
A decoder's last layer is computed as

    y = fold(x . w)      x (B, I, H, W), w (I, O k k): one matrix product gives the contribution of every input pixel to
                         the k x k output pixels around it; folding sums them where they overlap

The library's forward pass for one output channel takes 3 to 4 times as long; its backward pass is used as it is.

A convolution whose kernel covers the image, and a transposed one of a single pixel, are linear layers: one matrix
product for the values and two for the gradients. The library's convolutions take 3 to 8 times as long for such shapes.
"""

import math
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganspace_topdis.errors import InvalidArgumentError
from vae.settings import InitialWeights

__all__ = ["ConvFromPixel", "ConvToPixel", "TransposeToFew", "draw_initial_weights"]

_NORMAL_STD = 0.02
_Layer = nn.Linear | nn.Conv2d | nn.ConvTranspose2d


def draw_initial_weights(network: nn.Module, initialization: InitialWeights) -> None:
    """Draw the weights of every linear and convolutional layer of `network` from torch's global generator.

    Raises:
        InvalidArgumentError: `initialization` is unknown.
    """
    if initialization not in get_args(InitialWeights):
        raise InvalidArgumentError(
            f"`initial_weights` is {initialization!r}, but must be one of {', '.join(get_args(InitialWeights))}",
            field="initial_weights",
        )
    distribution = initialization.removesuffix("-partial")
    kinds = _Layer if distribution == initialization else nn.Linear | nn.Conv2d
    if distribution == "torch":
        return
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, kinds):
                _draw(module, distribution)


def _draw(layer: _Layer, distribution: str) -> None:
    if distribution == "kaiming-uniform":
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        return
    if distribution == "glorot-uniform":
        nn.init.xavier_uniform_(layer.weight)
    else:
        layer.weight.normal_(0, _NORMAL_STD if distribution == "normal" else math.sqrt(2 / _fan_in(layer)))
    if layer.bias is not None:
        layer.bias.zero_()


def _fan_in(layer: _Layer) -> float:
    if isinstance(layer, nn.Linear):
        return layer.in_features
    taps = math.prod(layer.kernel_size)
    if isinstance(layer, nn.Conv2d):
        return layer.in_channels * taps
    single_input = layer.kernel_size == (4, 4) and layer.stride == (1, 1)  # 1 pixel to 4 x 4: one input each
    return layer.in_channels * (1 if single_input else taps / math.prod(layer.stride))


class ConvToPixel(nn.Conv2d):
    """`nn.Conv2d` of images of the kernel's size, without padding; same weights, same result up to rounding."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, I, k, k) to (B, O, 1, 1)."""
        rows = x.permute(0, 2, 3, 1).reshape(len(x), -1)
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, -1)
        return F.linear(rows, weight, self.bias)[:, :, None, None]


class ConvFromPixel(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` of images of one pixel, without padding; same weights, same result up to rounding."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (B, I, 1, 1) to (B, O, k, k)."""
        assert output_size is None
        assert self.bias is not None
        height, width = self.kernel_size
        weight = self.weight.permute(2, 3, 1, 0).reshape(-1, self.in_channels)
        rows = F.linear(x.reshape(len(x), -1), weight, self.bias.repeat(height * width))
        return rows.view(len(x), height, width, self.out_channels).permute(0, 3, 1, 2)


class TransposeToFew(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` without groups, dilation and output padding; same weights, same result up to rounding."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (B, I, H, W) to (B, O, sH, sW)."""
        plain = x.device.type != "cpu" or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling()
        if plain or output_size is not None or self.bias is None:
            return super().forward(x, output_size)
        result: Tensor = _ByProduct.apply(x, self.weight, self.bias, self.stride, self.padding)
        return result


class _ByProduct(torch.autograd.Function):
    """Forward pass by a matrix product and a fold; backward pass by the library."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
        num, channels, height, width = x.shape
        kernel = weight.shape[2:]
        size = tuple((x.shape[2 + i] - 1) * stride[i] - 2 * padding[i] + kernel[i] for i in (0, 1))
        pieces = x.permute(0, 2, 3, 1).reshape(-1, channels) @ weight.reshape(channels, -1)
        pieces = pieces.view(num, height * width, -1).transpose(1, 2)
        return F.fold(pieces, size, kernel, stride=stride, padding=padding) + bias[:, None, None]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, bias, ctx.stride, ctx.padding = inputs
        ctx.num_outputs = len(bias)
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        parts = torch.ops.aten.convolution_backward(
            grad,
            x,
            weight,
            [ctx.num_outputs],
            ctx.stride,
            ctx.padding,
            [1, 1],
            True,
            [0, 0],
            1,
            list(ctx.needs_input_grad[:3]),
        )
        return (*parts, None, None)
