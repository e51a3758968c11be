"""rosinality/stylegan2-pytorch: `g_ema` of a converted or training file, and pSp's and e4e's `decoder.`.

Training files lack the mean style, old files the noise; pSp and e4e store one mean style a layer.
"""

from torch import Tensor

from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.flat_names import FlatNames
from stylegan2.checkpoints.naming import (
    DROPPED,
    fill_gaps,
    normalized_filter,
    same,
    scalar,
    vector,
    without_first_axis,
)
from stylegan2.checkpoints.pickle_machine import Record, damaged
from stylegan2.checkpoints.tensors import TensorRef, to_tensor

__all__ = ["NAMES", "read_rosinality"]

NAMES = FlatNames(
    format="rosinality",
    constant="input.input",
    mapping="style",
    mapping_parts={"weight": "weight", "bias": "bias"},
    noise="noises.noise_",
    first="conv1",
    others="convs",
    parts={
        "conv.weight": ("weight", without_first_axis),
        "conv.modulation.weight": ("affine.weight", same),
        "conv.modulation.bias": ("affine.bias", same),
        "conv.blur.kernel": ("resample_filter", normalized_filter),
        "noise.weight": ("noise_strength", scalar),
        "activate.bias": ("bias", vector),
        "bias": ("bias", vector),
        "upsample.kernel": DROPPED,
    },
)


def read_rosinality(tensors: Record, outer: Record, budget: Budget) -> Checkpoint:
    """The generator whose tensors are `tensors`; `outer` may hold its mean style.

    Raises:
        CheckpointError: a tensor is unknown or damaged.
    """
    state = NAMES.convert(tensors, budget)
    mean = outer.get("latent_avg")
    notes: tuple[str, ...] = ()
    if isinstance(mean, TensorRef):
        state["mapping.w_avg"], notes = _mean_style(to_tensor(mean, "latent_avg", budget))
    return Checkpoint(NAMES.format, state, notes=(*notes, *fill_gaps(state)))


def _mean_style(mean: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """One mean style, and a note where the file has several that differ."""
    if not mean.ndim:
        raise damaged("a mean style that is one number")
    rows = mean.reshape(-1, mean.shape[-1])
    if bool((rows == rows[0]).all()):
        return rows[0].clone(), ()
    return rows.mean(dim=0), (f"the file has {len(rows)} mean styles that differ; their mean is used",)
