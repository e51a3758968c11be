"""Bit sets of 64 columns in one word, and vector comparisons of matrix rows that produce them.

`nearer` and `crossed_by` compare 64 entries at a time as one vector, which LLVM lowers to the processor's vector
instructions. `are_transposes` does the same for a block of a matrix and its mirror image.

Three decorators. `compiled` is for functions that Python calls: their machine code is cached on disk, and compiled
without a cache, after one warning, where there is no writable folder or the disk is full. `no_wrapper` and
`no_refcounts` are for functions that only compiled code calls: numba compiles no entry point for Python (a tenth of the
compile time), so calling one from Python crashes the process. `no_refcounts` also omits reference counting, a third of
the time of a small barcode; such a function must not allocate or slice an array.
"""

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

__all__ = [
    "ALL",
    "ONE",
    "are_transposes",
    "compiled",
    "crossed_by",
    "leading_zeros",
    "nearer",
    "no_refcounts",
    "no_wrapper",
    "num_bits",
    "trailing_zeros",
]

ONE = np.uint64(1)
ALL = ~np.uint64(0)


class _OptionalCache(FunctionCache):
    """numba's cache on disk, whose faults cost a compilation, not the result."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a damaged file, which is forgotten: unpickling raises nearly anything
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn_of_no_cache(error)


def compiled(function: Callable[..., Any]) -> Any:
    """`function`, compiled at its first call, without the GIL, and cached on disk where that is possible."""
    dispatcher: Any = njit(nogil=True)(function)
    try:
        dispatcher._cache = _OptionalCache(function)
    except (RuntimeError, OSError) as error:  # neither the package nor the user's cache folder can be written
        _warn_of_no_cache(error)
    return dispatcher


_faults: list[Exception] = []


def _warn_of_no_cache(error: Exception) -> None:
    """Warn of the first fault of the cache in this process; the others have the same cause."""
    _faults.append(error)
    if len(_faults) == 1:
        warnings.warn(
            f"compiled code cannot be cached ({type(error).__name__}: {error}), so each process compiles it anew, "
            "which takes seconds: set NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=3,
        )


no_wrapper = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
no_refcounts = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, no_rewrites=True, _nrt=False)


@intrinsic
def trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Number of the lowest set bit of a nonzero uint64, as int64."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), build


@intrinsic
def leading_zeros(typing_context: Any, word: Any) -> Any:
    """Number of zero bits above the highest set bit of a nonzero uint64, as int64."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), build


@intrinsic
def num_bits(typing_context: Any, word: Any) -> Any:
    """Number of set bits of a uint64, as int64."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), build


@intrinsic
def nearer(typing_context: Any, M: Any, i: Any, start: Any, value: Any) -> Any:
    """The set of columns, of the 64 from `start` on, in which row i of M is less than a value of M's type."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = block_of_row(context, builder, signature.args[0], *arguments[:3])
        return builder.bitcast(builder.icmp_unsigned("<", block, broadcast(builder, arguments[3])), ir.IntType(64))

    return types.uint64(M, types.int64, types.int64, M.dtype), build


@intrinsic
def crossed_by(typing_context: Any, M: Any, i: Any, k: Any, start: Any, value: Any) -> Any:
    """The set of columns j, of the 64 from `start` on, for which value < M[i, j] and M[k, j] < M[i, j]."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, i, k, start, value = arguments
        ours = block_of_row(context, builder, signature.args[0], array, i, start)
        theirs = block_of_row(context, builder, signature.args[0], array, k, start)
        far = builder.icmp_unsigned(">", ours, broadcast(builder, value))
        return builder.bitcast(builder.and_(far, builder.icmp_unsigned("<", theirs, ours)), ir.IntType(64))

    return types.uint64(M, types.int64, types.int64, types.int64, M.dtype), build


@intrinsic
def are_transposes(typing_context: Any, M: Any, i: Any, j: Any) -> Any:
    """Whether the 16 x 16 blocks of M at (i, j) and (j, i) are each other's transpose.

    Four perfect shuffles of 16 rows transpose them: each moves one bit of an entry's place, row before column.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, i, j = arguments

        def rows_of_block(top: Any, left: Any) -> list[Any]:
            tops = [builder.add(top, ir.IntType(64)(k)) for k in range(16)]
            return [entries_of_row(context, builder, signature.args[0], array, row, left, 16) for row in tops]

        rows, others = rows_of_block(i, j), rows_of_block(j, i)
        halves = [ir.Constant(ir.VectorType(ir.IntType(32), 16), shuffle_indices(half)) for half in (0, 8)]
        for _ in range(4):
            rows = [builder.shuffle_vector(rows[k], rows[k + 8], half) for k in range(8) for half in halves]
        faults = ir.Constant(rows[0].type, None)
        for row, other in zip(rows, others, strict=True):
            faults = builder.or_(faults, builder.xor(row, other))
        differing = builder.icmp_unsigned("!=", faults, ir.Constant(faults.type, None))
        return builder.icmp_unsigned("==", builder.bitcast(differing, ir.IntType(16)), ir.IntType(16)(0))

    return types.boolean(M, types.int64, types.int64), build


def shuffle_indices(first: int) -> list[int]:
    """Source indices of entries 2 `first` to 2 `first` + 15 of the perfect shuffle of two vectors of 16."""
    return [place for k in range(first, first + 8) for place in (k, 16 + k)]


def block_of_row(context: Any, builder: Any, array_type: Any, array: Any, i: Any, start: Any) -> Any:
    """Code that loads 64 entries of row i of a contiguous matrix as one vector."""
    return entries_of_row(context, builder, array_type, array, i, start, 64)


def entries_of_row(context: Any, builder: Any, array_type: Any, array: Any, i: Any, start: Any, count: int) -> Any:
    """Code that loads so many entries of row i of a contiguous matrix as one vector."""
    matrix = context.make_array(array_type)(context, builder, array)
    place = builder.add(builder.mul(i, builder.extract_value(matrix.shape, 1)), start)
    vector = ir.VectorType(context.get_data_type(array_type.dtype), count)
    pointer = builder.bitcast(builder.gep(matrix.data, [place]), vector.as_pointer())
    return builder.load(pointer, align=array_type.dtype.bitwidth // 8)


def broadcast(builder: Any, value: Any) -> Any:
    """Code that fills a vector of 64 with one value."""
    vector = ir.VectorType(value.type, 64)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64))
