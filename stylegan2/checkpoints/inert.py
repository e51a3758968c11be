"""The globals that files of weights name, and the inert values that are made in their place.

Each function here takes what the file would have given to the real one and keeps it as data. None imports,
opens or calls anything. `module_src`, the source text that NVIDIA's files carry, stays text.
"""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.pickle_machine import Record, damaged
from stylegan2.checkpoints.tensors import STORAGE_TYPES, ArrayRef, Storage, TensorRef

__all__ = ["array_of", "make_dictionary", "numpy_globals", "plain_globals", "tensor_globals"]

DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "b1")


def record(name: str) -> Callable[..., Record]:
    """A function that keeps its arguments in a Record of that name."""
    return lambda *args: Record(name, args)


def make_dictionary(*args: Any) -> Record:
    """`OrderedDict` and its kind: empty, or with one list of pairs."""
    made = Record("dict")
    for pair in args[0] if args else ():
        key, value = pair
        if not isinstance(key, str | int):
            raise damaged("a key that is neither text nor a whole number")
        made[key] = value
    return made


def make_set(*args: Any) -> set[Any]:
    """`set`, of text and whole numbers."""
    values = list(args[0]) if args else []
    if not all(isinstance(value, str | int) for value in values):
        raise damaged("a set of something else than text and whole numbers")
    return set(values)


def plain_globals(budget: Budget) -> dict[str, Callable[..., Any]]:
    """Python's own containers, and the byte strings of protocol 2, which it spells as text."""

    def encode(text: str, encoding: str) -> memoryview:
        if encoding != "latin1":
            raise damaged("bytes in an unknown encoding")
        budget.take(len(text))
        return memoryview(text.encode("latin-1"))

    return {
        "collections.OrderedDict": make_dictionary,
        "builtins.set": make_set,
        "builtins.frozenset": make_set,
        "builtins.bytes": lambda: memoryview(b""),
        "builtins.bytearray": lambda data: data,
        "_codecs.encode": encode,
    }


def tensor_globals() -> dict[str, Callable[..., Any]]:
    """torch's tensors, parameters and the names of its storage types."""

    def tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> TensorRef:
        if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
            raise damaged("a tensor that is none")
        return TensorRef(storage, offset, size, stride)

    def parameter(data: Any, *_: Any) -> Any:
        return data

    return {
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_parameter": parameter,
        "torch._utils._rebuild_parameter_with_state": parameter,
        "torch.Size": lambda sizes: tuple(sizes),
        "torch.device": record("device"),
        **{f"torch.{name}": record(name) for name in STORAGE_TYPES},
    }


def numpy_globals() -> dict[str, Callable[..., Any]]:
    """NumPy's arrays, types and scalars, under the names of its old and new releases."""
    made: dict[str, Callable[..., Any]] = {"numpy.dtype": record("dtype"), "numpy.ndarray": record("ndarray")}
    for core in ("numpy.core", "numpy._core"):
        made[f"{core}.multiarray._reconstruct"] = lambda *_: Record("ndarray")
        made[f"{core}.multiarray.scalar"] = _scalar
        made[f"{core}.numeric._frombuffer"] = _from_buffer
    return made


def array_of(value: Any) -> Any:
    """The ArrayRef that an inert ndarray describes; anything else as it is."""
    if not isinstance(value, Record) or value.name != "ndarray":
        return value
    _, shape, dtype, fortran, data = value.state
    axes = value.args[0] if value.args else None
    return ArrayRef(_dtype(dtype), _shape(shape), bool(fortran), _bytes(data), axes)


def _scalar(dtype: Any, data: Any) -> Any:
    """A NumPy scalar as a Python number."""
    form = _dtype(dtype)
    if len(_bytes(data)) != np.dtype(form).itemsize:
        raise struct.error("a scalar of the wrong length")
    return np.frombuffer(_bytes(data), dtype=form)[0].item()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> Record:
    """NumPy's array of protocol 5; `axes` puts the axes of a stored array in another order."""
    array = Record("ndarray", (axes,))
    array.state = (1, shape, dtype, order == "F", data)
    return array


def _dtype(dtype: Any) -> str:
    if not isinstance(dtype, Record) or dtype.name != "dtype" or dtype.args[0] not in DTYPES:
        raise damaged("an array of a type that weights do not have")
    order = dtype.state[1] if isinstance(dtype.state, tuple) else "<"
    if order not in ("<", "|", ">"):
        raise damaged("an array of unknown byte order")
    return f"{order}{dtype.args[0]}"


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple):
        raise damaged("an array without a shape")
    return shape


def _bytes(data: Any) -> memoryview:
    if isinstance(data, str):  # Python 2 wrote bytes as text
        return memoryview(data.encode("latin-1"))
    if not isinstance(data, memoryview):
        raise damaged("an array without its bytes")
    return data
