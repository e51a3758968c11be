# mypy: disable-error-code="import-untyped, call-arg, call-overload, arg-type, assignment, var-annotated"
"""Sets of up to 64 things as one word, and the comparisons of rows of a matrix that give such sets.

`nearer` and `crossed_by` compare 64 entries at once, as one vector: LLVM makes of it what the processor has.

Two decorators for what compiled code alone calls: `allocating`, and `lean` for functions that make no array and take no
view of one, which are compiled without counting references (a third of the time of a small barcode otherwise). No entry
for Python is compiled (a tenth of the time of compiling otherwise), so a call from Python ends the process.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = [
    "ALL",
    "ONE",
    "allocating",
    "crossed_by",
    "leading_zeros",
    "lean",
    "nearer",
    "num_bits",
    "prefetch",
    "trailing_zeros",
]

ONE = np.uint64(1)
ALL = ~np.uint64(0)

allocating = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
lean = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, no_rewrites=True, _nrt=False)


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
        return builder.bitcast(builder.icmp_unsigned("<", block, spread(builder, arguments[3])), ir.IntType(64))

    return types.uint64(M, types.int64, types.int64, M.dtype), build


@intrinsic
def crossed_by(typing_context: Any, M: Any, i: Any, k: Any, start: Any, value: Any) -> Any:
    """The set of columns j, of the 64 from `start` on, for which value < M[i, j] and M[k, j] < M[i, j]."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, i, k, start, value = arguments
        ours = block_of_row(context, builder, signature.args[0], array, i, start)
        theirs = block_of_row(context, builder, signature.args[0], array, k, start)
        far = builder.icmp_unsigned(">", ours, spread(builder, value))
        return builder.bitcast(builder.and_(far, builder.icmp_unsigned("<", theirs, ours)), ir.IntType(64))

    return types.uint64(M, types.int64, types.int64, types.int64, M.dtype), build


@intrinsic
def prefetch(typing_context: Any, M: Any, i: Any, start: Any) -> Any:
    """Asks for 64 entries of row i of M, from column `start` on, to be brought near; they need not exist."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        ask = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        )
        first = builder.bitcast(place_in_row(context, builder, signature.args[0], *arguments), byte)
        for offset in range(0, 8 * M.dtype.bitwidth, 64):
            line = builder.gep(first, [ir.IntType(64)(offset)])
            builder.call(ask, [line, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.none(M, types.int64, types.int64), build


def place_in_row(context: Any, builder: Any, array_type: Any, array: Any, i: Any, start: Any) -> Any:
    """Code that finds where entry (i, start) of a contiguous matrix is."""
    matrix = context.make_array(array_type)(context, builder, array)
    return builder.gep(matrix.data, [builder.add(builder.mul(i, builder.extract_value(matrix.shape, 1)), start)])


def block_of_row(context: Any, builder: Any, array_type: Any, array: Any, i: Any, start: Any) -> Any:
    """Code that loads 64 entries of row i of a contiguous matrix as one vector."""
    vector = ir.VectorType(context.get_data_type(array_type.dtype), 64)
    pointer = builder.bitcast(place_in_row(context, builder, array_type, array, i, start), vector.as_pointer())
    return builder.load(pointer, align=array_type.dtype.bitwidth // 8)


def spread(builder: Any, value: Any) -> Any:
    """Code that fills a vector of 64 with one value."""
    vector = ir.VectorType(value.type, 64)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64))
