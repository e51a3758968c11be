"""Low-pass filtering of images by a filter of 4 x 4 taps, the outer product of four with themselves.

For an image u and taps f the filtered image is v[k] = sum_j f[j] u[k + 2 - j] along each axis (a true
convolution, one pixel of zeros around). Upsampling by two stuffs zeros between the pixels and filters with gain 4
and padding (2, 1). Beyond the border lie zeros, so the outermost pixels differ from `interpolate`'s bilinear image.
In plain torch both are depthwise convolutions, which are quick on a CPU where the activations lie channels-last in
memory (docs/speed.md).
Source: Zhang 2019, arXiv:1904.11486; Karras et al. 2020, arXiv:1912.04958, appendix B.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan2.ops.upfirdn2d import Resampling, upfirdn2d

__all__ = ["filter_image", "outer_filter", "upsample_image"]


def outer_filter(taps: Sequence[float]) -> Tensor:
    """The (4, 4) kernel of which `taps` are the factor on both axes."""
    return torch.tensor([[row * column for column in taps] for row in taps], dtype=torch.float32)


def filter_image(x: Tensor, fir: Tensor, gain: float = 1.0) -> Tensor:
    """Filter (B, C, H, W) with `fir` (4, 4) times `gain`: (B, C, H - 1, W - 1), one row of zeros put around."""
    return upfirdn2d(x, fir, Resampling(padding=(1, 1, 1, 1)), gain=gain)


def upsample_image(x: Tensor, fir: Tensor) -> Tensor:
    """Double both sides of (B, C, H, W): zeros stuffed in, then `fir` (4, 4) with gain 4."""
    return upfirdn2d(x, fir, Resampling(up=2, padding=(2, 1, 2, 1)), gain=4.0)
