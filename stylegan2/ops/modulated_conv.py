"""The style-modulated convolution with one kernel for all samples.

Modulation scales the kernel of sample b along its input channels, w'_oik = s_bi w_oik, and demodulation divides by its
norm, d_bo = (sum_ik (s_bi w_oik)^2 + 1e-8)^-1/2 (Eqs. 1 and 3, Karras et al. 2020, arXiv:1912.04958). Both commute with
the convolution, so the activations are scaled before and after it instead, and the norm is a matrix product:
d_b = (s_b^2 . sum_k w^2 + 1e-8)^-1/2. Per-sample kernels are never built.

On a CPU a 3x3 convolution takes a quarter of the multiplications by Winograd's minimal filtering. Four adjacent outputs
depend on six inputs d and three weights w, and need only six products:

    y = A^T [(G w) * (B^T d)],   in two dimensions  Y = A^T [(G w G^T) * (B^T d B)] A.

Summed over the input channels before A^T is applied, the products of all tiles are 36 matrix products of (tiles, I) by
(I, O). A, B and G come from interpolation at five points and infinity; 0, 1, -1, 1/2, -2 lose fewer digits than the
usual 0, 1, -1, 2, -2. B^T d B and A^T m A are matrix products as well, by Kronecker squares. The work is cut into
pieces that fit in the processor's cache. The gradient with respect to the image is the convolution of the output's
gradient with the rotated kernels, so it is the same operation, to any order. The kernels get no gradient.
Sources: Winograd 1980, "Arithmetic Complexity of Computations"; Lavin and Gray 2015, arXiv:1509.09308; Barabasz et
al. 2018, arXiv:1803.10986, for the points.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from stylegan2.ops.upfirdn2d import filter_image
from stylegan2.ops.weight_cache import cached, caches_weight, type_of_products

__all__ = ["convolve", "convolve_up", "demodulation", "winograd_convolve", "within_half_range"]

TILE = 4
"""Outputs per tile of Winograd's method along one axis."""
PATCH = TILE + 2
POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)
TILES_AT_ONCE = 256


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


def winograd_convolve(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """Scale the channels of x (B, I, H, W) by styles (B, I) and convolve with (O, I, 3, 3): (B, O, H, W).

    H and W are multiples of four. Differentiable in x and styles to any order, but not in the weight. The result has
    channels-last layout, and x should have it too.
    """
    if not torch.is_grad_enabled():
        return _convolve_tiles(x, weight, styles)
    result: Tensor = _Winograd.apply(x * styles[:, :, None, None], weight, False)
    return result


class _Winograd(torch.autograd.Function):
    """y = x * w; dx = dy * (w rotated, with inputs and outputs exchanged)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, rotated: bool) -> Tensor:
        assert not weight.requires_grad
        ctx.weight, ctx.rotated = weight, rotated
        return _convolve_tiles(x, weight, rotated=rotated)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        return _Winograd.apply(dy, ctx.weight, not ctx.rotated), None, None


def _convolve_tiles(x: Tensor, weight: Tensor, styles: Tensor | None = None, *, rotated: bool = False) -> Tensor:
    batch, channels, height, width = x.shape
    image, kernels = x.permute(0, 2, 3, 1), _tile_kernels(weight, rotated)
    down, across, outputs = height // TILE, width // TILE, kernels.shape[2]
    out = x.new_empty(batch, down, TILE, across, TILE, outputs)
    rows = min(down, max(1, TILES_AT_ONCE // across))
    samples = min(batch, max(1, TILES_AT_ONCE // (down * across)))
    scratch = [x.new_empty(PATCH**2 * samples * rows * across * max(channels, outputs)) for _ in range(2)]
    for sample in range(0, batch, samples):
        for row in range(0, down, rows):
            piece = slice(sample, sample + samples), slice(row, row + rows)
            tiles = _tiles(_padded(image, styles, *piece), kernels, *scratch)
            out[piece].copy_(tiles.permute(2, 3, 0, 4, 1, 5))
    return out.view(batch, height, width, outputs).permute(0, 3, 1, 2)


def _tiles(padded: Tensor, kernels: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return outputs (4, 4, B, down, across, O) of padded (B, 4 down + 2, 4 across + 2, I); the rest is scratch."""
    patches = padded.unfold(1, PATCH, TILE).unfold(2, PATCH, TILE).permute(4, 5, 0, 1, 2, 3)
    places, channels, outputs = patches.shape[2:5], padded.shape[3], kernels.shape[2]
    count = math.prod(places)
    gathered = first[: patches.numel()].view(patches.shape).copy_(patches)
    inputs = second[: patches.numel()].view(PATCH**2, count * channels)
    torch.mm(_square(_INPUT, padded), gathered.view(PATCH**2, -1), out=inputs)
    products = first[: PATCH**2 * count * outputs].view(PATCH**2, count, outputs)
    torch.bmm(inputs.view(PATCH**2, count, channels), kernels, out=products)
    results = second[: TILE**2 * count * outputs].view(TILE**2, count * outputs)
    torch.mm(_square(_OUTPUT, padded), products.view(PATCH**2, -1), out=results)
    return results.view(TILE, TILE, *places, outputs)


def _padded(image: Tensor, styles: Tensor | None, samples: slice, rows: slice) -> Tensor:
    """Return rows of tiles of an image (B, H, W, I), scaled by styles if given, with a border of one pixel."""
    height = image.shape[1]
    top, bottom = TILE * rows.start - 1, min(height, TILE * rows.stop) + 1
    inside = image[samples, max(top, 0) : bottom]
    if styles is not None:
        inside = inside * styles[samples, None, None]
    return F.pad(inside, (0, 0, 1, 1, max(-top, 0), max(bottom - height, 0)))


def _tile_kernels(weight: Tensor, rotated: bool) -> Tensor:
    """Return transformed kernels (36, I, O) of a weight (O, I, 3, 3), or (36, O, I) of the rotated weight."""
    if rotated:
        return cached(
            weight, "rotated, for tiles", lambda weight: _transform_kernels(weight.flip(2, 3).transpose(0, 1))
        )
    return cached(weight, "for tiles", _transform_kernels)


def _transform_kernels(weight: Tensor) -> Tensor:
    """Transform kernels (O, I, 3, 3) to (36, I, O)."""
    outputs, channels = weight.shape[:2]
    taps = weight.permute(2, 3, 1, 0).reshape(9, -1)
    return (_square(_KERNEL, weight) @ taps).view(PATCH**2, channels, outputs)


def _square(matrix: Tensor, like: Tensor) -> Tensor:
    return torch.kron(matrix, matrix).to(like)


def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """Return A^T (4, 6), G (6, 3) and B^T (6, 6) of interpolation at POINTS and infinity, in double precision.

    Row k of B^T holds the coefficients of the product of (t - p) over the other points p, and the row of infinity
    those over all points. A and G hold powers of the points; G is divided by that product at the point itself.
    """
    output, kernel, inputs = (np.zeros((PATCH, size)) for size in (TILE, 3, PATCH))
    for index, point in enumerate(POINTS):
        others = [other for other in POINTS if other != point]
        output[index] = point ** np.arange(TILE)
        kernel[index] = point ** np.arange(3) / np.prod(point - np.array(others))
        inputs[index, : TILE + 1] = np.poly(others)[::-1]
    output[-1, -1] = kernel[-1, -1] = 1
    inputs[-1] = np.poly(POINTS)[::-1]
    return torch.from_numpy(output.T.copy()), torch.from_numpy(kernel), torch.from_numpy(inputs)


_OUTPUT, _KERNEL, _INPUT = _matrices()
