"""A 3x3 convolution with a quarter of the multiplications, for CPUs (Winograd's minimal filtering).

Four adjacent outputs depend on six inputs d and three weights w, and need only six products:

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

from stylegan2.ops.weight_cache import cached

__all__ = ["TILE", "winograd_convolve"]

TILE = 4
"""Outputs per tile along one axis."""

PATCH = TILE + 2
POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)
TILES_AT_ONCE = 256


def winograd_convolve(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """Scale the channels of x (B, I, H, W) by styles (B, I) and convolve with (O, I, 3, 3): (B, O, H, W).

    H and W are multiples of four. Differentiable in x and styles to any order, but not in the weight. The result has
    channels-last layout, and x should have it too.
    """
    if not torch.is_grad_enabled():
        return _convolve(x, weight, styles)
    result: Tensor = _Convolution.apply(x * styles[:, :, None, None], weight, False)
    return result


class _Convolution(torch.autograd.Function):
    """y = x * w; dx = dy * (w rotated, with inputs and outputs exchanged)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, rotated: bool) -> Tensor:
        assert not weight.requires_grad
        ctx.weight, ctx.rotated = weight, rotated
        return _convolve(x, weight, rotated=rotated)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        return _Convolution.apply(dy, ctx.weight, not ctx.rotated), None, None


def _convolve(x: Tensor, weight: Tensor, styles: Tensor | None = None, *, rotated: bool = False) -> Tensor:
    batch, channels, height, width = x.shape
    image, kernels = x.permute(0, 2, 3, 1), _kernels(weight, rotated)
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


def _kernels(weight: Tensor, rotated: bool) -> Tensor:
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
