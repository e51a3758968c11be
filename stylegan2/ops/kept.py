"""What is made of weights alone is made once, where the weights are known to stay what they are.

    with weights_stay():          # a search, a page that is explored
        generator(...)            # layouts, sums and transforms of its kernels are kept from the first call on

Without it they are made in every call, which large batches hardly feel and single images do. Weights are known
by their address: within, none may change, be it in place.
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

__all__ = ["kept", "weights_are_kept", "weights_stay"]

_store: dict[tuple[int, torch.Size, str], tuple[Tensor, Tensor]] | None = None


@contextlib.contextmanager
def weights_stay() -> Iterator[None]:
    """Within, in all threads, no weight changes.

    Up to ten times the memory of the weights that are used is taken, until the end.
    """
    global _store
    before, _store = _store, {} if _store is None else _store
    try:
        yield
    finally:
        _store = before


def weights_are_kept(weight: Tensor) -> bool:
    """Whether `kept` keeps what is made of `weight`: one that gets a gradient will change, a compiler does its own."""
    return _store is not None and not weight.requires_grad and not torch.compiler.is_compiling()


def kept(weight: Tensor, name: str, make: Callable[[Tensor], Tensor]) -> Tensor:
    """`make(weight)`, or what an earlier call made under that `name`."""
    store = _store
    if store is None or not weights_are_kept(weight):
        return make(weight)
    key = (weight.data_ptr(), weight.shape, name)
    if key not in store:
        store[key] = weight, make(weight)  # the weight is held, too, so that no other gets its address
    return store[key][1]
