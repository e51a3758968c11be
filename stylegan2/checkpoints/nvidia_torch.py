"""NVIDIA's PyTorch networks (of stylegan2-ada-pytorch and of stylegan3), read without running them.

A snapshot is one pickle of a dictionary; its `G_ema` is an object of NVIDIA's persistence scheme: source text,
which the original reader executes and this one ignores, and the `__dict__` of an nn.Module. PTI and others keep
such a network with `torch.save`. Each layer states its clamp, gain and activation, so nothing depends on the
defaults of either repository.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ganspace_topdis.errors import CheckpointError
from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.modules import tensors_of
from stylegan2.checkpoints.pickle_machine import Record, printable
from stylegan2.checkpoints.tensors import to_tensor
from stylegan2.mapping import MAPPING_LR_MULTIPLIER

__all__ = ["read_nvidia_torch"]

FORMAT = "NVIDIA PyTorch pickle"


def read_nvidia_torch(modules: Mapping[str, Record], budget: Budget) -> Checkpoint:
    """The generator that `modules` (path to state, see `modules.py`) are the parts of.

    Raises:
        CheckpointError: it is damaged, or has parts that cannot be reproduced.
    """
    _refuse_other_activations(modules)
    tensors = tensors_of(modules, budget).items()
    state = {name: to_tensor(value, name, budget) for name, value in tensors}
    _equalize_rates(modules, state)
    return Checkpoint(FORMAT, state, _overrides(modules))


def _refuse_other_activations(modules: Mapping[str, Record]) -> None:
    for path, state in modules.items():
        activation = state.get("activation", "lrelu")
        if not isinstance(activation, str) or activation not in ("lrelu", "linear"):
            raise CheckpointError(f"{printable(path)} uses the activation {printable(activation)}, not leaky ReLU")


def _equalize_rates(modules: Mapping[str, Record], state: dict[str, Tensor]) -> None:
    """Rescale mapping layers whose learning rate was not the usual one, so that the usual gains fit them."""
    for path, module in modules.items():
        rate = module.get("bias_gain")
        if path.startswith("mapping.fc") and isinstance(rate, int | float) and rate != MAPPING_LR_MULTIPLIER:
            for name in ("weight", "bias"):
                if f"{path}.{name}" in state:
                    state[f"{path}.{name}"] *= rate / MAPPING_LR_MULTIPLIER


def _overrides(modules: Mapping[str, Record]) -> dict[str, Any]:
    """The clamp and the number of half-precision blocks, which the layers state."""
    clamps = {_clamp(module["conv_clamp"]) for module in modules.values() if "conv_clamp" in module}
    shortcuts = {_clamp(module.get("conv_clamp")) for path, module in modules.items() if path.endswith(".skip")}
    if len(clamps) > 1 and not (clamps - {None} and shortcuts == {None}):
        raise CheckpointError("its layers are clamped at different values, which cannot be reproduced")
    half = sum(module.get("use_fp16") is True for module in modules.values())
    return {"conv_clamp": max((clamp for clamp in clamps if clamp is not None), default=None), "num_fp16_res": half}


def _clamp(value: Any) -> float | None:
    """The clamp that a layer states; what is no number, such as an object of a foreign class, is none."""
    return float(value) if isinstance(value, int | float) else None
