"""The configuration of a StyleGAN2 generator: every size and switch, checked on construction.

The block at resolution r has `min(channel_base / r, channel_max)` channels (configurations E and F of Karras et al.
2020, arXiv:1912.04958: channel_base 16384 and 32768) unless `channels` lists them. A block's resolution is the height
of its activations for a learned constant of 4 x 4; another `base_size` gives rectangular images (StyleGAN-Human, Fu et
al. 2022, arXiv:2204.11823: 4 x 2).
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from stylegan2.ops.kernels import SLOPES, SMOOTH

__all__ = ["ACTIVATIONS", "ARCHITECTURES", "BINOMIAL_TAPS", "GeneratorConfig"]

ACTIVATIONS = (*SLOPES, *SMOOTH)
ARCHITECTURES = ("skip", "orig", "resnet")
BINOMIAL_TAPS = (0.125, 0.375, 0.375, 0.125)
MAX_BASE = 64


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Sizes and switches of a StyleGAN2 generator.

    Attributes:
        z_dim: length of the input code z.
        c_dim: number of classes of a conditional model, 0 for none.
        w_dim: length of the style code w.
        img_resolution: the highest block, a power of two, at least 4. Images have this height and width, px, unless
            `base_size` differs.
        base_size: height and width of the learned constant, px; images are `img_resolution / 4` times as large.
        img_channels: channels of the images.
        num_mapping_layers: fully connected layers of the mapping network.
        mapping_features: width of its hidden layers; None: `w_dim`.
        embed_features: width of the class embedding; None: `w_dim`.
        joint_normalization: normalize z and the class embedding together, as NVIDIA's first TensorFlow release does,
            instead of separately.
        channel_base: channels at resolution r are min(channel_base / r, channel_max).
        channel_max: see `channel_base`.
        channels: channels at 4, 8, 16, ... px; None: the rule of `channel_base`.
        architecture: "skip" (one image per resolution, summed), "orig", or "resnet".
        activation: that of the convolutions, one of `ACTIVATIONS`, the names of NVIDIA's `bias_act`.
        mapping_activation: that of the mapping network.
        conv_clamp: activations are clamped to this value times the layer's gain; None: no clamp.
        use_noise: whether every convolution adds a noise image.
        resample_taps: the four taps of the separable low-pass filter, with a sum of 1.
        num_fp16_res: how many of the highest resolutions, 8 px or more, use half precision for images on a GPU.
            Gradients, and everything on a CPU, use single precision.

    Raises:
        InvalidArgumentError: a value is not allowed.
    """

    z_dim: int = 512
    c_dim: int = 0
    w_dim: int = 512
    img_resolution: int = 256
    base_size: tuple[int, int] = (4, 4)
    img_channels: int = 3
    num_mapping_layers: int = 8
    mapping_features: int | None = None
    embed_features: int | None = None
    joint_normalization: bool = False
    channel_base: int = 32768
    channel_max: int = 512
    channels: tuple[int, ...] | None = None
    architecture: str = "skip"
    activation: str = "lrelu"
    mapping_activation: str = "lrelu"
    conv_clamp: float | None = None
    use_noise: bool = True
    resample_taps: tuple[float, ...] = BINOMIAL_TAPS
    num_fp16_res: int = 0

    def __post_init__(self) -> None:
        for name in ("z_dim", "w_dim", "img_channels", "num_mapping_layers", "channel_base", "channel_max"):
            _check(name, getattr(self, name), _whole(getattr(self, name), 1), "a whole number of at least 1")
        for name in ("c_dim", "num_fp16_res"):
            _check(name, getattr(self, name), _whole(getattr(self, name), 0), "a whole number of at least 0")
        for name in ("mapping_features", "embed_features"):
            value = getattr(self, name)
            _check(name, value, value is None or _whole(value, 1), "None or a whole number of at least 1")
        side = self.img_resolution
        power = _whole(side, 4) and side & (side - 1) == 0
        _check("img_resolution", side, power, "a power of two of at least 4")
        _check("architecture", self.architecture, self.architecture in ARCHITECTURES, "skip, orig or resnet")
        for name in ("activation", "mapping_activation"):
            value = getattr(self, name)
            _check(name, value, value in ACTIVATIONS, f"one of {', '.join(ACTIVATIONS)}")
        clamp = self.conv_clamp
        _check("conv_clamp", clamp, clamp is None or (_finite(clamp) and clamp > 0), "None or a positive number")
        for name in ("use_noise", "joint_normalization"):
            _check(name, getattr(self, name), isinstance(getattr(self, name), bool), "True or False")
        self._check_sequences()

    def _check_sequences(self) -> None:
        """Check the fields that hold several numbers, and make tuples of the lists that JSON returns."""
        size = self.base_size
        good = isinstance(size, list | tuple) and len(size) == 2 and all(_whole(n, 1) and n <= MAX_BASE for n in size)
        _check("base_size", size, good, f"two numbers of 1 to {MAX_BASE}")
        object.__setattr__(self, "base_size", tuple(size))
        taps = self.resample_taps
        good = isinstance(taps, list | tuple) and len(taps) == 4 and all(map(_finite, taps))
        _check("resample_taps", taps, good and abs(sum(taps) - 1) < 1e-3, "four numbers with a sum of 1")
        object.__setattr__(self, "resample_taps", tuple(map(float, taps)))
        if self.channels is not None:
            widths, count = self.channels, len(self.resolutions)
            good = isinstance(widths, list | tuple) and len(widths) == count and all(_whole(n, 1) for n in widths)
            _check("channels", widths, good, f"{count} positive numbers, one per resolution")
            object.__setattr__(self, "channels", tuple(widths))

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The resolutions of the blocks: 4, 8, ..., `img_resolution`."""
        return tuple(2**power for power in range(2, self.img_resolution.bit_length()))

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of channels at each of `resolutions`."""
        if self.channels is not None:
            return self.channels
        return tuple(max(1, min(self.channel_base // res, self.channel_max)) for res in self.resolutions)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images, px."""
        return self.size_at(self.img_resolution)

    def size_at(self, resolution: int) -> tuple[int, int]:
        """Return height and width of the activations of the block at `resolution`, px."""
        height, width = self.base_size
        return height * resolution // 4, width * resolution // 4

    @property
    def num_ws(self) -> int:
        """The number of style codes: one per convolution, and one for the last image layer."""
        return 2 * len(self.resolutions)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)


def _check(name: str, value: object, good: bool, allowed: str) -> None:
    if not good:
        raise InvalidArgumentError(f"{name}={str(value)[:60]!r} is not allowed; give {allowed}", field=name)


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
