"""The style-modulated convolution with one kernel for all samples.

Modulation scales the kernel of sample b along its input channels, w'_oik = s_bi w_oik, and demodulation divides by its
norm, d_bo = (sum_ik (s_bi w_oik)^2 + 1e-8)^-1/2 (Eqs. 1 and 3, Karras et al. 2020, arXiv:1912.04958). Both commute with
the convolution, so the activations are scaled before and after it instead, and the norm is a matrix product:
d_b = (s_b^2 . sum_k w^2 + 1e-8)^-1/2. Per-sample kernels are never built.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from stylegan2.ops.upfirdn2d import filter_image
from stylegan2.ops.weight_cache import cached, caches_weight, type_of_products
from stylegan2.ops.winograd import TILE, winograd_convolve

__all__ = ["convolve", "convolve_up", "demodulation", "within_half_range"]


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """Return the factors (B, O) that give each output channel of each sample unit expected variance.

    Args:
        weight: kernel (O, I, k, k).
        styles: scales of the input channels (B, I).
    """
    dtype = type_of_products(styles)
    energy = cached(weight, f"energy, {dtype}", lambda weight: weight.square().sum(dim=(2, 3)).to(dtype))
    return torch.rsqrt(styles.square() @ energy.t() + 1e-8)


def within_half_range(weight: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
    """Scale kernel and styles so that sums over a kernel do not overflow in half precision.

    Demodulation divides the factors out again. Source: Karras et al. 2020, arXiv:2006.06676, appendix D.1.
    """
    weight = cached(weight, "within half range", _within_half_range)
    return weight, styles / styles.abs().amax(dim=1, keepdim=True).clamp(min=1e-8)


def _within_half_range(weight: Tensor) -> Tensor:
    fan_in = weight[0].numel()
    return weight / (weight.abs().amax(dim=(1, 2, 3), keepdim=True) * fan_in**0.5).clamp(min=1e-8)


def convolve(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """Scale the channels of x (B, I, H, W) by styles (B, I) and convolve with (O, I, k, k): (B, O, H, W)."""
    if _prefers_winograd(x, weight):
        return winograd_convolve(x, weight, styles)
    dtype = type_of_products(x)
    kernels = cached(weight, f"{dtype}", lambda weight: _channels_last(weight, dtype))
    return F.conv2d(_scaled(x, styles), kernels, padding=weight.shape[-1] // 2)


def convolve_up(x: Tensor, weight: Tensor, styles: Tensor, fir: Tensor) -> Tensor:
    """Like `convolve`, with doubled sides: a transposed convolution, then the filter `fir` (4, 4) with gain 4."""
    dtype = type_of_products(x)
    kernels = cached(weight, f"transposed, {dtype}", lambda weight: _channels_last(weight.transpose(0, 1), dtype))
    x = F.conv_transpose2d(_scaled(x, styles), kernels, stride=2)
    return filter_image(x, fir, gain=4.0)


def _scaled(x: Tensor, styles: Tensor) -> Tensor:
    return x * styles.to(x.dtype)[:, :, None, None]


def _channels_last(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Return kernels in the type and layout that torch's convolution needs for channels-last images without copies."""
    return weight.to(dtype).contiguous(memory_format=torch.channels_last)


def _prefers_winograd(x: Tensor, weight: Tensor) -> bool:
    """Whether `winograd_convolve` is faster, by measurement (docs/speed.md)."""
    if torch.compiler.is_compiling() or (torch.is_grad_enabled() and weight.requires_grad):
        return False
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    batch, channels, height, width = x.shape
    tiles = batch * (height // TILE) * (width // TILE)
    enough = 64 if caches_weight(weight) else 256
    return height % TILE == width % TILE == 0 and tiles >= enough and min(channels, weight.shape[0]) >= 64
