"""Inert values that the safe unpickler builds, the budget that bounds them, and the tensors that they become.

A `Record` stands for a dictionary or for an object of any class, a `Global` for a class or a function that a file
names. Neither imports or calls what the file names. A `TensorRef` is a window (offset, size, stride, in elements) on a
`Storage`, an `ArrayRef` a NumPy array. All their numbers are checked: a window must lie within its storage, a storage
must have exactly the declared number of bytes, and NaN and infinite weights are refused.

A pickle can name one long string a million times or copy one long list again and again, and tensors can share one
storage. Without a budget, a file of a few kilobytes can request terabytes. A genuine pickle spends at least one byte on
each element that it makes, and turns each of its bytes into a weight once.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError

__all__ = [
    "MAX_ELEMENTS",
    "STORAGE_TYPES",
    "ArrayRef",
    "Budget",
    "Global",
    "Record",
    "Storage",
    "TensorRef",
    "damaged",
    "is_foreign",
    "is_plain_key",
    "plain_keys",
    "printable",
    "to_array",
    "to_tensor",
]

MAX_ELEMENTS = 4_000_000
"""NVIDIA's snapshots with all three networks need 0.1 million; a training file with its optimizers needs no more."""

ALLOWANCE = 65536
MAX_KEY = 1 << 60
"""Larger integers can be chosen to share one hash."""

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
    "ComplexFloatStorage": "<c8",
    "ComplexDoubleStorage": "<c16",
    "UntypedStorage": "|u1",
    "QInt8Storage": "|i1",
    "QUInt8Storage": "|u1",
    "QInt32Storage": "<i4",
}
"""NumPy's type of each storage. From ComplexFloatStorage on they hold no weights, but may lie beside them."""
MAX_AXES = 8


class Budget:
    """The elements and the bytes that reading a file of `num_bytes` may still use.

    An element is an opcode, or an entry of a container that an opcode or an allowed function makes. The budget is two
    elements per byte of the file, at most `MAX_ELEMENTS`. A byte may become two (half precision is read as single),
    and may be copied once on the way.
    """

    def __init__(self, num_bytes: int) -> None:
        self.elements_left = min(MAX_ELEMENTS, 2 * num_bytes + ALLOWANCE)
        self.bytes_left = 4 * num_bytes + ALLOWANCE

    def spend_elements(self, num_elements: int = 1) -> None:
        """Count elements that are about to be made.

        Raises:
            CheckpointError: the file makes more elements than its size explains.
        """
        self.elements_left -= num_elements
        if self.elements_left < 0:
            raise CheckpointError("it makes many times the elements that a checkpoint of its size has; it is refused")

    def spend_bytes(self, num_bytes: int) -> None:
        """Count bytes that are about to be allocated.

        Raises:
            CheckpointError: the file requests more memory than its size explains.
        """
        self.bytes_left -= num_bytes
        if self.bytes_left < 0:
            raise CheckpointError("its tensors take many times the bytes that the file holds; it is refused")


class Record(dict[Any, Any]):
    """A dictionary, or an inert stand-in for an object: `name` of its class, `args`, and the `state` put on it."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str = "dict", args: tuple[Any, ...] = ()) -> None:
        super().__init__()
        self.name, self.args = name, args
        self.state: Any = None


class Global:
    """A class or function that a file names. `make` builds an inert value; None builds a `Record` of that name."""

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable[..., Any] | None) -> None:
        self.name, self.make = name, make

    def __call__(self, *args: Any) -> Any:
        """Return the inert value for these arguments."""
        return Record(self.name, args) if self.make is None else self.make(*args)


def is_plain_key(key: Any) -> bool:
    """Whether `key` is text or a whole number. Dictionaries and sets drop all other keys."""
    return isinstance(key, str) or (isinstance(key, int) and -MAX_KEY < key < MAX_KEY)


def plain_keys(values: Iterable[Any]) -> set[Any]:
    """Return the text and the whole numbers among `values`."""
    return {value for value in values if is_plain_key(value)}


def is_foreign(value: Any) -> bool:
    """Whether `value` is an inert stand-in for an object of an unknown class."""
    return isinstance(value, Global) or (isinstance(value, Record) and value.name != "dict")


def printable(text: object) -> str:
    """Return text from a file, or the name of a value's class, made safe to print on one line."""
    if isinstance(text, Global | Record) and is_foreign(text):
        text = text.name
    shown = text if isinstance(text, str) else f"<{type(text).__name__}>"
    return "".join(letter if letter.isprintable() else "?" for letter in shown[:80])


def damaged(reason: str) -> CheckpointError:
    """Return the error for a file whose structure is broken."""
    return CheckpointError(f"the file is damaged or is not a checkpoint ({reason}); fetch it again")


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
        if self.numel and (self.numel > self.storage.numel or self.end > self.storage.numel):
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
        CheckpointError: `value` is not a tensor of real numbers, has no elements, or exceeds the budget.
    """
    budget.spend_elements()
    if isinstance(value, bool | int | float):
        return np.asarray(value)
    if isinstance(value, TensorRef):
        if not value.numel or value.storage.dtype.startswith("<c"):
            kind = "of complex numbers" if value.numel else "without elements"
            raise CheckpointError(f"{printable(name)} is a tensor {kind}, which no checkpoint has there")
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
