"""BasicSR's StyleGAN2 (`params_ema`): rosinality's tensors renamed, without filters and without the mean style."""

from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.flat_names import FlatNames
from stylegan2.checkpoints.naming import convert, fill_gaps, same, scalar, vector, without_first_axis
from stylegan2.checkpoints.pickle_machine import Record

__all__ = ["NAMES", "read_basicsr"]

FORMAT = "BasicSR"
NAMES = FlatNames(
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


def read_basicsr(tensors: Record, budget: Budget) -> Checkpoint:
    """The generator whose tensors are `tensors`.

    Raises:
        CheckpointError: a tensor is unknown or damaged.
    """
    state = convert(tensors.items(), NAMES.rename, FORMAT, budget)
    return Checkpoint(FORMAT, state, notes=fill_gaps(state))
