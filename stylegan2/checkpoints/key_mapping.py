"""Shared by all readers: NVIDIA's tensor names by layer number, changes of layout, and defaults for missing tensors.

Convolutions are numbered 0 (4 px), 1 and 2 (8 px, upsampling first), 3 and 4 (16 px), ...; image layers 0 (4 px),
1 (8 px), ... A reader maps every name in a file to a `Target`: NVIDIA's name, and the change of layout.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.safe_pickle.records import Budget, damaged, printable, to_tensor
from stylegan2.generator import Generator, infer_config

__all__ = [
    "DROPPED",
    "GeneratorWeights",
    "Target",
    "as_scalar",
    "as_vector",
    "conv_layer",
    "convert",
    "fill_missing",
    "flipped",
    "from_hwio",
    "from_hwio_flipped",
    "image_layer",
    "label_weight",
    "noise_map",
    "normalized_filter",
    "plus_one",
    "transposed",
    "unchanged",
    "without_first_axis",
]

NUM_STYLES = 4096
SEED = 0
_NOISE = re.compile(r"synthesis\.b(\d+)\.conv[01]\.noise_strength")

Target = tuple[str, Callable[[Tensor], Tensor]]
"""NVIDIA's name of a tensor, and the change of layout that turns the file's tensor into it."""


@dataclass(frozen=True)
class GeneratorWeights:
    """The generator in a file, before it is built.

    Attributes:
        format: the kind of file, as shown to users.
        state_dict: float32 tensors under the names of NVIDIA's PyTorch releases.
        overrides: fields of `GeneratorConfig` that the file declares and tensor shapes do not determine.
        notes: what was inferred or filled in, one sentence each.
    """

    format: str
    state_dict: Mapping[str, Tensor]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def conv_layer(index: int) -> str:
    """Return NVIDIA's name of convolution `index`."""
    _check_index(index)
    return f"synthesis.b{2 ** ((index + 5) // 2)}.conv{(index + 1) % 2}"


def image_layer(index: int) -> str:
    """Return NVIDIA's name of image layer `index`."""
    _check_index(index)
    return f"synthesis.b{2 ** (index + 2)}.torgb"


def unchanged(tensor: Tensor) -> Tensor:
    """Return the tensor unchanged."""
    return tensor


DROPPED: Target = ("", unchanged)
"""The target of a tensor that the generator does not need."""


def as_scalar(tensor: Tensor) -> Tensor:
    """Reshape a tensor of one element to ()."""
    _check(tensor, tensor.numel() == 1)
    return tensor.reshape(())


def as_vector(tensor: Tensor) -> Tensor:
    """Reshape (1, C, 1, 1) or (C,) to (C,)."""
    _check(tensor, tensor.numel() == max(tensor.shape, default=0))
    return tensor.reshape(-1)


def without_first_axis(tensor: Tensor) -> Tensor:
    """Drop a leading axis of length 1."""
    _check(tensor, tensor.ndim > 1 and tensor.shape[0] == 1)
    return tensor[0]


def noise_map(tensor: Tensor) -> Tensor:
    """Reshape a noise image (1, 1, H, W) to (H, W)."""
    _check(tensor, tensor.ndim == 4 and tensor.shape[:2] == (1, 1))
    return tensor[0, 0]


def normalized_filter(tensor: Tensor) -> Tensor:
    """Scale a filter (..., k, k) to a sum of 1."""
    _check(tensor, tensor.ndim >= 2 and tensor.numel() == tensor.shape[-1] * tensor.shape[-2])
    total = tensor.sum()
    _check(tensor, abs(float(total)) > 1e-6)
    return tensor.reshape(tensor.shape[-2:]) / total


def plus_one(tensor: Tensor) -> Tensor:
    """Add to a style's bias the 1 that some projects add at run time."""
    return tensor + 1


def flipped(tensor: Tensor) -> Tensor:
    """Rotate a kernel (O, I, k, k) by 180 degrees."""
    _check(tensor, tensor.ndim == 4)
    return tensor.flip(2, 3)


def transposed(tensor: Tensor) -> Tensor:
    """Transpose (I, O) to (O, I)."""
    _check(tensor, tensor.ndim == 2)
    return tensor.t()


def from_hwio(tensor: Tensor) -> Tensor:
    """Transpose a kernel (k, k, I, O) to (O, I, k, k)."""
    _check(tensor, tensor.ndim == 4)
    return tensor.permute(3, 2, 0, 1)


def from_hwio_flipped(tensor: Tensor) -> Tensor:
    """Rotate a kernel (k, k, I, O) by 180 degrees and transpose it to (O, I, k, k)."""
    return flipped(from_hwio(tensor))


def label_weight(tensor: Tensor) -> Tensor:
    """Transpose a class embedding (classes, features), and include the gain that NVIDIA's PyTorch code divides out."""
    _check(tensor, tensor.ndim == 2)
    return tensor.t() * tensor.shape[0] ** 0.5


def convert(
    tensors: Iterable[tuple[Any, Any]], rename: Callable[[str], Target | None], kind: str, budget: Budget
) -> dict[str, Tensor]:
    """Return the tensors under NVIDIA's names.

    Args:
        tensors: names and inert tensors.
        rename: returns the target of a name, `DROPPED`, or None for a name that such a file does not have.
        kind: the kind of file, for messages.
        budget: the limit on elements and bytes.

    Raises:
        CheckpointError: a name is unknown or a tensor cannot be used.
    """
    state = {}
    for name, value in tensors:
        target = rename(name) if isinstance(name, str) else None
        if target is None:
            raise CheckpointError(
                f"{printable(name)} does not belong in a {kind} generator; this is another kind of network"
            )
        new_name, change = target
        if new_name:
            state[new_name] = change(to_tensor(value, name, budget)).contiguous()
    return state


def fill_missing(state: dict[str, Tensor]) -> tuple[str, ...]:
    """Draw missing noise images and compute a missing mean style, both from seed 0. Returns one note for each."""
    notes = []
    config = infer_config(state)  # refuses impossible resolutions before any noise is drawn
    random = torch.Generator().manual_seed(SEED)
    for match in [match for match in map(_NOISE.fullmatch, list(state)) if match]:
        name, side = match[0].replace("noise_strength", "noise_const"), int(match[1])
        if name not in state:
            state[name] = torch.randn(config.size_at(side), generator=random)
            notes.append(f"the noise image of {side} px was missing and was drawn from seed {SEED}")
    if "mapping.w_avg" not in state:
        state["mapping.w_avg"] = _estimate_mean_style(state)
        notes.append(f"the mean style was missing and was computed from {NUM_STYLES} codes of seed {SEED}")
    return tuple(dict.fromkeys(notes))


def _estimate_mean_style(state: dict[str, Tensor]) -> Tensor:
    w_dim = infer_config(state).w_dim
    mapping = Generator.from_checkpoint({**state, "mapping.w_avg": torch.zeros(w_dim)}).mapping
    random = torch.Generator().manual_seed(SEED)
    z = torch.randn(NUM_STYLES, mapping.z_dim, generator=random)
    with torch.no_grad():
        return mapping(z)[:, 0].mean(dim=0)


def _check(tensor: Tensor, good: bool) -> None:
    if not good:
        raise damaged(f"a tensor of unexpected shape {tuple(tensor.shape)}")


def _check_index(index: int) -> None:
    if not 0 <= index < 40:
        raise damaged(f"a layer number {index}")
