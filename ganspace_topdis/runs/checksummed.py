"""Tensors with a description in one checksummed safetensors file, and nested states as such tensors.

safetensors does not detect damage, so the header carries a SHA-256 of every name, type, shape, value and of the
description. Reading executes nothing. Directions, checkpoints of a run, networks and generators are stored this way.

`flatten` separates a pytree (nested dictionaries, lists and tuples) into tensors and a JSON-able rest, and `unflatten`
restores it exactly: types, keys (integers stay integers) and bits, including NaN and the 128-bit integers of a NumPy
generator. State dictionaries of optimizers and states of random generators are such pytrees.

Example:
    >>> tensors, rest = flatten({"betas": (0.9, 0.999), 0: torch.zeros(2)})
    >>> sorted(tensors)
    ['1']
    >>> unflatten(tensors, rest)
    {'betas': (0.9, 0.999), 0: tensor([0., 0.])}
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.runs.reading import ReadingError, parse_json, parsing

__all__ = ["flatten", "load_checksummed", "save_checksummed", "unflatten"]

_CHECKSUM = "sha256"
_DESCRIPTION = "description"
_MAX_HEADER_BYTES = 64 << 20
_MAX_TENSORS = 10_000
_PLAIN = (bool, int, str, type(None))


def save_checksummed(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], description: Mapping[str, Any]
) -> Path:
    """Write `tensors` and the JSON-able `description` to `path`, atomically; return the path.

    Equal contents give files that are equal byte for byte.

    Raises:
        RunFolderError: the file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in sorted(tensors.items())}
    text = json.dumps(description, sort_keys=True, allow_nan=False)
    header = {_DESCRIPTION: text, _CHECKSUM: _digest(plain, text)}
    return write_bytes(path, _sort_metadata(safetensors.torch.save(plain, metadata=header)))


def load_checksummed(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the description that `save_checksummed` wrote.

    The tensors are copies with torch's own alignment: matrix products of tensors at arbitrary offsets in a file
    differ in the last bits.

    Raises:
        CheckpointError: the file is missing, damaged, or was not written by `save_checksummed`.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"no file at {path}; check the path")
    try:
        with parsing():
            header = _read_metadata(Path(path))
            if _CHECKSUM not in header or _DESCRIPTION not in header:
                raise CheckpointError(f"{path} was not written by topdis-gan: its header has no checksum")
            with safetensors.safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a mapping)
            if _digest(tensors, header[_DESCRIPTION]) != header[_CHECKSUM]:
                raise CheckpointError(
                    f"{path} is damaged: its contents differ from their SHA-256; write or fetch it again"
                )
            description = parse_json(header[_DESCRIPTION], _MAX_HEADER_BYTES)
            if not isinstance(description, dict):
                raise ReadingError("its description is not a JSON object")
            return tensors, description
    except ReadingError as error:
        raise CheckpointError(
            f"{path} is not a safetensors file or is damaged ({error}); write or fetch it again"
        ) from error


def flatten(state: Any) -> tuple[dict[str, Tensor], Any]:
    """Separate a pytree into its tensors and arrays, named by position, and a JSON-able rest.

    Raises:
        TypeError: a leaf is neither a tensor, an array, a number, a string nor None, or a key is not plain.
    """
    tensors: dict[str, Tensor] = {}
    return tensors, _describe(state, "", tensors)


def unflatten(tensors: Mapping[str, Tensor], rest: Any) -> Any:
    """Return the pytree that `flatten` separated. Every mapping becomes a dictionary."""
    if isinstance(rest, (*_PLAIN, float)):
        return rest
    [(kind, value)] = rest.items()
    match kind:
        case "dict":
            return {unflatten(tensors, key): unflatten(tensors, item) for key, item in value}
        case "list":
            return [unflatten(tensors, item) for item in value]
        case "tuple":
            return tuple(unflatten(tensors, item) for item in value)
        case "tensor":
            return tensors[value]
        case "array":
            return tensors[value].numpy()
        case "float":
            return float(value)
    raise AssertionError(kind)


def _read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata in the header, whose length and names are checked before the library trusts them.

    Raises:
        ReadingError: the header is too long, is not a JSON object, has a duplicate name, or lists too many tensors.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
            raise ReadingError("its header has an invalid length")
        header = parse_json(file.read(length), _MAX_HEADER_BYTES)
    if not isinstance(header, dict) or len(header) > _MAX_TENSORS:
        raise ReadingError("its header is not a JSON object, or lists too many tensors")
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ReadingError("its metadata are not strings")
    return metadata


def _sort_metadata(data: bytes) -> bytes:
    """Sort the metadata in the bytes of a safetensors file: the library writes them in arbitrary order."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)  # keeps the tensors aligned
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[end:]])


def _digest(tensors: Mapping[str, Tensor], description: str) -> str:
    digest = hashlib.sha256(description.encode("utf-8"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _describe(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[path] = value
        return {"tensor": path}
    if isinstance(value, np.ndarray):
        tensors[path] = torch.from_numpy(value.copy())
        return {"array": path}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        items = enumerate(value.items())
        return {"dict": [[_check_key(key), _describe(item, _join(path, n), tensors)] for n, (key, item) in items]}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_describe(item, _join(path, n), tensors) for n, item in enumerate(value)]}
    raise TypeError(f"cannot store a {type(value).__name__} at {path or 'the top'} of a checkpoint")


def _check_key(key: Any) -> Any:
    if isinstance(key, _PLAIN):
        return key
    raise TypeError(f"cannot store the key {key!r} of a checkpoint: keys are strings or integers")


def _join(path: str, index: int) -> str:
    return f"{path}.{index}" if path else str(index)
