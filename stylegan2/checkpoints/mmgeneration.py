"""MMGeneration (`state_dict` with `generator_ema.`): rosinality's tensors renamed, without the mean style.

Models that were trained there read their pictures with OpenCV, so their channels may be in the order blue,
green, red; no tensor tells which.
"""

from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.flat_names import FlatNames
from stylegan2.checkpoints.naming import (
    DROPPED,
    convert,
    fill_gaps,
    normalized_filter,
    same,
    scalar,
    vector,
    without_first_axis,
)
from stylegan2.checkpoints.pickle_machine import Record

__all__ = ["NAMES", "read_mmgeneration"]

FORMAT = "MMGeneration"
NAMES = FlatNames(
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


def read_mmgeneration(tensors: Record, budget: Budget) -> Checkpoint:
    """The generator whose tensors are `tensors`.

    Raises:
        CheckpointError: a tensor is unknown or damaged.
    """
    state = convert(tensors.items(), NAMES.rename, FORMAT, budget)
    note = "models trained with MMGeneration may give blue, green, red: swap the channels if colours look wrong"
    return Checkpoint(FORMAT, state, notes=(note, *fill_gaps(state)))
