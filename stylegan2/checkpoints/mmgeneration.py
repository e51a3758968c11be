"""MMGeneration (`state_dict` with `generator_ema.`): rosinality's tensors renamed, without the mean style.

Models that were trained there read their pictures with OpenCV, so their channels may be in the order blue,
green, red; no tensor tells which.
"""

from stylegan2.checkpoints.flat_names import FlatNames
from stylegan2.checkpoints.naming import (
    DROPPED,
    normalized_filter,
    same,
    scalar,
    vector,
    without_first_axis,
)

__all__ = ["NAMES"]

NAMES = FlatNames(
    format="MMGeneration",
    note="models trained with MMGeneration may give blue, green, red: swap the channels if colours look wrong",
    constant="constant_input.input",
    mapping="style_mapping",
    mapping_parts={"linear.weight_orig": "weight", "bias": "bias"},
    noise="injected_noise_",
    first="conv1",
    others="convs",
    parts={
        "conv.weight_orig": ("weight", without_first_axis),
        "conv.style_modulation.linear.weight_orig": ("affine.weight", same),
        "conv.style_modulation.bias": ("affine.bias", same),
        "conv.blur.kernel": ("resample_filter", normalized_filter),
        "noise_injector.weight": ("noise_strength", scalar),
        "activate.bias": ("bias", vector),
        "bias": ("bias", vector),
        "upsample.kernel": DROPPED,
    },
)
