"""Where bars are computed: the compiled kernels, or ripser where numba cannot run; on one core or several.

The kernels are compiled at their first call and cached on disk. They release the GIL, so a pool of plain threads
runs one pair of matrices each. Results come back in the order of the pairs, whatever the number of threads.
"""

import contextlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray

with contextlib.suppress(ImportError):  # loaded with the package, so that the first barcode need not wait for them
    import numba  # noqa: F401
    import scipy.linalg  # noqa: F401  which numba loads at its first function

__all__ = ["MAX_POINTS", "Bars", "Pair", "bars_if_valid", "bars_of_pairs", "is_valid_pair", "spanning_tree"]

MAX_POINTS = 65536

Pair = tuple[NDArray[np.floating], NDArray[np.floating]]
Bars = tuple[NDArray[np.int64], NDArray[np.floating]]


def bars_of_pairs(pairs: Sequence[Pair]) -> list[Bars]:
    """Bars of each (outer, inner), valid contiguous matrices of one dtype: edges and values, in order of death.

    Edges are (K, 5) int64: birth i, birth j, death i, death j, 1 if the death is read from outer. Values are (2, K):
    births, deaths. As many pairs run at a time as torch may use threads (`torch.set_num_threads`, OMP_NUM_THREADS).
    """
    num_threads = min(torch.get_num_threads(), len(pairs))
    if num_threads < 2:
        return [_bars_of_pair(*pair) for pair in pairs]

    def share(first: int) -> list[Bars]:
        return [_bars_of_pair(*pair) for pair in pairs[first::num_threads]]

    others = [_pool(num_threads - 1).submit(share, first) for first in range(1, num_threads)]
    shares = [share(0), *(other.result() for other in others)]
    return [shares[k % num_threads][k // num_threads] for k in range(len(pairs))]


def bars_if_valid(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> Bars | None:
    """The bars of two matrices of one shape and dtype if they surely are a valid pair, as one call for speed."""
    kernels = _kernels()
    if kernels is None:
        return None
    found = kernels.bars_of_pair(_as_bits(outer), _as_bits(inner), True)
    return found and (found[0], found[1].view(outer.dtype))


def _as_bits(matrix: NDArray[np.floating]) -> NDArray[np.unsignedinteger]:
    """The same memory as unsigned integers, which order numbers >= 0 alike."""
    return matrix.view(np.uint32 if matrix.dtype == np.float32 else np.uint64)


def is_valid_pair(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> bool:
    """Whether two matrices of one shape and dtype surely are a valid pair. False may still mean: not known."""
    if _kernels() is None:
        return False
    from ganspace_topdis.topology import matrix_kernels

    return bool(matrix_kernels.is_valid_pair(_as_bits(outer), _as_bits(inner)))


def spanning_tree(weights: NDArray[np.floating]) -> NDArray[np.int64]:
    """(N - 1, 2) edges of a minimum spanning tree of the complete graph with finite weights (N, N) >= 0."""
    if _kernels() is None:
        from ganspace_topdis.topology.reference import tree_by_scipy

        return tree_by_scipy(weights)
    from ganspace_topdis.topology import matrix_kernels

    return matrix_kernels.spanning_tree(weights)


def _bars_of_pair(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> Bars:
    kernels = _kernels()
    if kernels is None:
        from ganspace_topdis.topology.reference import bars_by_ripser

        return bars_by_ripser(outer, inner)
    edges, values = kernels.bars_of_pair(_as_bits(outer), _as_bits(inner), False)
    return edges, values.view(outer.dtype)


@cache
def _kernels() -> ModuleType | None:
    """The compiled kernels, or None, after one warning, where numba cannot be imported or used."""
    try:
        from ganspace_topdis.topology import kernels
    except Exception as error:  # a broken installation of numba or LLVM raises nearly anything
        warnings.warn(f"numba cannot be used ({error}): barcodes fall back to the far slower ripser", stacklevel=2)
        return None
    return kernels


@cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    """Threads that live as long as the process; a forked child makes its own."""
    return ThreadPoolExecutor(num_threads, thread_name_prefix="topdis-barcode")


os.register_at_fork(after_in_child=_pool.cache_clear)
