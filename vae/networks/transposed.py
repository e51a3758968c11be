"""A transposed convolution to few channels, such as a decoder's last one, computed fast on a CPU.

    y = fold(x . w)      x (B, I, H, W), w (I, O k k): one matrix product gives what every input pixel adds to the k x k
                         output pixels around it; folding adds up where they overlap

The library's forward pass for one output channel does 3 to 4 times as long. Its backward pass is good and is used.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["TransposeToFew"]


class TransposeToFew(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` without groups, dilation and output padding: the same weights, and the same result but for
    rounding.
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, I, H, W) -> (B, O, sH, sW)."""
        plain = x.device.type != "cpu" or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling()
        if plain or output_size is not None or self.bias is None:
            return super().forward(x, output_size)
        result: Tensor = _ByProduct.apply(x, self.weight, self.bias, self.stride, self.padding)
        return result


class _ByProduct(torch.autograd.Function):
    """Forward by a product and a fold; backward as the library has it."""

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
