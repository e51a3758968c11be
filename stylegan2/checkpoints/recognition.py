"""Detects the kind of a weight file from its content, never from its name, and reads its generator.

A zip archive or torch's magic number is a `torch.save` file; a length and a brace is safetensors; any other supported
file is a plain pickle. A pickled triple of networks is NVIDIA's for TensorFlow 1. All other pickled content is a
dictionary, possibly nested, of tensors or of networks that were pickled whole. Averaged weights take precedence; the
name of the learned constant, which differs between all layouts, determines the layout.

Our own files are safetensors with NVIDIA's PyTorch names and a SHA-256 over everything. Their metadata is {"kind":
"stylegan2 generator", "version": 1, "config": the fields of `GeneratorConfig`, "source": any JSON}. Tensors may be
stored in half precision; they are computed in single precision.
"""

import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.checksummed import load_checksummed
from ganspace_topdis.runs.reading import ReadingError, parsing
from ganspace_topdis.safe_pickle.records import Budget, Record, TensorRef, damaged, is_foreign, printable
from ganspace_topdis.safe_pickle.torch_container import LEGACY_HEAD, read_legacy, read_pickle, read_zip
from stylegan2.checkpoints.key_mapping import GeneratorWeights, convert, unchanged
from stylegan2.checkpoints.nvidia_tf import is_network, read_nvidia_tf
from stylegan2.checkpoints.nvidia_torch import is_module, modules_of, read_nvidia_torch, tensors_of
from stylegan2.checkpoints.state_dicts import (
    BASICSR,
    GENFORCE_CONSTANT,
    MMGENERATION,
    ROSINALITY,
    read_genforce,
    read_rosinality,
)
from stylegan2.config import GeneratorConfig
from stylegan2.unsupported import refuse_unsupported

__all__ = ["KIND", "VERSION", "parse_checkpoint", "read_checkpoint"]

KIND, VERSION = "stylegan2 generator", 1
"""In the metadata of our own files."""

MAX_FILE_BYTES = 8 << 30
SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"RIFF": "a WebP image or another RIFF file",
    b"BM": "a BMP image",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"BZh": "a bzip2 archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\x89HDF": "an HDF5 file",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF document",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with `git lfs pull`",
    b"<": "a web page; the download failed",
    b"{": "a JSON document",
}

NVIDIA_CONSTANT = "synthesis.b4.const"
CONSTANTS = (ROSINALITY.constant, GENFORCE_CONSTANT, BASICSR.constant, MMGENERATION.constant, NVIDIA_CONSTANT)
CONTAINERS = ("g_ema", "G_ema", "generator_smooth", "params_ema", "state_dict", "params", "generator", "g", "G", "GAN")
PREFIXES = ("", "generator_ema.", "g_ema.", "G_ema.", "decoder.", "generator.", "G.", "module.")
ASSUMED_NO_CLAMP = (
    "activations are assumed not to be clamped, as the file does not declare it; NVIDIA's own training clamps at 256"
)


@dataclass(frozen=True)
class _Table:
    """Tensors by name; for a network that was pickled whole, also its modules' states and classes."""

    tensors: Record
    states: Mapping[str, Record] | None = None
    classes: frozenset[str] = frozenset()


def read_checkpoint(path: Path) -> GeneratorWeights:
    """Return the generator in the file at `path`. Nothing in the file is executed.

    Raises:
        CheckpointError: the file is missing, damaged, hostile, or of an unsupported kind.
    """
    data = _map_file(path)
    if len(data) > 8 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data):
        return _read_own(path)
    return parse_checkpoint(data)


def _read_own(path: Path) -> GeneratorWeights:
    """Return the generator that `stylegan2.save` wrote."""
    tensors, description = load_checksummed(path)
    if description.get("kind") != KIND:
        raise CheckpointError("this safetensors file holds no StyleGAN2 generator")
    if description.get("version") != VERSION:
        raise CheckpointError(
            f"its version is {description.get('version')}; this release reads version {VERSION}: update topdis-gan"
        )
    config = description.get("config")
    known = set(GeneratorConfig.__dataclass_fields__)
    if not isinstance(config, dict) or not set(config) <= known:
        raise CheckpointError("its configuration has unknown fields; a later release wrote it: update topdis-gan")
    state = {name: tensor.to(torch.float32) for name, tensor in tensors.items()}
    for name, tensor in state.items():
        if tensor.numel() and not all(map(math.isfinite, tensor.aminmax())):
            raise CheckpointError(f"the weights {name} hold NaN or infinite values; the training diverged")
    return GeneratorWeights("topdis-gan safetensors", state, config)


