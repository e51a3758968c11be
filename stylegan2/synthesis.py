"""The synthesis network: styles w to an image, with one block per resolution from 4 px.

A layer is a modulated convolution (upsampling in the first layer of a block), plus noise, plus bias, an activation
(usually leaky ReLU) times its gain, and a clamp. A block has two layers; the 4 px block has one, whose input is a
learned constant. The image is the sum of one 1x1 convolution per block, each upsampled to the next resolution ("skip"),
or that of the last block alone ("orig", and "resnet", whose blocks add a filtered 1x1 shortcut). Styles are used in
order; the image layer of a block shares its style with the first convolution of the next block. Checkpoints declare how
many of the highest resolutions run in half precision; that applies to images on a GPU.
Source: Karras et al. 2020, arXiv:1912.04958, figures 2 and 7.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganspace_topdis.errors import InvalidArgumentError
from stylegan2.config import GeneratorConfig
from stylegan2.mapping import FullyConnected, standard_normal
from stylegan2.ops.bias_act import GAINS, scaled_bias_act
from stylegan2.ops.modulated_conv import convolve, convolve_up, demodulation, within_half_range
from stylegan2.ops.upfirdn2d import outer_filter, upsample_image

__all__ = ["NOISE_MODES", "SynthesisBlock", "SynthesisNetwork"]

NOISE_MODES = ("const", "random", "none")


class SynthesisLayer(nn.Module):
    """One modulated 3x3 convolution with noise, bias and activation: (B, I, H, W) to (B, O, H', W')."""

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int, resolution: int, config: GeneratorConfig, *, up: bool):
        super().__init__()
        self.size, self.up, self.use_noise = config.size_at(resolution), up, config.use_noise
        self.conv_clamp, self.act = config.conv_clamp, config.activation
        self.affine = FullyConnected(config.w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(standard_normal(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("resample_filter", outer_filter(config.resample_taps))
        if self.use_noise:
            self.register_buffer("noise_const", standard_normal(*self.size))
            self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, w: Tensor, noise_mode: str, gain: float = 1.0) -> Tensor:
        """Apply the layer to x with styles w (B, w_dim). `gain` scales the output."""
        weight: Tensor = self.weight
        styles = self.affine(w)
        if x.dtype == torch.float16:
            weight, styles = within_half_range(weight, styles)
        scale = demodulation(weight, styles)
        x = convolve_up(x, weight, styles, self.resample_filter) if self.up else convolve(x, weight, styles)
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        noise = self._noise(x, noise_mode)
        return scaled_bias_act(x, scale, self.bias, noise, act=self.act, gain=GAINS[self.act] * gain, clamp=clamp)

    def _noise(self, x: Tensor, noise_mode: str) -> Tensor | None:
        if not self.use_noise or noise_mode == "none":
            return None
        if noise_mode == "const":
            return self.noise_const * self.noise_strength
        shape = (x.shape[0], 1, *self.size)
        return torch.randn(shape, dtype=self.bias.dtype, device=x.device) * self.noise_strength


class ToRGB(nn.Module):
    """The modulated 1x1 convolution, without demodulation, that turns activations into an image."""

    def __init__(self, in_channels: int, config: GeneratorConfig):
        super().__init__()
        self.conv_clamp = config.conv_clamp
        self.affine = FullyConnected(config.w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(standard_normal(config.img_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(config.img_channels))
        self.weight_gain = 1 / math.sqrt(in_channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map activations (B, C, H, W) and styles (B, w_dim) to an image (B, img_channels, H, W)."""
        kernels = self.weight[:, :, 0, 0].t() * (self.affine(w) * self.weight_gain)[:, :, None]
        pixels = torch.baddbmm(self.bias.to(x.dtype), x.permute(0, 2, 3, 1).flatten(1, 2), kernels.to(x.dtype))
        image = pixels.transpose(1, 2).to(w.dtype).contiguous().unflatten(2, x.shape[2:])
        return image if self.conv_clamp is None else image.clamp(-self.conv_clamp, self.conv_clamp)


class Shortcut(nn.Module):
    """The upsampling 1x1 convolution of a "resnet" block."""

    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int, config: GeneratorConfig):
        super().__init__()
        self.weight = nn.Parameter(standard_normal(out_channels, in_channels, 1, 1))
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.register_buffer("resample_filter", outer_filter(config.resample_taps))

    def forward(self, x: Tensor, gain: float) -> Tensor:
        """Map (B, I, H, W) to (B, O, 2H, 2W)."""
        return upsample_image(F.conv2d(x, (self.weight * (self.weight_gain * gain)).to(x.dtype)), self.resample_filter)


