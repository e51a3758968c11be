"""Tensors and their description in one safetensors file that notices a single flipped bit.

safetensors itself loads a damaged file without a word, so the header carries a SHA-256 over every name,
type, shape, byte and description in it. Reading executes nothing. Directions, checkpoints of a run,
networks and generators are all stored this way.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.files import write_bytes
from ganspace_topdis.runs.reading import ReadingError, parse_json, parsing

__all__ = ["load_sealed", "save_sealed"]

_SEAL = "sha256"
_DESCRIPTION = "description"
_MAX_HEADER_BYTES = 64 << 20
_MAX_TENSORS = 10_000


def save_sealed(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> Path:
    """Write `tensors` and the JSON-able `description` to `path`, atomically; return the path.

    The bytes are a function of the contents alone, so equal contents give equal files.

    Raises:
        RunFolderError: the file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in sorted(tensors.items())}
    text = json.dumps(description, sort_keys=True, allow_nan=False)
    header = {_DESCRIPTION: text, _SEAL: _digest(plain, text)}
    return write_bytes(path, _in_order(safetensors.torch.save(plain, metadata=header)))


def load_sealed(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the description that `save_sealed` wrote.

    The tensors are copies in memory of their own, aligned as torch aligns them: matrix products of tensors that
    lie anywhere in a file's bytes differ in the last bits.

    Raises:
        CheckpointError: the file is missing, damaged, or was not written by `save_sealed`.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"no file at {path}; check the path")
    try:
        with parsing():
            header = _metadata(Path(path))
            if _SEAL not in header or _DESCRIPTION not in header:
                raise CheckpointError(f"{path} was not written by topdis-gan: its header carries no seal")
            with safetensors.safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a mapping)
            if _digest(tensors, header[_DESCRIPTION]) != header[_SEAL]:
                raise CheckpointError(
                    f"{path} is damaged: its contents differ from their SHA-256; write or fetch it again"
                )
            description = parse_json(header[_DESCRIPTION], _MAX_HEADER_BYTES)
            if not isinstance(description, dict):
                raise ReadingError("its description is no JSON object")
            return tensors, description
    except ReadingError as error:
        raise CheckpointError(
            f"{path} is no safetensors file or is damaged ({error}); write or fetch it again"
        ) from error


def _metadata(path: Path) -> dict[str, str]:
    """The texts in the header, which is bounded before the library, which believes its length and repeated names.

    Raises:
        ReadingError: it is too long, no JSON, has a name twice, or lists more tensors than any network has.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
            raise ReadingError("its header has an absurd length")
        header = parse_json(file.read(length), _MAX_HEADER_BYTES)
    if not isinstance(header, dict) or len(header) > _MAX_TENSORS:
        raise ReadingError("its header is no JSON object, or lists too many tensors")
    texts = header.get("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ReadingError("its metadata are not texts")
    return texts


def _in_order(data: bytes) -> bytes:
    """`data` of a safetensors file with its metadata sorted: safetensors writes them in an order of chance."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)  # the tensors stay aligned
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[end:]])


def _digest(tensors: Mapping[str, Tensor], description: str) -> str:
    digest = hashlib.sha256(description.encode("utf-8"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
