"""Networks pickled as whole modules, among them NVIDIA's PyTorch snapshots, read without running their code.

An nn.Module is an inert record whose state is its `__dict__`: tensors in `_parameters` and `_buffers`, children in
`_modules`. Its class may be unknown; only its name and its state are read.

A snapshot of stylegan2-ada-pytorch or stylegan3 is a pickle of a dictionary. Its `G_ema` is an object of NVIDIA's
persistence scheme: a module's state, and source text, which the original reader executes and this one ignores. PTI and
others save such a network with `torch.save`. Each layer declares its clamp, gain and activation, so nothing depends on
the defaults of either repository.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.safe_pickle.records import Budget, Record, damaged, is_foreign, printable, to_tensor
from stylegan2.checkpoints.key_mapping import GeneratorWeights
from stylegan2.config import ACTIVATIONS
from stylegan2.mapping import MAPPING_LR_MULTIPLIER

__all__ = ["is_module", "modules_of", "read_nvidia_torch", "tensors_of"]

FORMAT = "NVIDIA PyTorch pickle"
MAX_MODULES = 2000
MAX_DEPTH = 12


def is_module(value: Any) -> bool:
    """Whether `value` stands for an nn.Module."""
    if not isinstance(value, Record) or not is_foreign(value):
        return False
    return isinstance(value.state, Record) and "_modules" in value.state


def modules_of(root: Record, budget: Budget) -> dict[str, Record]:
    """Return `root` and all modules below it, parents first, as path to record.

    Raises:
        CheckpointError: there are too many modules, or a child is not a module.
    """
    found: dict[str, Record] = {}
    waiting: list[tuple[str, Record, int]] = [("", root, 0)]
    while waiting:
        path, module, depth = waiting.pop()
        if len(found) >= MAX_MODULES or depth > MAX_DEPTH:
            raise damaged("too many modules, or too deeply nested ones")
        found[path] = module
        for name, child in _table(module.state, "_modules", budget).items():
            if child is None:
                continue
            if not is_module(child) or not isinstance(name, str):
                raise damaged(f"{printable(path) or 'the network'} has a child {printable(child)}, which is no module")
            waiting.append((f"{path}.{name}" if path else name, child, depth + 1))
    return found


def tensors_of(states: Mapping[str, Record], budget: Budget) -> Record:
    """Return the parameters and persistent buffers of modules (path to state) under the names of a state dict.

    Raises:
        CheckpointError: a table of tensors is damaged.
    """
    found = Record()
    for path, state in states.items():
        excluded = state.get("_non_persistent_buffers_set")
        for table in ("_parameters", "_buffers"):
            for name, value in _table(state, table, budget).items():
                if value is not None and isinstance(name, str) and not (isinstance(excluded, set) and name in excluded):
                    found[f"{path}.{name}" if path else name] = value
    return found


def _table(state: Record, name: str, budget: Budget) -> Record:
    table = state.get(name, Record())
    if not isinstance(table, Record):
        raise damaged(f"{name} is not a table")
    budget.spend_elements(len(table))
    return table


def read_nvidia_torch(modules: Mapping[str, Record], budget: Budget) -> GeneratorWeights:
    """Return the generator that consists of `modules`, path to state.

    Raises:
        CheckpointError: a module is damaged, or cannot be reproduced.
    """
    tensors = tensors_of(modules, budget).items()
    state = {name: to_tensor(value, name, budget) for name, value in tensors}
    _equalize_learning_rates(modules, state)
    return GeneratorWeights(FORMAT, state, {**_overrides(modules), **_activations(modules)})


def _activations(modules: Mapping[str, Record]) -> dict[str, str]:
    """Return the activations of the mapping layers and of the convolutions, as they declare them."""
    found: dict[str, str] = {}
    for path, module in modules.items():
        act = module.get("activation")
        if act is None:
            continue
        if not isinstance(act, str) or act not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise CheckpointError(f"{printable(path)} uses the activation {printable(act)}; only {known} are supported")
        field = _activation_field(path)
        expected = "linear" if field is None else found.setdefault(field, act)
        if act != expected:
            raise CheckpointError(f"{printable(path)} uses {act}, other layers of its kind {expected}: not supported")
    return found


def _activation_field(path: str) -> str | None:
    """Return the field of `GeneratorConfig` with the activation of the module at `path`, None if that is linear."""
    if path.startswith("mapping.fc"):
        return "mapping_activation"
    return "activation" if path.endswith((".conv0", ".conv1")) else None


def _equalize_learning_rates(modules: Mapping[str, Record], state: dict[str, Tensor]) -> None:
    """Rescale mapping layers with another learning-rate multiplier, so that the usual gains apply."""
    for path, module in modules.items():
        rate = module.get("bias_gain")
        if path.startswith("mapping.fc") and isinstance(rate, int | float) and rate != MAPPING_LR_MULTIPLIER:
            for name in ("weight", "bias"):
                if f"{path}.{name}" in state:
                    state[f"{path}.{name}"] *= rate / MAPPING_LR_MULTIPLIER


def _overrides(modules: Mapping[str, Record]) -> dict[str, Any]:
    """Return the clamp and the number of half-precision blocks, as the layers declare them."""
    clamps = {_clamp(module["conv_clamp"]) for module in modules.values() if "conv_clamp" in module}
    shortcuts = {_clamp(module.get("conv_clamp")) for path, module in modules.items() if path.endswith(".skip")}
    if len(clamps) > 1 and not (clamps - {None} and shortcuts == {None}):
        raise CheckpointError("its layers have different clamps, which is not supported")
    half = sum(module.get("use_fp16") is True for module in modules.values())
    return {"conv_clamp": max((clamp for clamp in clamps if clamp is not None), default=None), "num_fp16_res": half}


def _clamp(value: Any) -> float | None:
    """Return the clamp that a layer declares, None if it is not a number."""
    return float(value) if isinstance(value, int | float) else None
