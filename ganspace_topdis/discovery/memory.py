"""How many codes fit into memory at once, measured and not guessed.

Autograd keeps tensors of a forward pass for the backward pass. Their bytes are counted for one code and for two;
the difference is what a code costs, without the weights that all share. A third of the free memory is given to
them: the backward pass makes as much again, and the rest is for features. Powers of two only, so that small
changes of what is free change nothing.
"""

import math

import torch
from torch import Tensor

from ganspace_topdis.generators import Generate
from ganspace_topdis.runs.devices import free_memory_bytes
from ganspace_topdis.runs.distributed import all_reduce_min

__all__ = ["bytes_per_code", "choose_micro_batch"]

_SHARE = 1 / 3


def choose_micro_batch(generate: Generate, codes: Tensor, *, most: int, free_bytes: int | None = None) -> int:
    """The largest power of two of codes, at most `most` rounded up to one, whose graph fits into free memory.

    Processes of one run take the smallest of theirs, as they have to work in step.

    Args:
        generate: codes (N, D) -> images or features.
        codes: two or more, on the device that the work goes to.
        most: codes of a batch.
        free_bytes: free memory; what the device has by default.
    """
    if free_bytes is None:
        free_bytes = free_memory_bytes(codes.device)
    size = 1 << (most - 1).bit_length()
    fitting = math.inf if free_bytes is None else _SHARE * free_bytes / max(bytes_per_code(generate, codes), 1)
    while size > 1 and size > fitting:
        size //= 2
    return all_reduce_min(size)


def bytes_per_code(generate: Generate, codes: Tensor) -> int:
    """Bytes that autograd keeps for each code of `codes` (two or more) until the backward pass."""
    return max(_kept_bytes(generate, codes[:2]) - _kept_bytes(generate, codes[:1]), 0)


def _kept_bytes(generate: Generate, codes: Tensor) -> int:
    storages: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    leaf = codes.detach().clone().requires_grad_(True)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        kept = generate(leaf)  # alive until all is counted, so that no storage's address is used twice
    return sum(storages.values()) + kept.untyped_storage().nbytes()
