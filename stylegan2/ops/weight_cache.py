"""Caches values derived only from the weights, as long as the caller guarantees that the weights do not change.

    with frozen_weights():        # a search, a live page
        generator(...)            # layouts, sums and transforms of its kernels are cached by the first call

Outside of `frozen_weights` they are recomputed in every call, which costs little for large batches and much for single
images. Weights are identified by their address: within, none may change, not even in place.
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

__all__ = ["cached", "caches_weight", "frozen_weights", "type_of_products"]

_store: dict[tuple[int, torch.Size, str], tuple[Tensor, Tensor]] | None = None


@contextlib.contextmanager
def frozen_weights() -> Iterator[None]:
    """Declare that no weight changes within the block, in any thread.

    The cache takes up to ten times the memory of the weights in use, until the block ends.
    """
    global _store
    before, _store = _store, {} if _store is None else _store
    try:
        yield
    finally:
        _store = before


def caches_weight(weight: Tensor) -> bool:
    """Whether values derived from `weight` are cached: not if it gets a gradient, and not while compiling."""
    return _store is not None and not weight.requires_grad and not torch.compiler.is_compiling()


def cached(weight: Tensor, name: str, compute: Callable[[Tensor], Tensor]) -> Tensor:
    """Return `compute(weight)`, from the cache if an earlier call stored it under that `name`."""
    store = _store
    if store is None or not caches_weight(weight):
        return compute(weight)
    key = (weight.data_ptr(), weight.shape, name)
    if key not in store:
        store[key] = weight, compute(weight)  # the entry holds the weight, so that its address is not reused
    return store[key][1]


def type_of_products(x: Tensor) -> torch.dtype:
    """The type in which products with `x` are computed: that of autocast where it is on, else its own.

    Autocast casts a frozen weight in every product; cached in this type, it is cast once.
    """
    kind = x.device.type
    lowered = torch.is_autocast_enabled(kind) and x.dtype != torch.float64
    return torch.get_autocast_dtype(kind) if lowered else x.dtype