def parse_checkpoint(data: memoryview) -> GeneratorWeights:
    """Return the generator in the bytes of a pickle or of a `torch.save` file.

    Raises:
        CheckpointError: as `read_checkpoint`.
    """
    budget = Budget(len(data))
    try:
        with parsing():
            if data[:2] == b"PK":
                return _find_generator(read_zip(data, budget), budget)
            if data[: len(LEGACY_HEAD)] == LEGACY_HEAD:
                return _find_generator(read_legacy(data, budget), budget)
            if data[0] == 0x80:
                return _find_generator(read_pickle(data, budget), budget)
    except ReadingError as error:
        raise damaged(f"its contents are not those of a checkpoint: {error}") from error
    for signature, kind in SIGNATURES.items():
        if data[: len(signature)] == signature:
            raise CheckpointError(f"this is not a checkpoint but {kind}")
    raise CheckpointError("this is not a known kind of checkpoint, or its start is damaged; fetch it again")


def _map_file(path: Path) -> memoryview:
    """Return the file's bytes, memory-mapped: published files contain networks that are never read."""
    if path.is_dir():
        raise CheckpointError("this is a folder; give a file in it")
    if not path.exists():
        raise CheckpointError("there is no such file; check the path")
    if not path.is_file():
        raise CheckpointError("this is not a regular file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise CheckpointError(f"the file is larger than {MAX_FILE_BYTES >> 30} GiB, which exceeds any real checkpoint")
    if path.stat().st_size == 0:
        raise CheckpointError("the file is empty; fetch it again")
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the file cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _find_generator(content: Any, budget: Budget) -> GeneratorWeights:
    """Return the first generator of a known layout in what a file holds."""
    if isinstance(content, tuple) and len(content) == 3 and is_network(content[2]):
        return read_nvidia_tf(content[2], budget)
    if not isinstance(content, Record):
        raise CheckpointError(f"this file holds {printable(content)} and no weights; save a generator's state dict")
    tables = []
    for table in _tables(content, budget):
        tables.append(table)
        for prefix in PREFIXES:
            weights = _read_table(table, prefix, content, budget)
            if weights is not None:
                return weights
    for table in tables:
        refuse_unsupported(table.tensors, table.classes)
    if foreign := [value for value in (content, *content.values()) if is_foreign(value) and not is_module(value)]:
        raise CheckpointError(
            f"this file holds no generator but {printable(foreign[0])}, which was neither imported nor run; "
            "save the generator's state dict"
        )
    raise CheckpointError("this file holds no generator of a known layout; docs/checkpoints.md lists them")


def _tables(content: Record, budget: Budget) -> Iterator[_Table]:
    """Yield the dictionaries and networks that may hold the tensors, averaged weights first."""
    outer = [content.get("models"), content]
    for place in (place for place in outer if isinstance(place, Record)):
        for name in CONTAINERS:
            inner = place.get(name)
            if isinstance(inner, Record) and is_module(inner):
                yield _network_table(inner, budget)
            elif isinstance(inner, Record) and not is_foreign(inner):
                yield _Table(inner)
        yield _network_table(place, budget) if is_module(place) else _Table(place)


def _network_table(network: Record, budget: Budget) -> _Table:
    modules = modules_of(network, budget)
    states = {path: module.state for path, module in modules.items()}
    classes = frozenset(module.name.rpartition(".")[2] for module in modules.values())
    return _Table(tensors_of(states, budget), states, classes)


def _read_table(table: _Table, prefix: str, outer: Record, budget: Budget) -> GeneratorWeights | None:
    """Return the generator under `prefix`, or None if there is no learned constant of a known layout."""
    constant = next((name for name in CONSTANTS if f"{prefix}{name}" in table.tensors), None)
    if constant is None:
        return None
    tensors = _tensors_below(table.tensors, prefix)
    refuse_unsupported(tensors, table.classes)
    if constant == ROSINALITY.constant:
        return read_rosinality(tensors, outer, budget)
    if constant == GENFORCE_CONSTANT:
        return read_genforce(tensors, budget)
    for names in (BASICSR, MMGENERATION):
        if constant == names.constant:
            return names.read(tensors, budget)
    if table.states is not None:
        start = len(prefix)
        inside = {path[start:]: state for path, state in table.states.items() if f"{path}.".startswith(prefix)}
        return read_nvidia_torch(inside, budget)
    state = convert(tensors.items(), lambda name: (name, unchanged), "NVIDIA", budget)
    return GeneratorWeights("state dict in NVIDIA's naming", state, notes=(ASSUMED_NO_CLAMP,))


def _tensors_below(table: Record, prefix: str) -> Record:
    """Return the tensors whose names start with `prefix`, without it."""
    found = Record()
    for name, value in table.items():
        if isinstance(name, str) and name.startswith(prefix):
            if is_foreign(value) and "." in name:
                raise CheckpointError(
                    f"the generator's {printable(name)} is {printable(value)}, an unknown class that was not run"
                )
            if isinstance(value, TensorRef):
                found[name.removeprefix(prefix)] = value
    if not found:
        raise damaged("a generator without tensors")
    return found
