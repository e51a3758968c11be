"""Inert descriptions of tensors and arrays in a file, and their bounded conversion to torch tensors.

A tensor is a window (offset, size, stride, in elements) on a storage. All numbers are checked: the window must lie
within the storage, the storage must have exactly the declared number of bytes, and NaN and infinite weights are
refused.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.safe_pickle.records import Budget, damaged, printable

__all__ = ["STORAGE_TYPES", "ArrayRef", "Storage", "TensorRef", "to_array", "to_tensor"]

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
    """A run of `numel` elements of one type. The container sets `data` when it reaches their bytes."""

    dtype: str
    numel: int
    data: memoryview | None = None

    def __post_init__(self) -> None:
        if type(self.numel) is not int or not 0 <= self.numel < 2**40:
            raise damaged("a storage of impossible size")

    @property
    def num_bytes(self) -> int:
        """The number of bytes that it must have."""
        return self.numel * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)

    def fill(self, data: memoryview) -> None:
        """Set the bytes. Their number must match the declared one."""
        if len(data) != self.num_bytes:
            raise damaged(f"a storage of {self.num_bytes:,} bytes has {len(data):,}")
        self.data = data


@dataclass(frozen=True)
class TensorRef:
    """A window on a storage. Offset and strides count elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.size) != len(self.stride) or len(self.size) > MAX_AXES:
            raise damaged("a tensor whose axes and strides do not match")
        numbers = (self.offset, *self.size, *self.stride)
        if not all(type(number) is int and 0 <= number < 2**40 for number in numbers):
            raise damaged("a tensor of impossible size")
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
    """A NumPy array: type, shape, column-major order or not, bytes, and a permutation of its axes."""

    dtype: str
    shape: tuple[int, ...]
    fortran: bool
    data: memoryview
    axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.shape) > MAX_AXES or not all(type(size) is int and 0 < size < 2**40 for size in self.shape):
            raise damaged("an array of impossible shape")
        if math.prod(self.shape) * np.dtype(self.dtype).itemsize != len(self.data):
            raise damaged("an array whose bytes do not fit its shape")
        if self.axes is not None and not _is_permutation(self.axes, len(self.shape)):
            raise damaged("an array with an invalid order of axes")


def _is_permutation(axes: Any, count: int) -> bool:
    plain = isinstance(axes, tuple) and len(axes) == count and all(type(axis) is int for axis in axes)
    return plain and sorted(axes) == list(range(count))


def to_tensor(value: Any, name: str, budget: Budget) -> Tensor:
    """Return the float32 tensor that `value` (a TensorRef, an ArrayRef or a number) describes.

    Raises:
        CheckpointError: `value` is not a tensor, has NaN or infinite entries, or exceeds the budget.
    """
    stored = to_array(value, name, budget)
    budget.spend_bytes(4 * stored.size)
    tensor = torch.empty(stored.shape)  # the last bit of results depends on alignment, and torch aligns its memory
    with np.errstate(over="ignore", invalid="ignore"):
        np.copyto(tensor.numpy(), stored, casting="unsafe")
    if not all(map(math.isfinite, tensor.aminmax())):
        raise CheckpointError(f"the weights {printable(name)} hold NaN or infinite values; the training diverged")
    return tensor


def to_array(value: Any, name: str, budget: Budget) -> Any:
    """Return the NumPy array of the file's own type that `value` describes, a read-only view where possible.

    Raises:
        CheckpointError: `value` is not a tensor, or exceeds the budget.
    """
    budget.spend_elements()
    if isinstance(value, bool | int | float):
        return np.asarray(value)
    if isinstance(value, TensorRef):
        return _window(value, budget)
    if isinstance(value, ArrayRef):
        flat = np.frombuffer(value.data, dtype=value.dtype).reshape(value.shape, order="F" if value.fortran else "C")
        return flat if value.axes is None else flat.transpose(value.axes)
    raise CheckpointError(f"{printable(name)} is {printable(value)} and not a tensor; it was neither imported nor run")


def _window(ref: TensorRef, budget: Budget) -> Any:
    storage = ref.storage
    if storage.data is None:
        raise damaged("a tensor without its bytes")
    itemsize = storage.num_bytes // storage.numel
    piece = storage.data[ref.offset * itemsize : ref.end * itemsize]
    if storage.dtype == "bfloat16":  # the upper half of a float32; NumPy has no such type
        budget.spend_bytes(4 * len(piece))
        flat = (np.frombuffer(piece, dtype="<u2").astype("<u4") << 16).view("<f4")
    else:
        flat = np.frombuffer(piece, dtype=storage.dtype)
    strides = tuple(flat.itemsize * step for step in ref.stride)
    return np.lib.stride_tricks.as_strided(flat, ref.size, strides, writeable=False)
