"""Nested states as flat tensors and a JSON-able rest, and back, exactly.

`flatten(state)` walks dictionaries, lists and tuples; tensors and numpy arrays go into a flat dictionary named
by their place in the tree, everything else into a JSON-able description. `unflatten` undoes it: same types, same keys
(integers stay integers), same bits, NaN and 128-bit integers of a numpy generator included. Optimisers' state
dictionaries and random states are such trees.

Example:
    >>> tensors, rest = flatten({"betas": (0.9, 0.999), 0: torch.zeros(2)})
    >>> sorted(tensors)
    ['1']
    >>> unflatten(tensors, rest)
    {'betas': (0.9, 0.999), 0: tensor([0., 0.])}
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["flatten", "unflatten"]

_PLAIN = (bool, int, str, type(None))


def flatten(state: Any) -> tuple[dict[str, Tensor], Any]:
    """The tensors and arrays in `state`, by place, and a JSON-able description of all the rest.

    Raises:
        TypeError: something in `state` is neither tensor, array, number, text, None nor a plain container.
    """
    tensors: dict[str, Tensor] = {}
    return tensors, _describe(state, "", tensors)


def unflatten(tensors: Mapping[str, Tensor], rest: Any) -> Any:
    """The state that `flatten` took apart. Mappings come back as plain dictionaries."""
    if isinstance(rest, (*_PLAIN, float)):
        return rest
    [(kind, value)] = rest.items()
    match kind:
        case "dict":
            return {unflatten(tensors, key): unflatten(tensors, item) for key, item in value}
        case "list":
            return [unflatten(tensors, item) for item in value]
        case "tuple":
            return tuple(unflatten(tensors, item) for item in value)
        case "tensor":
            return tensors[value]
        case "array":
            return tensors[value].numpy()
        case "float":
            return float(value)
    raise AssertionError(kind)


def _describe(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[path] = value
        return {"tensor": path}
    if isinstance(value, np.ndarray):
        tensors[path] = torch.from_numpy(value.copy())
        return {"array": path}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        items = enumerate(value.items())
        return {"dict": [[_key(key), _describe(item, _join(path, n), tensors)] for n, (key, item) in items]}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_describe(item, _join(path, n), tensors) for n, item in enumerate(value)]}
    raise TypeError(f"cannot store a {type(value).__name__} at {path or 'the top'} of a checkpoint")


def _key(key: Any) -> Any:
    if isinstance(key, _PLAIN):
        return key
    raise TypeError(f"cannot store the key {key!r} of a checkpoint: keys are text or integers")


def _join(path: str, index: int) -> str:
    return f"{path}.{index}" if path else str(index)
