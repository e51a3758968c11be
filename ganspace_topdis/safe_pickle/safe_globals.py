"""The allowlist: the globals that weight files name, and the inert values that replace them.

Each function here takes the arguments of the real one and stores them as data. None imports, opens or calls anything.
"""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ganspace_topdis.safe_pickle.records import (
    STORAGE_TYPES,
    ArrayRef,
    Budget,
    Global,
    Record,
    Storage,
    TensorRef,
    damaged,
    is_plain_key,
    plain_keys,
)

__all__ = ["array_of", "dictionary_maker", "numpy_globals", "plain_globals", "tensor_globals"]

DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "b1")


def _record_maker(name: str) -> Callable[..., Record]:
    """Return a function that stores its arguments in a Record of that name."""
    return lambda *args: Record(name, args)


def dictionary_maker(budget: Budget) -> Callable[..., Record]:
    """Return the stand-in for `OrderedDict` and similar: empty, or one list of pairs, of which plain keys are kept."""

    def make(*args: Any) -> Record:
        made = Record("dict")
        pairs = _listed(args, budget)
        made.update((key, value) for key, value in pairs if is_plain_key(key))
        return made

    return make


def plain_globals(budget: Budget) -> dict[str, Callable[..., Any]]:
    """Return Python's own containers, and the byte strings that protocol 2 writes as text."""

    def make_set(*args: Any) -> set[Any]:
        return plain_keys(_listed(args, budget))

    def encode(text: str, encoding: str) -> memoryview:
        if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
            raise damaged("bytes in an unknown encoding")
        budget.spend_bytes(len(text))
        return memoryview(text.encode("latin-1"))

    return {
        "collections.OrderedDict": dictionary_maker(budget),
        "builtins.set": make_set,
        "builtins.frozenset": make_set,
        "builtins.bytes": lambda: memoryview(b""),
        "builtins.bytearray": lambda *args: encode(*args) if len(args) == 2 else args[0] if args else memoryview(b""),
        "_codecs.encode": encode,
    }


def tensor_globals(budget: Budget) -> dict[str, Callable[..., Any]]:
    """Return torch's tensors, parameters and storage types."""

    def tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> TensorRef:
        if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
            raise damaged("an invalid tensor record")
        return TensorRef(storage, offset, size, stride)

    def parameter(data: Any, *_: Any) -> Any:
        return data

    def of_type(make: Any, _kind: Any, args: Any, *_: Any) -> Any:
        if not isinstance(make, Global) or not isinstance(args, tuple):
            raise damaged("an invalid tensor record")
        budget.spend_elements(len(args))
        return make(*args)

    return {
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._tensor._rebuild_from_type_v2": of_type,
        "torch._utils._rebuild_parameter": parameter,
        "torch._utils._rebuild_parameter_with_state": parameter,
        "torch.Size": lambda *args: tuple(_listed(args, budget)),
        "torch.device": _record_maker("device"),
        **{f"torch.{name}": _record_maker(name) for name in STORAGE_TYPES},
    }


def numpy_globals(budget: Budget) -> dict[str, Callable[..., Any]]:
    """Return NumPy's arrays, types and scalars, under the names of old and new releases."""

    def scalar(dtype: Any, data: Any = b"") -> Any:
        budget.spend_bytes(len(data))  # Python 2 wrote bytes as text, which is copied here
        return _scalar(dtype, data) if _is_numeric(dtype) else Record("numpy.scalar")

    made: dict[str, Callable[..., Any]] = {
        "numpy.dtype": _record_maker("dtype"),
        "numpy.ndarray": _record_maker("ndarray"),
    }
    for core in ("numpy.core", "numpy._core"):
        made[f"{core}.multiarray._reconstruct"] = lambda *_: Record("ndarray")
        made[f"{core}.multiarray.scalar"] = scalar
        made[f"{core}.numeric._frombuffer"] = _from_buffer
    return made


def _listed(args: tuple[Any, ...], budget: Budget) -> list[Any] | tuple[Any, ...] | set[Any]:
    """Return the single argument of a container, which is a container itself; an empty tuple without arguments."""
    values = args[0] if args else ()
    if not isinstance(values, list | tuple | set):
        raise damaged(f"a container made of {type(values).__name__}")
    budget.spend_elements(len(values))
    return values


def array_of(value: Any, budget: Budget) -> Any:
    """Return the ArrayRef that an inert ndarray describes, and any other value unchanged."""
    if not isinstance(value, Record) or value.name != "ndarray":
        return value
    if not isinstance(value.state, tuple) or len(value.state) != 5:
        raise damaged("an array without its contents")
    _, shape, dtype, fortran, data = value.state
    if isinstance(data, str):
        budget.spend_bytes(len(data))
    axes = value.args[0] if value.args else None
    return ArrayRef(_dtype(dtype), _shape(shape), bool(fortran), _bytes(data), axes)


def _scalar(dtype: Any, data: Any) -> Any:
    """Return a NumPy scalar as a Python number."""
    form = _dtype(dtype)
    if len(_bytes(data)) != np.dtype(form).itemsize:
        raise struct.error("a scalar of the wrong length")
    return np.frombuffer(_bytes(data), dtype=form)[0].item()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> Record:
    """Return NumPy's array of protocol 5. `axes` permutes the axes of the stored array."""
    array = Record("ndarray", (axes,))
    array.state = (1, shape, dtype, order == "F", data)
    return array


def _is_numeric(dtype: Any) -> bool:
    return isinstance(dtype, Record) and dtype.name == "dtype" and dtype.args[0] in DTYPES


def _dtype(dtype: Any) -> str:
    if not _is_numeric(dtype):
        raise damaged("an array of an unexpected type")
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
