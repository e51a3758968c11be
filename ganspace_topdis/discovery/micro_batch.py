"""How a generator is run in a search: precision, compilation, and micro-batches that bound the memory.

Outputs are computed in micro-batches whose forward pass is repeated in the backward pass (checkpointing, Chen et al.
2016, arXiv:1604.06174), so memory is that of one micro-batch for any number of codes.

The size of a micro-batch is measured. The bytes that autograd saves for the backward pass are counted for one code and
for two; the difference is the cost of a code, without the weights that all codes share. These bytes get a third of the
free memory: the backward pass needs as much again, and the rest is for features. Sizes are powers of two, so that small
changes of the free memory do not change them. If memory runs out all the same, because another process takes some of
it, a search continues with half the micro-batch.
"""

import math
import warnings

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.generators import Generate
from ganspace_topdis.runs.devices import free_memory_bytes
from ganspace_topdis.runs.distributed import all_reduce_min, row_parallel

__all__ = [
    "bytes_per_code",
    "choose_micro_batch",
    "compiled",
    "features_of",
    "halved",
    "in_mixed_precision",
    "outputs_of",
]

_SHARE = 1 / 3


def features_of(generate: Generate, codes: Tensor, micro_batch: int) -> Tensor:
    """Outputs for `codes` (N, D), flattened to (N, F); see `outputs_of`."""
    return outputs_of(generate, codes, micro_batch).flatten(1)


def outputs_of(generate: Generate, codes: Tensor, micro_batch: int) -> Tensor:
    """Outputs (N, ...) for `codes` (N, D), with the graph of one micro-batch alive at a time.

    More than one micro-batch costs a second forward pass in the backward pass. In a run of several processes, each
    process computes its part of the rows (see `runs.distributed`).
    """
    return row_parallel(lambda part: _in_micro_batches(generate, part, micro_batch), codes)


def _in_micro_batches(generate: Generate, codes: Tensor, micro_batch: int) -> Tensor:
    if len(codes) <= micro_batch or not torch.is_grad_enabled():
        return torch.cat([generate(chunk) for chunk in codes.split(micro_batch)])
    return torch.cat([checkpoint(generate, chunk, use_reentrant=False) for chunk in codes.split(micro_batch)])


def choose_micro_batch(generate: Generate, codes: Tensor, *, most: int, free_bytes: int | None = None) -> int:
    """The largest power of two of codes, at most `most` rounded up to one, whose graph fits into free memory.

    All processes of a run take the smallest of their sizes, because they work in step.

    Args:
        generate: codes (N, D) -> images or features (N, ...).
        codes: (n, D), n >= 2, on the device of the computation.
        most: number of codes in a batch.
        free_bytes: free memory, bytes; measured on the device of `codes` by default.
    """
    if free_bytes is None:
        free_bytes = free_memory_bytes(codes.device)
    size = 1 << (most - 1).bit_length()
    fitting = math.inf if free_bytes is None else _SHARE * free_bytes / max(bytes_per_code(generate, codes), 1)
    while size > 1 and size > fitting:
        size //= 2
    return all_reduce_min(size)


def halved(micro_batch: int) -> int:
    """Half of a micro-batch that does not fit into the memory of the device, with a warning.

    Raises:
        TopdisError: the micro-batch is a single code, or several processes work in step.
    """
    smaller = micro_batch // 2
    if not smaller:
        raise TopdisError(
            "the device is out of memory with one code at a time; use a smaller `batch_size` or another `device`"
        )
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        raise TopdisError(f"one of the devices is out of memory; set `micro_batch` to {smaller}")
    warnings.warn(
        f"the device is out of memory: `micro_batch` is {smaller} from now on, instead of {micro_batch}", stacklevel=3
    )
    return smaller


def bytes_per_code(generate: Generate, codes: Tensor) -> int:
    """Bytes that autograd saves per code of `codes` (n, D), n >= 2, until the backward pass."""
    return max(_saved_bytes(generate, codes[:2]) - _saved_bytes(generate, codes[:1]), 0)


def _saved_bytes(generate: Generate, codes: Tensor) -> int:
    storages: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    leaf = codes.detach().clone().requires_grad_(True)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        outputs = generate(leaf)  # alive until all storages are counted, so that no address is used twice
    return sum(storages.values()) + outputs.untyped_storage().nbytes()


def in_mixed_precision(generate: Generate) -> Generate:
    """`generate` under autocast to bfloat16, with float32 outputs: distances and barcodes are never rounded."""

    def run(codes: Tensor) -> Tensor:
        with torch.autocast(codes.device.type, dtype=torch.bfloat16):
            return generate(codes).float()

    return run


def compiled(generate: Generate) -> Generate:
    """`generate` compiled by `torch.compile`.

    Raises:
        TopdisError: at the first call, if this machine cannot compile.
    """
    fast = torch.compile(generate)
    worked = False

    def run(codes: Tensor) -> Tensor:
        nonlocal worked
        try:
            result: Tensor = fast(codes)
        except Exception as error:  # torch._dynamo raises a dozen types, and so does the compiler below it
            if worked:
                raise
            raise TopdisError(
                f"the generator cannot be compiled on this machine ({type(error).__name__}); search without `compile`"
            ) from error
        worked = True
        return result

    return run
