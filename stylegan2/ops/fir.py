"""Low-pass filtering of images by a separable filter of four taps.

For an image u and taps f the filtered image is v[k] = sum_j f[j] u[k + 2 - j] along each axis (a true
convolution, one pixel of zeros around). Upsampling by two stuffs zeros between the pixels and filters with gain 4
and padding (2, 1), of which only two taps meet a pixel at a time: out[2i] = 2 (f[0] x[i-1] + f[2] x[i]), out[2i+1] =
2 (f[1] x[i] + f[3] x[i+1]), reading the taps backwards for a filter that is not symmetric. Beyond the border lie
zeros, so the outermost pixels differ from `interpolate`'s bilinear image.
Activations are filtered by a depthwise convolution, which is quick where they lie channels-last in memory (docs/
speed.md); images, of a few channels, are upsampled by slices and additions.
Source: Zhang 2019, arXiv:1904.11486; Karras et al. 2020, arXiv:1912.04958, appendix B.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from stylegan2.ops.upfirdn2d import Resampling, upfirdn2d

__all__ = ["filter_image", "outer_filter", "upsample_image"]


def outer_filter(taps: Sequence[float], device: torch.device | None = None) -> Tensor:
    """The (4, 4) kernel of which `taps` are the factor on both axes."""
    return torch.tensor([[a * b for b in taps] for a in taps], dtype=torch.float32, device=device)


def filter_image(x: Tensor, taps: Sequence[float], gain: float = 1.0) -> Tensor:
    """Filter (B, C, H, W) along both axes: (B, C, H - 1, W - 1), one row of zeros put around. `gain` is for both."""
    return upfirdn2d(x, outer_filter(taps, x.device), Resampling(padding=(1, 1, 1, 1)), gain=gain)


def upsample_image(x: Tensor, taps: Sequence[float]) -> Tensor:
    """Double both sides of (B, C, H, W): zeros stuffed in, then the filter with gain 4."""
    if x.is_cuda:
        return upfirdn2d(x, outer_filter(taps, x.device), Resampling(up=2, padding=(2, 1, 2, 1)), gain=4.0)
    return _upsample_axis(_upsample_axis(x, taps, 2), taps, 3)


def _upsample_axis(x: Tensor, taps: Sequence[float], axis: int) -> Tensor:
    length = x.shape[axis]
    padded = F.pad(x, (0, 0, 1, 1) if axis == 2 else (1, 1, 0, 0))
    before, here, after = (padded.narrow(axis, offset, length) for offset in range(3))
    even = torch.add(before * (2 * taps[3]), here, alpha=2 * taps[1])
    odd = torch.add(here * (2 * taps[2]), after, alpha=2 * taps[0])
    return torch.stack((even, odd), dim=axis + 1).flatten(axis, axis + 1)
