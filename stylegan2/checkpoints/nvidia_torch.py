"""NVIDIA's PyTorch snapshots (`.pkl` of stylegan2-ada-pytorch and of stylegan3), read without running them.

The file is one pickle of a dictionary; its `G_ema` is an object of NVIDIA's persistence scheme: source text,
which the original reader executes and this one ignores, and a `state` that is an nn.Module's `__dict__`. The
tensors are in `_parameters` and `_buffers`, the children in `_modules`, and each layer states its clamp, gain
and activation, so nothing depends on the defaults of either repository.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from ganspace_topdis.errors import CheckpointError
from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.checkpoint import Checkpoint
from stylegan2.checkpoints.inert import make_dictionary
from stylegan2.checkpoints.pickle_machine import Record, damaged, printable
from stylegan2.checkpoints.tensors import to_tensor
from stylegan2.checkpoints.torch_container import storage_from_bytes
from stylegan2.mapping import MAPPING_LR_MULTIPLIER

__all__ = ["nvidia_torch_globals", "read_nvidia_torch"]

FORMAT = "NVIDIA PyTorch pickle"
MAX_MODULES = 2000
MAX_DEPTH = 8


def nvidia_torch_globals(budget: Budget) -> dict[str, Callable[..., Any]]:
    """The names that only these files use."""
    return {
        "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
        "dnnlib.util.EasyDict": make_dictionary,
        "torch.storage._load_from_bytes": lambda data: storage_from_bytes(data, budget),
    }


def read_nvidia_torch(content: Record, budget: Budget) -> Checkpoint:
    """The generator `G_ema` of a snapshot.

    Raises:
        CheckpointError: there is none, it is another kind of network, or it is damaged.
    """
    root = content["G_ema"]
    if not _is_module(root):
        raise damaged("G_ema is no network")
    modules = dict(_modules(root))
    _refuse_other_networks(modules)
    state: dict[str, Tensor] = {}
    for path, module in modules.items():
        for name, value in _tensors(module):
            state[f"{path}.{name}" if path else name] = to_tensor(value, f"{path}.{name}", budget)
    _equalize_rates(modules, state)
    return Checkpoint(FORMAT, state, _overrides(modules))


def _persistent(meta: Any) -> Record:
    if not isinstance(meta, Record) or meta.get("type") != "class" or not isinstance(meta.get("state"), Record):
        raise damaged("a persistent object without its state")
    return meta


def _is_module(value: Any) -> bool:
    return isinstance(value, Record) and isinstance(value.get("state"), Record) and "class_name" in value


def _modules(root: Record) -> Iterator[tuple[str, Record]]:
    """Every module by its path, parents first."""
    waiting: list[tuple[str, Record, int]] = [("", root, 0)]
    count = 0
    while waiting:
        path, module, depth = waiting.pop()
        count += 1
        if count > MAX_MODULES or depth > MAX_DEPTH:
            raise damaged("modules nested or numbered beyond any network")
        yield path, module
        for name, child in _table(module, "_modules").items():
            if child is None:
                continue
            if not _is_module(child) or not isinstance(name, str):
                raise damaged(f"{printable(path)} has a child that is no module")
            waiting.append((f"{path}.{name}" if path else name, child, depth + 1))


def _table(module: Record, name: str) -> Record:
    table = module["state"].get(name, Record())
    if not isinstance(table, Record):
        raise damaged(f"{name} is no table")
    return table


def _tensors(module: Record) -> Iterator[tuple[str, Any]]:
    for table in ("_parameters", "_buffers"):
        for name, value in _table(module, table).items():
            if value is not None and isinstance(name, str):
                yield name, value


def _refuse_other_networks(modules: dict[str, Record]) -> None:
    """StyleGAN3 and StyleGAN-XL use the same container."""
    names = {_text(module.get("class_name")) for module in modules.values()}
    if "SuperresGenerator" in names:
        raise CheckpointError("this is a StyleGAN-XL network; only StyleGAN2 generators can be used")
    if "SynthesisInput" in names or "synthesis.input" in modules:
        raise CheckpointError(
            "this is a StyleGAN3 network, which has no noise and other layers; only StyleGAN2 generators can be used"
        )
    for path, module in modules.items():
        activation = module["state"].get("activation", "lrelu")
        if activation not in ("lrelu", "linear"):
            raise CheckpointError(f"{printable(path)} uses the activation {printable(activation)}, not leaky ReLU")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _equalize_rates(modules: dict[str, Record], state: dict[str, Tensor]) -> None:
    """Rescale mapping layers whose learning rate was not the usual one, so that the usual gains fit them."""
    for path, module in modules.items():
        rate = module["state"].get("bias_gain")
        if path.startswith("mapping.fc") and isinstance(rate, int | float) and rate != MAPPING_LR_MULTIPLIER:
            for name in ("weight", "bias"):
                if f"{path}.{name}" in state:
                    state[f"{path}.{name}"] *= rate / MAPPING_LR_MULTIPLIER


def _overrides(modules: dict[str, Record]) -> dict[str, Any]:
    """The clamp and the number of half-precision blocks, which the layers state."""
    clamps = {module["state"]["conv_clamp"] for module in modules.values() if "conv_clamp" in module["state"]}
    clamps = {float(clamp) if isinstance(clamp, int | float) else None for clamp in clamps}
    shortcuts = {module["state"].get("conv_clamp") for path, module in modules.items() if path.endswith(".skip")}
    if len(clamps) > 1 and not (clamps - {None} and shortcuts == {None}):
        raise CheckpointError("its layers are clamped at different values, which cannot be reproduced")
    half = sum(module["state"].get("use_fp16") is True for module in modules.values())
    return {"conv_clamp": max(clamps - {None}, default=None), "num_fp16_res": half}
