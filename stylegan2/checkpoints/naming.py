"""Common to the readers: NVIDIA's names by layer number, changes of shape, and what files leave out.

The convolutions are numbered 0 (4 px), 1 and 2 (8 px, doubling first), 3 and 4 (16 px), ...; the image layers
0 (4 px), 1 (8 px), ... A reader gives every name in the file its target and the change of its tensor.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError
from stylegan2.checkpoints.budget import Budget
from stylegan2.checkpoints.pickle_machine import damaged, printable
from stylegan2.checkpoints.tensors import to_tensor
from stylegan2.generator import Generator
from stylegan2.state_dict import infer_config

__all__ = [
    "DROPPED",
    "Target",
    "convert",
    "fill_gaps",
    "flipped",
    "from_hwio",
    "from_hwio_flipped",
    "image_layer",
    "label_weight",
    "layer",
    "map_only",
    "normalized_filter",
    "plus_one",
    "same",
    "scalar",
    "transposed",
    "vector",
    "without_first_axis",
]

NUM_STYLES = 4096
SEED = 0
_NOISE = re.compile(r"synthesis\.b(\d+)\.conv[01]\.noise_strength")

Target = tuple[str, Callable[[Tensor], Tensor]]
"""NVIDIA's name for a tensor, and the change that it needs."""


def layer(index: int) -> str:
    """The name of convolution `index`."""
    _check_index(index)
    return f"synthesis.b{2 ** ((index + 5) // 2)}.conv{(index + 1) % 2}"


def image_layer(index: int) -> str:
    """The name of image layer `index`."""
    _check_index(index)
    return f"synthesis.b{2 ** (index + 2)}.torgb"


def same(tensor: Tensor) -> Tensor:
    """The tensor as it is."""
    return tensor


DROPPED: Target = ("", same)
"""The target of a tensor that is not needed."""


def scalar(tensor: Tensor) -> Tensor:
    """One number, whatever its axes."""
    _check(tensor, tensor.numel() == 1)
    return tensor.reshape(())


def vector(tensor: Tensor) -> Tensor:
    """(1, C, 1, 1) or (C,) to (C,)."""
    _check(tensor, tensor.numel() == max(tensor.shape, default=0))
    return tensor.reshape(-1)


def without_first_axis(tensor: Tensor) -> Tensor:
    """(1, ...) to (...)."""
    _check(tensor, tensor.ndim > 1 and tensor.shape[0] == 1)
    return tensor[0]


def map_only(tensor: Tensor) -> Tensor:
    """A noise image (1, 1, r, r) to (r, r)."""
    _check(tensor, tensor.ndim == 4 and tensor.shape[:2] == (1, 1))
    return tensor[0, 0]


def normalized_filter(tensor: Tensor) -> Tensor:
    """A filter (..., k, k), whatever its gain, scaled to add up to 1."""
    _check(tensor, tensor.ndim >= 2 and tensor.numel() == tensor.shape[-1] * tensor.shape[-2])
    total = tensor.sum()
    _check(tensor, abs(float(total)) > 1e-6)
    return tensor.reshape(tensor.shape[-2:]) / total


def plus_one(tensor: Tensor) -> Tensor:
    """A style's bias with the 1 that other code adds when it runs."""
    return tensor + 1


def flipped(tensor: Tensor) -> Tensor:
    """A kernel (O, I, k, k) turned by half a circle."""
    _check(tensor, tensor.ndim == 4)
    return tensor.flip(2, 3)


def transposed(tensor: Tensor) -> Tensor:
    """(I, O) to (O, I)."""
    _check(tensor, tensor.ndim == 2)
    return tensor.t()


def from_hwio(tensor: Tensor) -> Tensor:
    """A kernel (k, k, I, O) to (O, I, k, k)."""
    _check(tensor, tensor.ndim == 4)
    return tensor.permute(3, 2, 0, 1)


def from_hwio_flipped(tensor: Tensor) -> Tensor:
    """A kernel (k, k, I, O), turned by half a circle, to (O, I, k, k)."""
    return flipped(from_hwio(tensor))


def label_weight(tensor: Tensor) -> Tensor:
    """A class embedding (classes, features) without gain, as NVIDIA's PyTorch code stores one with gain."""
    _check(tensor, tensor.ndim == 2)
    return tensor.t() * tensor.shape[0] ** 0.5


def convert(
    tensors: Iterable[tuple[Any, Any]], rename: Callable[[str], Target | None], kind: str, budget: Budget
) -> dict[str, Tensor]:
    """The tensors under NVIDIA's names.

    Args:
        tensors: names and inert tensors.
        rename: the target of a name, `DROPPED`, or None for a name that has no place in such a file.
        kind: the kind of file, for messages.
        budget: what reading may cost.

    Raises:
        CheckpointError: a name is unknown or a tensor cannot be used.
    """
    state = {}
    for name, value in tensors:
        target = rename(name) if isinstance(name, str) else None
        if target is None:
            raise CheckpointError(f"{printable(name)} has no place in a {kind} generator; it is of another kind")
        new_name, change = target
        if new_name:
            state[new_name] = change(to_tensor(value, name, budget)).contiguous()
    return state


def fill_gaps(state: dict[str, Tensor]) -> tuple[str, ...]:
    """Draw missing noise images and compute a missing mean style, both from seed 0; say so in sentences."""
    notes = []
    infer_config(state)  # refuses absurd resolutions before any noise is drawn
    random = torch.Generator().manual_seed(SEED)
    for match in [match for match in map(_NOISE.fullmatch, list(state)) if match]:
        name, side = match[0].replace("noise_strength", "noise_const"), int(match[1])
        if name not in state:
            state[name] = torch.randn(side, side, generator=random)
            notes.append(f"the noise image of {side} px was missing and is drawn from seed {SEED}")
    if "mapping.w_avg" not in state:
        state["mapping.w_avg"] = _mean_style(state)
        notes.append(f"the mean style was missing and is that of {NUM_STYLES} codes from seed {SEED}")
    return tuple(dict.fromkeys(notes))


def _mean_style(state: dict[str, Tensor]) -> Tensor:
    w_dim = infer_config(state).w_dim
    mapping = Generator.adopt({**state, "mapping.w_avg": torch.zeros(w_dim)}).mapping
    random = torch.Generator().manual_seed(SEED)
    z = torch.randn(NUM_STYLES, mapping.z_dim, generator=random)
    with torch.no_grad():
        return mapping(z)[:, 0].mean(dim=0)


def _check(tensor: Tensor, good: bool) -> None:
    if not good:
        raise damaged(f"a tensor of shape {tuple(tensor.shape)} where another belongs")


def _check_index(index: int) -> None:
    if not 0 <= index < 40:
        raise damaged(f"a layer numbered {index}")
