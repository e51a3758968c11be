"""Directions: a few displacements of a generator's code, with what is needed to use and to judge them.

A code c of D numbers is seen through a span of M axes, in which codes have unit variance,

    y = projection (c - mean),        c moves by  diag(scales) span  along the axes,

and direction i is a unit vector v_i there. So it moves the code by `vectors[i]` = sum_m v_im scales[m] span[m]
for every standard deviation of its coordinate `readouts[i] . (c - mean)`: all directions move the code by the
same number of standard deviations, and none can win by doing nothing.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.latent.shift import shift_values
from ganspace_topdis.runs.checksummed import load_checksummed, save_checksummed

__all__ = ["Directions"]

_FORMAT = "topdis-gan directions"
_LISTS = ("layers", "spectrum")
_TENSORS = ("vectors", "readouts", "mean", "span", "scales")
_NUMBER = (int, float, type(None))
_FACTS: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "space": (str,),
    "checkpoint_sha256": (str,),
    "noise_mode": (str,),
    "version": (str,),
    "layers": (list, type(None)),
    "label": (int, type(None)),
    "resolution": (int, type(None)),
    "seed": (int,),
    "settings": (dict,),
    "scores": (dict,),
    "score": (list,),
    "rtd_before": (list,),
    "rtd_after": (list,),
    "effect": (list,),
}
"""The types of what commands read from the metadata, where it is there."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Directions:
    """K directions in a space of codes of D numbers.

    Attributes:
        vectors: (K, D), the displacement of a code by one standard deviation along each direction.
        readouts: (K, D), the coordinates of a code: `readouts @ (code - mean)`, each of unit variance.
        mean: (D,), the mean code.
        span: (M, D), unit vectors that the directions are combinations of.
        scales: (M,), the length of one standard deviation along each of them, in units of the code.
        metadata: JSON-able facts: method, settings, checkpoint, scores of each direction.
    """

    vectors: Tensor
    readouts: Tensor
    mean: Tensor
    span: Tensor
    scales: Tensor
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        num_codes = self.mean.shape[-1]
        for name in ("vectors", "readouts", "span"):
            tensor = getattr(self, name)
            if tensor.ndim != 2 or tensor.shape[1] != num_codes:
                raise InvalidArgumentError(f"{name} must be (K, {num_codes}) like mean, got {tuple(tensor.shape)}")
        if self.vectors.shape != self.readouts.shape:
            raise InvalidArgumentError(
                f"vectors {tuple(self.vectors.shape)} and readouts {tuple(self.readouts.shape)} must be alike"
            )

    @property
    def num_directions(self) -> int:
        """K."""
        return len(self.vectors)

    @property
    def code_dim(self) -> int:
        """D."""
        return self.mean.shape[0]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the displacements: directions with the same one move codes alike."""
        return hashlib.sha256(self.vectors.contiguous().numpy().tobytes()).hexdigest()

    def coordinates(self, codes: Tensor) -> Tensor:
        """The coordinates (..., K) of `codes` (..., D) along the directions, in standard deviations."""
        return (codes - self.mean.to(codes)) @ self.readouts.to(codes).T

    def move(self, codes: Tensor, index: int, amount: float | Tensor, *, layers: Sequence[int] | None = None) -> Tensor:
        """The codes moved along direction `index` by `amount` standard deviations.

        Args:
            codes: (N, D), or (N, num_layers, D) with one code a layer of the generator.
            index: the direction, 0 <= index < K.
            amount: one number, or (N,).
            layers: which of num_layers move; all by default.

        Raises:
            InvalidArgumentError: the width of `codes`, `index` or a layer is out of range.
        """
        self._check(codes, index)
        amounts = torch.as_tensor(amount, dtype=codes.dtype, device=codes.device)
        step = amounts.reshape(-1, *[1] * (codes.ndim - 1)) * self.vectors[index].to(codes)
        if layers is None:
            return codes + step
        if codes.ndim != 3:
            raise InvalidArgumentError("layers need codes of shape (N, num_layers, D), one code a layer")
        outside = [layer for layer in layers if not 0 <= layer < codes.shape[1]]
        if outside:
            raise InvalidArgumentError(f"layers {outside} are out of range, allowed are 0 to {codes.shape[1] - 1}")
        mask = torch.zeros(codes.shape[1], 1, dtype=codes.dtype, device=codes.device)
        mask[list(layers)] = 1
        return codes + mask * step

    def shift(self, codes: Tensor, index: int, amount: float) -> tuple[Tensor, Tensor]:
        """The Gaussian-preserving shift along direction `index` (see `latent.shift`).

        Args:
            codes: (N, D), or (N, num_layers, D), read at its first layer and moved at all.
            index: the direction.
            amount: C, on the scale of the distribution function, -1 < C < 1.

        Returns:
            `shifted` (M, ...) and the mask `kept` (N,) of the rows that have an image.
        """
        self._check(codes, index)
        values = self.coordinates(codes if codes.ndim == 2 else codes[:, 0])[:, index]
        moved, kept = shift_values(values, amount)
        return self.move(codes, index, moved - values)[kept], kept

    def select(self, indices: Sequence[int], **metadata: Any) -> "Directions":
        """The directions `indices`, in that order and with their scores, and with `metadata` added."""
        chosen = list(indices)
        columns = {name: [column[index] for index in chosen] for name, column in self.columns.items()}
        return dataclasses.replace(
            self,
            vectors=self.vectors[chosen],
            readouts=self.readouts[chosen],
            metadata={**self.metadata, **columns, **metadata},
        )

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The scores of each direction: what of the metadata is a list of K entries."""
        return {
            name: value
            for name, value in self.metadata.items()
            if isinstance(value, list) and len(value) == self.num_directions and name not in _LISTS
        }

    def score_table(self) -> dict[str, Any]:
        """What is known of the directions, for scores.json: the facts, and a row of scores for each direction."""
        columns = dict(sorted(self.columns.items()))
        rows = [
            {"index": index, **{name: column[index] for name, column in columns.items()}}
            for index in range(self.num_directions)
        ]
        facts = {name: value for name, value in self.metadata.items() if name not in columns}
        return {**json.loads(json.dumps(facts, sort_keys=True)), "directions": rows}  # as a file gives them back

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a safetensors file, atomically, with the metadata and a seal in its header.

        Raises:
            RunFolderError: the file cannot be written.
        """
        tensors = {name: getattr(self, name) for name in _TENSORS}
        return save_checksummed(path, tensors, {"format": _FORMAT, "metadata": self.metadata})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Directions":
        """Read what `save` wrote; `path` may also be the run folder that holds directions.safetensors.

        Raises:
            CheckpointError: the file is missing, damaged, or holds something else.
        """
        file = Path(path)
        if file.is_dir():
            file = file / "directions.safetensors"
            if not file.exists():
                raise CheckpointError(f"{path} holds no directions.safetensors; run `topdis-gan discover --out {path}`")
        tensors, description = load_checksummed(file)
        if description.get("format") != _FORMAT or set(tensors) != set(_TENSORS):
            raise CheckpointError(f"{file} holds no directions but {description.get('format', 'something else')!r}")
        if fault := _fault(tensors, description.get("metadata")):
            raise CheckpointError(
                f"{file} holds no usable directions: {fault}; find them again with `topdis-gan discover`"
            )
        return cls(**tensors, metadata=description["metadata"])

    def __repr__(self) -> str:
        facts = [str(self.metadata[name]) for name in ("method", "space") if name in self.metadata]
        return f"Directions({', '.join([f'{self.num_directions} of codes of {self.code_dim} numbers', *facts])})"

    def _repr_html_(self) -> str:
        """What a notebook shows: a row of scores for each direction."""
        from ganspace_topdis.notebook import directions_html

        return directions_html(self)

    def _check(self, codes: Tensor, index: int) -> None:
        if codes.ndim not in (2, 3) or codes.shape[-1] != self.code_dim:
            raise InvalidArgumentError(
                f"codes must be (N, {self.code_dim}) or (N, num_layers, {self.code_dim}), got {tuple(codes.shape)}"
            )
        if not 0 <= index < self.num_directions:
            raise InvalidArgumentError(f"direction {index} does not exist, allowed are 0 to {self.num_directions - 1}")


def _fault(tensors: dict[str, Tensor], metadata: Any) -> str | None:
    """What is wrong with what a file of directions holds; None where nothing is."""
    vectors, mean = tensors["vectors"], tensors["mean"]
    shapes = {
        "mean": (mean.numel(),),
        "vectors": (len(vectors) if vectors.ndim else 0, mean.numel()),
        "readouts": tuple(vectors.shape),
        "scales": (tensors["scales"].numel(),),
        "span": (tensors["scales"].numel(), mean.numel()),
    }
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tuple(tensor.shape) != shape or not tensor.numel():
            return f"{name} has the shape {tuple(tensor.shape)}, which does not fit the others"
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            return f"{name} holds something else than finite numbers"
    if not isinstance(metadata, dict):
        return "its metadata are no dictionary"
    for name, kinds in _FACTS.items():
        if name in metadata and not isinstance(metadata[name], kinds):
            return f"{name} is {str(metadata[name])[:40]!r}"
    if not all(isinstance(layer, int) for layer in metadata.get("layers") or ()):
        return "layers are no numbers"
    columns = ("score", "rtd_before", "rtd_after", "effect")
    if any(len(metadata[name]) != len(vectors) for name in columns if name in metadata):
        return "its scores are of another number of directions"
    if not all(isinstance(value, _NUMBER) for name in columns for value in metadata.get(name, [])):
        return "its scores are no numbers"
    return None
