"""Upsamples, filters and downsamples images: y[n] = sum_k f[k] z[n down + k - p], z[m up] = x[m], on both axes.

The adjoint is the same operation with `up` and `down` exchanged and the filter reversed. With K taps, N samples in and
M out, substituting j = K - 1 - k in dx[m] = sum_n dy[n] f[m up + p - n down] gives the padding before, K - 1 - p. The
padding after, (N - 1) up - M down + p + 1, follows from the N samples of dx. Gradients of any order are therefore
calls of the operation itself.

A filter is prepared once for all calls: reversed, multiplied by its gain, and factorized if it is an outer product.
The generator uses filters of 4 x 4 taps, the outer product of four taps. Outside the image are zeros, so the outermost
pixels differ from `interpolate`'s bilinear image. In plain torch these are depthwise convolutions, which are fast on a
CPU for activations in channels-last layout (docs/speed.md).
Sources: Zhang 2019, arXiv:1904.11486; Karras et al. 2020, arXiv:1912.04958, appendix B.
"""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

from stylegan2.ops.build import kernels_for
from stylegan2.ops.kernels import Kernels, SeparableTaps

__all__ = [
    "PreparedFilter",
    "Resampling",
    "filter_image",
    "outer_filter",
    "plain_upfirdn2d",
    "prepared",
    "upfirdn2d",
    "upfirdn2d_by_kernels",
    "upsample_image",
]

_FACTORIZED = 1e-6
"""Largest difference of an outer product from a filter, over the filter's largest tap."""


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """Factors and padding of a resampling.

    Attributes:
        up: upsampling factor; `up` - 1 zeros follow each sample.
        down: downsampling factor; every `down`-th sample is kept.
        padding: zeros added left, right, above and below; negative values crop.
    """

    up: int = 1
    down: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def adjoint(self, inputs: Sequence[int], outputs: Sequence[int], taps: Sequence[int]) -> "Resampling":
        """Return the adjoint's resampling. `inputs`, `outputs` and `taps` are (height, width)."""
        before = {1: self.padding[0], 0: self.padding[2]}
        pads = []
        for axis in (1, 0):
            after = (inputs[axis] - 1) * self.up - outputs[axis] * self.down + before[axis] + 1
            pads += [taps[axis] - 1 - before[axis], after]
        return Resampling(up=self.down, down=self.up, padding=(pads[0], pads[1], pads[2], pads[3]))


def upfirdn2d(x: Tensor, f: Tensor, form: Resampling, *, flip: bool = False, gain: float = 1.0) -> Tensor:
    """Resample x (B, C, H, W) with the filter f (h, w), compiled on a GPU and in plain torch elsewhere.

    Args:
        x: images.
        f: the filter, applied as a convolution.
        form: factors and padding.
        flip: apply the filter as a correlation instead.
        gain: a factor of the filter.
    """
    kernels = kernels_for(x)
    if kernels is None:
        return plain_upfirdn2d(x, _correlation(f, flip, gain), form)
    return upfirdn2d_by_kernels(kernels, x, prepared(f, flip=flip, gain=gain), form)


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedFilter:
    """A correlation filter, as the compiled operations take it.

    Attributes:
        kernel: (h, w).
        taps: four taps along x and four along y whose outer product it is; None if it is none.
    """

    kernel: Tensor
    taps: SeparableTaps | None

    @cached_property
    def reversed(self) -> "PreparedFilter":
        """The filter of the gradient."""
        taps = None if self.taps is None else (self.taps[0][::-1], self.taps[1][::-1])
        return PreparedFilter(kernel=self.kernel.flip(0, 1), taps=taps)


_prepared: MutableMapping[Tensor, tuple[int, dict[tuple[bool, float], PreparedFilter]]] = WeakTensorKeyDictionary()


def prepared(f: Tensor, *, flip: bool = False, gain: float = 1.0) -> PreparedFilter:
    """The correlation filter of f (h, w), made at the first call and cached until f is changed or freed.

    Args:
        f: the filter, applied as a convolution.
        flip: apply it as a correlation instead.
        gain: a factor.
    """
    version, known = _prepared.get(f, (-1, {}))
    if version != f._version:
        version, known = f._version, {}
        _prepared[f] = version, known
    if (flip, gain) not in known:
        kernel = _correlation(f, flip, gain).detach()
        known[flip, gain] = PreparedFilter(kernel=kernel, taps=_factorized(kernel))
    return known[flip, gain]


def _correlation(f: Tensor, flip: bool, gain: float) -> Tensor:
    return gain * (f if flip else f.flip(0, 1))


def _factorized(kernel: Tensor) -> SeparableTaps | None:
    """The taps along x and y of a kernel (4, 4), which its sums are if it is an outer product; None if it is none."""
    if kernel.shape != (4, 4):
        return None
    matrix = kernel.double().cpu()
    total = matrix.sum()
    along_x, along_y = matrix.sum(0), matrix.sum(1) / total
    if not total or (torch.outer(along_y, along_x) - matrix).abs().max() > _FACTORIZED * matrix.abs().max():
        return None
    return tuple(along_x.tolist()), tuple(along_y.tolist())


def plain_upfirdn2d(x: Tensor, f: Tensor, form: Resampling) -> Tensor:
    """Resample with the correlation filter f, in plain torch."""
    batch, channels, height, width = x.shape
    if form.up > 1:
        x = F.pad(x[:, :, :, None, :, None], (0, form.up - 1, 0, 0, 0, form.up - 1))
        x = x.reshape(batch, channels, height * form.up, width * form.up)
    kernel = f.to(x).expand(channels, 1, *f.shape)
    left, right, top, bottom = form.padding
    if left == right >= 0 and top == bottom >= 0:
        return F.conv2d(x, kernel, stride=form.down, padding=(top, left), groups=channels)
    return F.conv2d(F.pad(x, form.padding), kernel, stride=form.down, groups=channels)


def upfirdn2d_by_kernels(kernels: Kernels, x: Tensor, f: PreparedFilter, form: Resampling) -> Tensor:
    """Resample with the filter f and the compiled operations, differentiable in x to any order."""
    result: Tensor = _Upfirdn2d.apply(x, f, kernels, form)
    return result


class _Upfirdn2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, f: PreparedFilter, kernels: Kernels, form: Resampling) -> Tensor:
        y = kernels.upfirdn2d(x, f.kernel, up=form.up, down=form.down, padding=form.padding, taps=f.taps)
        ctx.f, ctx.kernels = f, kernels
        ctx.back = form.adjoint(x.shape[2:], y.shape[2:], f.kernel.shape)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        return _Upfirdn2d.apply(dy, ctx.f.reversed, ctx.kernels, ctx.back), None, None, None


def outer_filter(taps: Sequence[float]) -> Tensor:
    """Return the (4, 4) outer product of four `taps`."""
    return torch.tensor([[row * column for column in taps] for row in taps], dtype=torch.float32)


def filter_image(x: Tensor, fir: Tensor, gain: float = 1.0) -> Tensor:
    """Filter (B, C, H, W) with `fir` (4, 4) times `gain`, padded with one zero: (B, C, H - 1, W - 1)."""
    return upfirdn2d(x, fir, Resampling(padding=(1, 1, 1, 1)), gain=gain)


def upsample_image(x: Tensor, fir: Tensor) -> Tensor:
    """Double both sides of (B, C, H, W): insert zeros, then filter with `fir` (4, 4) and gain 4."""
    return upfirdn2d(x, fir, Resampling(up=2, padding=(2, 1, 2, 1)), gain=4.0)
