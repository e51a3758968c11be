"""Networks that were pickled whole: the modules in one, and its tensors under the names of a state dict.

An nn.Module is an inert record whose state is its `__dict__`: the tensors are in `_parameters` and `_buffers`, the
children in `_modules`. Its class may be unknown here; only its name and its state are looked at.
"""

from collections.abc import Mapping
from typing import Any

from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.pickle_machine import Record, damaged, is_foreign, printable

__all__ = ["is_module", "modules_of", "tensors_of"]

MAX_MODULES = 2000
MAX_DEPTH = 12


def is_module(value: Any) -> bool:
    """Whether `value` stands for an nn.Module."""
    if not isinstance(value, Record) or not is_foreign(value):
        return False
    return isinstance(value.state, Record) and "_modules" in value.state


def modules_of(root: Record, budget: Budget) -> dict[str, Record]:
    """The modules below `root` and itself, parents first: path to record.

    Raises:
        CheckpointError: there are more than any network has, or a child is no module.
    """
    found: dict[str, Record] = {}
    waiting: list[tuple[str, Record, int]] = [("", root, 0)]
    while waiting:
        path, module, depth = waiting.pop()
        if len(found) >= MAX_MODULES or depth > MAX_DEPTH:
            raise damaged("modules nested or numbered beyond any network")
        found[path] = module
        for name, child in _table(module.state, "_modules", budget).items():
            if child is None:
                continue
            if not is_module(child) or not isinstance(name, str):
                raise damaged(f"{printable(path) or 'the network'} has a child {printable(child)}, which is no module")
            waiting.append((f"{path}.{name}" if path else name, child, depth + 1))
    return found


def tensors_of(states: Mapping[str, Record], budget: Budget) -> Record:
    """The parameters and buffers of modules, given path to state, under the names of a state dict.

    Raises:
        CheckpointError: a table of them is none.
    """
    found = Record()
    for path, state in states.items():
        passing = state.get("_non_persistent_buffers_set")
        for table in ("_parameters", "_buffers"):
            for name, value in _table(state, table, budget).items():
                if value is not None and isinstance(name, str) and not (isinstance(passing, set) and name in passing):
                    found[f"{path}.{name}" if path else name] = value
    return found


def _table(state: Record, name: str, budget: Budget) -> Record:
    table = state.get(name, Record())
    if not isinstance(table, Record):
        raise damaged(f"{name} is no table")
    budget.count(len(table))
    return table
