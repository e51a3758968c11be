"""What every reader returns: tensors in NVIDIA's PyTorch naming, and what no shape tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

__all__ = ["Checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """The generator in a file, before it is built.

    Attributes:
        format: the kind of file, in words.
        state_dict: float32 tensors under the names of NVIDIA's PyTorch releases.
        overrides: fields of `GeneratorConfig` that the file states and the shapes do not.
        notes: what had to be inferred or filled in, a sentence each.
    """

    format: str
    state_dict: Mapping[str, Tensor]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
