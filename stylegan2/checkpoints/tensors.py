"""Inert descriptions of tensors and arrays in a file, and their bounded conversion to torch tensors.

A tensor is a window (offset, size, stride, in elements) on a storage; nothing is believed: the window must lie
within the storage, the storage must have exactly the bytes that its count says, and no weight may be NaN or
infinite.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError
from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.pickle_machine import damaged, printable

__all__ = ["STORAGE_TYPES", "ArrayRef", "Storage", "TensorRef", "to_tensor"]

STORAGE_TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
MAX_AXES = 8


@dataclass
class Storage:
    """A run of `numel` elements of one type; `data` is set once the container has found their bytes."""

    dtype: str
    numel: int
    data: memoryview | None = None

    def __post_init__(self) -> None:
        if type(self.numel) is not int or not 0 <= self.numel < 2**40:
            raise damaged("a storage of absurd size")

    @property
    def num_bytes(self) -> int:
        """How many bytes it must have."""
        return self.numel * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)

    def fill(self, data: memoryview) -> None:
        """Set the bytes, which must be as many as the count says."""
        if len(data) != self.num_bytes:
            raise damaged(f"a storage of {self.num_bytes:,} bytes has {len(data):,}")
        self.data = data


@dataclass(frozen=True)
class TensorRef:
    """A window on a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.size) != len(self.stride) or len(self.size) > MAX_AXES:
            raise damaged("a tensor whose axes and strides do not match")
        numbers = (self.offset, *self.size, *self.stride)
        if not all(type(number) is int and 0 <= number < 2**40 for number in numbers):
            raise damaged("a tensor with an absurd size")
        if not self.numel:
            raise damaged("a tensor without elements")
        if self.numel > self.storage.numel or self.end > self.storage.numel:
            raise damaged("a tensor that reaches beyond its storage")

    @property
    def end(self) -> int:
        """One more than the index of its last element in the storage."""
        steps = (step * (size - 1) for size, step in zip(self.size, self.stride, strict=True))
        return self.offset + sum(steps) + 1

    @property
    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self.size)


@dataclass(frozen=True)
class ArrayRef:
    """A NumPy array: type, shape, whether it is stored column by column, its bytes, and an order of its axes."""

    dtype: str
    shape: tuple[int, ...]
    fortran: bool
    data: memoryview
    axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.shape) > MAX_AXES or not all(type(size) is int and 0 < size < 2**40 for size in self.shape):
            raise damaged("an array with an absurd shape")
        if math.prod(self.shape) * np.dtype(self.dtype).itemsize != len(self.data):
            raise damaged("an array whose bytes do not fit its shape")
        if self.axes is not None and not _is_order(self.axes, len(self.shape)):
            raise damaged("an array with a mistaken order of axes")


def _is_order(axes: Any, count: int) -> bool:
    plain = isinstance(axes, tuple) and len(axes) == count and all(type(axis) is int for axis in axes)
    return plain and sorted(axes) == list(range(count))


def to_tensor(value: Any, name: str, budget: Budget) -> Tensor:
    """The tensor that `value` (a TensorRef, an ArrayRef or a number) describes, floating types as float32.

    Raises:
        CheckpointError: it is none, has NaN or infinite entries, or takes more than the file explains.
    """
    budget.count()
    if isinstance(value, bool | int | float):
        budget.take(4)
        stored: Any = np.asarray(value)
    elif isinstance(value, TensorRef):
        budget.take(4 * value.numel)
        stored = _window(value, budget)
    elif isinstance(value, ArrayRef):
        budget.take(4 * math.prod(value.shape))
        flat = np.frombuffer(value.data, dtype=value.dtype).reshape(value.shape, order="F" if value.fortran else "C")
        stored = flat if value.axes is None else flat.transpose(value.axes)
    else:
        raise CheckpointError(f"{printable(name)} is {printable(value)}, and no tensor; nothing of it was run")
    tensor = torch.empty(stored.shape)  # torch aligns its memory, on which the last bit of results depends
    with np.errstate(over="ignore", invalid="ignore"):
        np.copyto(tensor.numpy(), stored, casting="unsafe")
    if not all(map(math.isfinite, tensor.aminmax())):
        raise CheckpointError(f"the weights {printable(name)} hold NaN or infinite values; the training had failed")
    return tensor


def _window(ref: TensorRef, budget: Budget) -> Any:
    storage = ref.storage
    if storage.data is None:
        raise damaged("a tensor without its bytes")
    itemsize = storage.num_bytes // storage.numel
    piece = storage.data[ref.offset * itemsize : ref.end * itemsize]
    if storage.dtype == "bfloat16":  # the upper half of a float32, which NumPy has no type for
        budget.take(4 * len(piece))
        flat = (np.frombuffer(piece, dtype="<u2").astype("<u4") << 16).view("<f4")
    else:
        flat = np.frombuffer(piece, dtype=storage.dtype)
    strides = tuple(flat.itemsize * step for step in ref.stride)
    return np.lib.stride_tricks.as_strided(flat, ref.size, strides, writeable=False)