class SynthesisBlock(nn.Module):
    """All layers of one resolution.

    Attributes:
        num_conv: the number of its convolutions and of their styles, 1 at 4 px and 2 above.
    """

    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int, resolution: int, config: GeneratorConfig):
        super().__init__()
        self.resolution, self.architecture = resolution, config.architecture
        self.num_conv = 1 if in_channels == 0 else 2
        self.runs_in_half = resolution >= max(8, 2 * config.img_resolution >> min(config.num_fp16_res, 32))
        self.register_buffer("resample_filter", outer_filter(config.resample_taps))
        if in_channels == 0:
            self.const = nn.Parameter(standard_normal(out_channels, *config.base_size))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, resolution, config, up=True)
        self.conv1 = SynthesisLayer(out_channels, out_channels, resolution, config, up=False)
        self.has_image = resolution == config.img_resolution or self.architecture == "skip"
        if self.has_image:
            self.torgb = ToRGB(out_channels, config)
        if in_channels > 0 and self.architecture == "resnet":
            self.skip = Shortcut(in_channels, out_channels, config)

    def activations(
        self, x: Tensor | None, ws: Sequence[Tensor], noise_mode: str, *, force_fp32: bool = False
    ) -> Tensor:
        """Apply the convolutions to x (None at 4 px) with `num_conv` styles: (B, O, H, W)."""
        if x is None:
            x = self.const.expand(ws[0].shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
            return self.conv1(x, ws[0], noise_mode)
        x = x.to(self.conv1.weight.dtype if force_fp32 else self._precision(x))
        if self.architecture != "resnet":
            return self.conv1(self.conv0(x, ws[0], noise_mode), ws[1], noise_mode)
        beside = self.skip(x, math.sqrt(0.5))
        return beside + self.conv1(self.conv0(x, ws[0], noise_mode), ws[1], noise_mode, math.sqrt(0.5))

    def _precision(self, x: Tensor) -> torch.dtype:
        """Return half precision if the checkpoint declares it, on a GPU without gradients; else single precision."""
        if self.runs_in_half and x.is_cuda and not torch.is_grad_enabled():
            return torch.float16
        return self.conv1.weight.dtype

    def image(self, x: Tensor, w: Tensor, below: Tensor | None) -> Tensor | None:
        """Return this block's image plus the upsampled image `below`; None if there is no image yet."""
        above = None if below is None else upsample_image(below, self.resample_filter)
        if not self.has_image:
            return above
        image = self.torgb(x, w)
        return image if above is None else above + image


class SynthesisNetwork(nn.Module):
    """Maps styles w (B, num_ws, w_dim) to images (B, img_channels, H, W)."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.w_dim, self.num_ws = config.w_dim, config.num_ws
        self.img_resolution, self.img_channels = config.img_resolution, config.img_channels
        self.resolutions = config.resolutions
        below = 0
        for resolution, width in zip(config.resolutions, config.widths, strict=True):
            self.add_module(f"b{resolution}", SynthesisBlock(below, width, resolution, config))
            below = width

    def block(self, resolution: int) -> SynthesisBlock:
        """Return the block of that resolution."""
        block = self.get_submodule(f"b{resolution}")
        assert isinstance(block, SynthesisBlock)
        return block

    def forward(self, w: Tensor, noise_mode: str = "const", *, force_fp32: bool = False) -> Tensor:
        """Generate images, nominally in [-1, 1], not clamped.

        Args:
            w: styles (B, num_ws, w_dim).
            noise_mode: "const" (the noise stored with the weights), "random" (from torch's global generator) or
                "none".
            force_fp32: compute in single precision also what the checkpoint declares to run in half on a GPU.

        Raises:
            InvalidArgumentError: the shape of `w` or the value of `noise_mode` is not allowed.
        """
        styles = self._styles(w, noise_mode)
        x: Tensor | None = None
        image: Tensor | None = None
        first = 0
        for resolution in self.resolutions:
            block = self.block(resolution)
            x = block.activations(x, styles[first : first + block.num_conv], noise_mode, force_fp32=force_fp32)
            first += block.num_conv
            image = block.image(x, styles[first], image)
        assert image is not None
        return image

    def features(self, w: Tensor, resolution: int = 16, noise_mode: str = "const") -> Tensor:
        """Return the activations (B, C, H, W) of the block at `resolution`, without computing higher blocks.

        They are in single precision, with gradients and without: a search and its evaluation compare the same numbers.

        Raises:
            InvalidArgumentError: there is no such block, or as `forward`.
        """
        if resolution not in self.resolutions:
            allowed = ", ".join(map(str, self.resolutions))
            raise InvalidArgumentError(
                f"resolution={resolution} is not a block of this generator; give one of {allowed}", field="resolution"
            )
        styles = self._styles(w, noise_mode)
        x: Tensor | None = None
        first = 0
        for current in self.resolutions[: self.resolutions.index(resolution) + 1]:
            block = self.block(current)
            x = block.activations(x, styles[first : first + block.num_conv], noise_mode, force_fp32=True)
            first += block.num_conv
        assert x is not None
        return x.to(w.dtype)

    def _styles(self, w: Tensor, noise_mode: str) -> tuple[Tensor, ...]:
        if noise_mode not in NOISE_MODES:
            raise InvalidArgumentError(
                f"noise_mode={noise_mode!r} is not allowed; give const, random or none", field="noise_mode"
            )
        if w.ndim != 3 or w.shape[1:] != (self.num_ws, self.w_dim):
            raise InvalidArgumentError(
                f"w has shape {tuple(w.shape)}; this generator takes (batch, {self.num_ws}, {self.w_dim})"
            )
        return w.to(self.block(4).const).unbind(dim=1)
