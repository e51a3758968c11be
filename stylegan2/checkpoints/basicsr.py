"""BasicSR's StyleGAN2 (`params_ema`): rosinality's tensors renamed, without filters and without the mean style."""

from stylegan2.checkpoints.flat_names import FlatNames
from stylegan2.checkpoints.naming import same, scalar, vector, without_first_axis

__all__ = ["NAMES"]

NAMES = FlatNames(
    format="BasicSR",
    constant="constant_input.weight",
    mapping="style_mlp",
    mapping_parts={"weight": "weight", "bias": "bias"},
    noise="noises.noise",
    first="style_conv1",
    others="style_convs",
    parts={
        "modulated_conv.weight": ("weight", without_first_axis),
        "modulated_conv.modulation.weight": ("affine.weight", same),
        "modulated_conv.modulation.bias": ("affine.bias", same),
        "weight": ("noise_strength", scalar),
        "activate.bias": ("bias", vector),
        "bias": ("bias", vector),
    },
)
