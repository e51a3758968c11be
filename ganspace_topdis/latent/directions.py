"""Directions: displacements of a generator's code, with their scores and the span that they were found in.

A code c of D numbers has whitened coordinates y of unit variance in a span of M axes,

    y = projection (c - mean),        c moves by  diag(scales) span  along the axes,

and direction i is a unit vector v_i there. It moves the code by `vectors[i]` = sum_m v_im scales[m] span[m] per
standard deviation of its coordinate `dual_vectors[i] . (c - mean)`. So all directions move the code by the same number
of standard deviations, and none can win by having no effect.

Calibrated directions have units of their own: `vectors[i]` is `units[i]` standard deviations long, chosen so that one
unit changes the features about equally along every direction (see `discovery.held_out`). All amounts are in units.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, RunFolderError
from ganspace_topdis.latent.shift import is_index, shift_values
from ganspace_topdis.runs.checksummed import load_checksummed, save_checksummed
from ganspace_topdis.runs.records import read_run

__all__ = ["Directions"]

_FORMAT = "topdis-gan directions"
_LISTS = ("layers", "spectrum")
_TENSORS = {"vectors": "vectors", "dual_vectors": "readouts", "mean": "mean", "span": "span", "scales": "scales"}
"""The name in the file of each tensor of `Directions`."""

_NUMBER = (int, float, type(None))
_FACTS: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "space": (str,),
    "checkpoint_sha256": (str,),
    "noise_mode": (str,),
    "version": (str,),
    "unit": (list,),
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
"""The types of the metadata that commands read, if present."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Directions:
    """K directions in a space of codes of D numbers.

    Attributes:
        vectors: (K, D), the displacement of a code by one unit along each direction: by one standard deviation, unless
            they are calibrated.
        dual_vectors: (K, D), the coordinates of a code, in units, are `dual_vectors @ (code - mean)`. They are dual to
            `vectors` where the directions are orthogonal in the span.
        mean: (D,), the mean code.
        span: (M, D), unit vectors whose combinations are the directions.
        scales: (M,), the length of one standard deviation along each of them, in units of the code.
        metadata: JSON-able facts: method, settings, checkpoint, and lists of K scores; "unit" of calibrated ones.
        layer_of: (D,), the layer of the generator that each number of a code belongs to, where codes have numbers for
            every layer, one after the other; not stored in files.

    Raises:
        InvalidArgumentError: the shapes do not fit each other.
    """

    vectors: Tensor
    dual_vectors: Tensor
    mean: Tensor
    span: Tensor
    scales: Tensor
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    layer_of: Tensor | None = None

    def __post_init__(self) -> None:
        num_codes = self.mean.shape[-1]
        for name in ("vectors", "dual_vectors", "span"):
            tensor = getattr(self, name)
            if tensor.ndim != 2 or tensor.shape[1] != num_codes:
                raise InvalidArgumentError(f"{name} must be (K, {num_codes}) like mean, got {tuple(tensor.shape)}")
        if self.vectors.shape != self.dual_vectors.shape:
            raise InvalidArgumentError(
                "vectors and dual_vectors must have the same shape, got "
                f"{tuple(self.vectors.shape)} and {tuple(self.dual_vectors.shape)}"
            )

    @property
    def num_directions(self) -> int:
        """K, the number of directions."""
        return len(self.vectors)

    @property
    def code_dim(self) -> int:
        """D, the width of a code."""
        return self.mean.shape[0]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of `vectors`: directions of equal fingerprints move codes equally."""
        data = self.vectors.detach().cpu().contiguous().view(torch.uint8)  # bfloat16 has no numpy type
        return hashlib.sha256(data.numpy().tobytes()).hexdigest()

    @property
    def units(self) -> Tensor:
        """(K,), the standard deviations in one unit of each direction; 1 where they are not calibrated."""
        return torch.tensor(self.metadata.get("unit", [1.0] * self.num_directions), dtype=self.vectors.dtype)

    def calibrated(self, units: Sequence[float]) -> "Directions":
        """The same directions in units of `units` (K positive numbers) standard deviations.

        Raises:
            InvalidArgumentError: there are not K of them, or one is not positive and finite.
        """
        units = [float(unit) for unit in units]
        if len(units) != self.num_directions or not all(0 < unit < math.inf for unit in units):
            raise InvalidArgumentError(f"units must be {self.num_directions} positive numbers, not {units}")
        rows = torch.tensor(units, dtype=self.vectors.dtype)[:, None]
        plain = self.in_sigmas()
        return dataclasses.replace(
            plain,
            vectors=plain.vectors * rows,
            dual_vectors=plain.dual_vectors / rows,
            metadata={**plain.metadata, "unit": units},
        )

    def in_sigmas(self) -> "Directions":
        """The same directions in units of one standard deviation, in which scores are measured."""
        if "unit" not in self.metadata:
            return self
        rows = self.units[:, None]
        facts = {name: value for name, value in self.metadata.items() if name != "unit"}
        return dataclasses.replace(
            self, vectors=self.vectors / rows, dual_vectors=self.dual_vectors * rows, metadata=facts
        )

    def transform(self, codes: Tensor) -> Tensor:
        """The coordinates (..., K) of `codes` (..., D) along the directions, in units.

        Raises:
            InvalidArgumentError: `codes` is no floating-point tensor, or of another width.
        """
        self._check_rows(codes, "codes", self.code_dim)
        with torch.autocast(codes.device.type, enabled=False):
            return (codes - self.mean.to(codes)) @ self.dual_vectors.to(codes).T

    def inverse_transform(self, coordinates: Tensor) -> Tensor:
        """The codes (..., D) in the span of the directions with these `coordinates` (..., K).

        `transform` returns the same coordinates. What a code has outside this span is lost, as with fewer components
        of a PCA; `move` keeps it.

        Raises:
            InvalidArgumentError: `coordinates` is no floating-point tensor, or of another width.
        """
        self._check_rows(coordinates, "coordinates", self.num_directions)
        vectors, dual_vectors = (rows.cpu().double() for rows in (self.vectors, self.dual_vectors))
        basis = torch.linalg.solve(vectors @ dual_vectors.T, vectors)
        return self.mean.to(coordinates) + coordinates @ basis.to(coordinates)

    def move(self, codes: Tensor, index: int, amount: float | Tensor, *, layers: Sequence[int] | None = None) -> Tensor:
        """The codes moved along direction `index` by `amount` units.

        Args:
            codes: (N, D), or (N, num_layers, D) with one code per layer of the generator.
            index: the direction, 0 <= index < K.
            amount: in units, one number or (N,).
            layers: indices of the layers that move, of codes (N, num_layers, D) or with `layer_of`; all by default.

        Returns:
            The moved codes, of the shape of `codes`.

        Raises:
            InvalidArgumentError: the shape of `codes` or `amount`, `index` or a layer is out of range.
        """
        self._check(codes, index)
        amounts = torch.as_tensor(amount, dtype=codes.dtype, device=codes.device)
        if amounts.numel() not in (1, len(codes)):
            raise InvalidArgumentError(
                f"amount must be one number or one for each of {len(codes)} codes, got {tuple(amounts.shape)}",
                field="amount",
            )
        step = amounts.reshape(-1, *[1] * (codes.ndim - 1)) * self.vectors[index].to(codes)
        if layers is None:
            return codes + step
        if codes.ndim != 3 and self.layer_of is None:
            raise InvalidArgumentError(
                f"`layers` need codes (N, num_layers, D), one per layer, got {tuple(codes.shape)}", field="layers"
            )
        own = self.layer_of if codes.ndim != 3 else torch.arange(codes.shape[1])[:, None]
        assert own is not None, "refused above"
        outside = [layer for layer in layers if not 0 <= layer <= int(own.max())]
        if outside:
            raise InvalidArgumentError(
                f"`layers` {outside} are out of range, allowed are 0 to {int(own.max())}", field="layers"
            )
        return codes + torch.isin(own, torch.tensor(list(layers))).to(codes) * step

    def shift(self, codes: Tensor, index: int, amount: float) -> tuple[Tensor, Tensor]:
        """The Gaussian-preserving shift along direction `index` (see `latent.shift`).

        Args:
            codes: (N, D), or (N, num_layers, D); coordinates are read at the first layer, and all layers move.
            index: the direction.
            amount: C, in probability, -1 < C < 1.

        Returns:
            `shifted` (M, ...) and the boolean mask `kept` (N,) of the rows that have an image.

        Raises:
            InvalidArgumentError: the shape of `codes`, `index` or `amount` is out of range.
        """
        self._check(codes, index)
        unit = float(self.units[index])
        values = self.transform(codes if codes.ndim == 2 else codes[:, 0])[:, index] * unit
        moved, kept = shift_values(values, amount)
        return self.move(codes, index, (moved - values) / unit)[kept], kept

    def select(self, indices: Sequence[int], **metadata: Any) -> "Directions":
        """The directions `indices`, in that order, with their scores, and with `metadata` added."""
        chosen = list(indices)
        columns = {name: [column[index] for index in chosen] for name, column in self.columns.items()}
        return dataclasses.replace(
            self,
            vectors=self.vectors[chosen],
            dual_vectors=self.dual_vectors[chosen],
            metadata={**self.metadata, **columns, **metadata},
        )

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The scores of the directions: the entries of `metadata` that are lists of K values."""
        return {
            name: value
            for name, value in self.metadata.items()
            if isinstance(value, list) and len(value) == self.num_directions and name not in _LISTS
        }

    def score_table(self) -> dict[str, Any]:
        """The content of scores.json: the metadata, and one row of scores per direction."""
        columns = dict(sorted(self.columns.items()))
        rows = [
            {"index": index, **{name: column[index] for name, column in columns.items()}}
            for index in range(self.num_directions)
        ]
        facts = {name: value for name, value in self.metadata.items() if name not in columns}
        return {**json.loads(json.dumps(facts, sort_keys=True)), "directions": rows}  # as read from a file

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a safetensors file atomically, with the metadata and a checksum in its header, and return its path.

        Raises:
            RunFolderError: the file cannot be written.
        """
        tensors = {key: getattr(self, name) for name, key in _TENSORS.items()}
        return save_checksummed(path, tensors, {"format": _FORMAT, "metadata": self.metadata})

    @staticmethod
    def file_of(path: str | os.PathLike[str]) -> Path:
        """The file that `load` reads: `path` itself, or directions.safetensors in a run folder."""
        return Path(path) / "directions.safetensors" if Path(path).is_dir() else Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Directions":
        """Read a file of `save`, or directions.safetensors in the run folder `path`.

        Raises:
            CheckpointError: the file is missing, damaged, or no file of directions.
        """
        file = cls.file_of(path)
        if not file.exists() and Path(path).is_dir():
            raise CheckpointError(f"{path} holds no directions.safetensors; {_where_from(Path(path))}")
        tensors, description = load_checksummed(file)
        if description.get("format") != _FORMAT or set(tensors) != set(_TENSORS.values()):
            raise CheckpointError(
                f"{file} is no file of directions; its format is {description.get('format', 'unknown')!r}"
            )
        if fault := _fault(tensors, description.get("metadata")):
            raise CheckpointError(
                f"{file} holds no usable directions: {fault}; find them again with `topdis-gan discover`"
            )
        fields = {name: tensors[key] for name, key in _TENSORS.items()}
        return cls(**fields, metadata=description["metadata"])

    def __repr__(self) -> str:
        facts = [str(self.metadata[name]) for name in ("method", "space") if name in self.metadata]
        return f"Directions({', '.join([f'{self.num_directions} of codes of {self.code_dim} numbers', *facts])})"

    def _repr_html_(self) -> str:
        """HTML for notebooks: one row of scores per direction."""
        from ganspace_topdis.notebook import directions_html  # on use: notebook.py imports the pages

        return directions_html(self)

    def _check_rows(self, rows: Tensor, name: str, width: int) -> None:
        _require_floats(rows, name, f"(..., {width})")
        if rows.ndim == 0 or rows.shape[-1] != width:
            raise InvalidArgumentError(f"{name} must be (..., {width}), got {tuple(rows.shape)}")

    def _check(self, codes: Tensor, index: int) -> None:
        _require_floats(codes, "codes", f"(N, {self.code_dim})")
        if codes.ndim not in (2, 3) or codes.shape[-1] != self.code_dim:
            raise InvalidArgumentError(
                f"codes must be (N, {self.code_dim}) or (N, num_layers, {self.code_dim}), got {tuple(codes.shape)}"
            )
        if not is_index(index, 0, self.num_directions):
            raise InvalidArgumentError(f"direction {index} does not exist, allowed are 0 to {self.num_directions - 1}")


def _require_floats(value: Tensor, name: str, shape: str) -> None:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise InvalidArgumentError(f"{name} must be a floating-point torch.Tensor {shape}, got {kind}")


def _where_from(folder: Path) -> str:
    """What makes the directions that `folder` lacks."""
    with contextlib.suppress(RunFolderError):
        command = read_run(folder).command
        if command == "discover":
            return "its search has not finished, and the same `topdis-gan discover` command resumes it"
        if command == "train-vae":
            return "it is a run of `topdis-gan train-vae`, and `evaluate-vae` writes its latents as directions"
    return "give the run folder of `topdis-gan discover`"


def _fault(tensors: dict[str, Tensor], metadata: Any) -> str | None:
    """The fault in the content of a file of directions, or None."""
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
            return f"{name} has the shape {tuple(tensor.shape)}, which does not fit the other tensors"
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            return f"{name} holds values that are not finite numbers"
    if not isinstance(metadata, dict):
        return "the metadata is not a dictionary"
    for name, kinds in _FACTS.items():
        if name in metadata and not isinstance(metadata[name], kinds):
            return f"{name} is {str(metadata[name])[:40]!r}"
    if not all(isinstance(layer, int) for layer in metadata.get("layers") or ()):
        return "layers are not integers"
    columns = ("score", "rtd_before", "rtd_after", "effect", "unit")
    if any(len(metadata[name]) != len(vectors) for name in columns if name in metadata):
        return "the scores are of another number of directions"
    if not all(isinstance(value, _NUMBER) for name in columns for value in metadata.get(name, [])):
        return "the scores are not numbers"
    if not all(unit is not None and 0 < unit < math.inf for unit in metadata.get("unit", [])):
        return "the units are not positive numbers"
    return None
