"""Our own files: safetensors with NVIDIA's PyTorch names, the configuration, and a SHA-256 over everything.

The metadata is {"kind": "stylegan2 generator", "version": 1, "config": the fields of `GeneratorConfig`,
"source": any JSON}. Tensors may be stored in half precision; they are computed in single precision.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs.checksummed import load_checksummed, save_checksummed
from stylegan2.checkpoints.key_mapping import GeneratorWeights
from stylegan2.config import GeneratorConfig
from stylegan2.generator import Generator

__all__ = ["read_native", "save"]

FORMAT = "topdis-gan safetensors"
KIND = "stylegan2 generator"
VERSION = 1


def save(
    generator: Generator,
    path: str | os.PathLike[str],
    *,
    half: bool = False,
    source: Mapping[str, Any] | None = None,
) -> Path:
    """Write a generator to `path`, atomically; `stylegan2.load` reads it back bit for bit.

    Args:
        generator: the generator to write.
        path: the file to write, usually `*.safetensors`.
        half: store in half precision: half the size, about three significant digits.
        source: the origin of the weights, JSON values, stored in the file.

    Raises:
        RunFolderError: the file cannot be written.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {name: tensor.detach().to("cpu", dtype) for name, tensor in generator.state_dict().items()}
    description = {"kind": KIND, "version": VERSION, "config": generator.config.to_dict(), "source": dict(source or {})}
    return save_checksummed(path, tensors, description)


def read_native(path: str | os.PathLike[str]) -> GeneratorWeights:
    """Return the generator that `save` wrote.

    Raises:
        CheckpointError: the file is damaged, of a later version, or does not hold a generator.
    """
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
    return GeneratorWeights(FORMAT, state, config)
