"""genforce, SeFa and InterFaceGAN (`generator_smooth`): the TensorFlow weights under names of their own.

As in TensorFlow the style's bias lacks the 1, the kernels of doubling convolutions are flipped on both axes, and
classes are joined to z before the normalisation.
"""

import re

from torch import Tensor

from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.naming import (
    DROPPED,
    Target,
    convert,
    fill_gaps,
    flipped,
    image_layer,
    label_weight,
    layer,
    map_only,
    normalized_filter,
    plus_one,
    same,
    scalar,
    vector,
    without_first_axis,
)
from stylegan2.checkpoints.pickle_machine import Record

__all__ = ["CONSTANT", "read_genforce"]

FORMAT = "genforce"
CONSTANT = "synthesis.early_layer.const"
"""The tensor that no other layout has."""

_MAPPING = re.compile(r"mapping\.dense(\d{1,2})\.(weight|bias)")
_LAYER = re.compile(r"synthesis\.(layer|output|skip_layer)(\d{1,2})\.(.+)")
_PARTS: dict[str, Target] = {
    "weight": ("weight", same),
    "bias": ("bias", vector),
    "style.weight": ("affine.weight", same),
    "style.bias": ("affine.bias", plus_one),
    "noise_strength": ("noise_strength", scalar),
    "noise": ("noise_const", map_only),
    "filter.kernel": ("resample_filter", normalized_filter),
}


def read_genforce(tensors: Record, budget: Budget) -> Checkpoint:
    """The generator whose tensors are `tensors`.

    Raises:
        CheckpointError: a tensor is unknown or damaged.
    """
    state = convert(tensors.items(), _rename, FORMAT, budget)
    joint = "mapping.embed.weight" in state
    if joint:
        state["mapping.embed.bias"] = _no_bias(state["mapping.embed.weight"])
    return Checkpoint(FORMAT, state, {"joint_normalization": joint}, fill_gaps(state))


def _rename(name: str) -> Target | None:
    if name == CONSTANT:
        return "synthesis.b4.const", without_first_axis
    if name == "truncation.w_avg":
        return "mapping.w_avg", same
    if name == "mapping.label_weight":
        return "mapping.embed.weight", label_weight
    if name == "synthesis.upsample.kernel":
        return DROPPED
    if match := _MAPPING.fullmatch(name):
        return f"mapping.fc{match[1]}.{match[2]}", same
    if (match := _LAYER.fullmatch(name)) and match[3] in _PARTS:
        return _rename_part(match[1], int(match[2]), match[3])
    return None


def _rename_part(kind: str, index: int, part: str) -> Target:
    target, change = _PARTS[part]
    if kind == "output":
        return f"{image_layer(index)}.{target}", change
    if kind == "skip_layer":
        return f"{layer(2 * index + 1).removesuffix('conv0')}skip.{target}", change
    doubling = index % 2 == 1
    return f"{layer(index)}.{target}", flipped if doubling and part == "weight" else change


def _no_bias(weight: Tensor) -> Tensor:
    return weight.new_zeros(weight.shape[0])
