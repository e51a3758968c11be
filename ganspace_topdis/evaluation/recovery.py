"""How well found directions recover known ones: matched absolute cosines.

Each true direction is paired with one found direction so that the sum of |cos| is largest (the Hungarian
method). A direction has no sign and no length here, so neither counts.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["Recovery", "coordinate_recovery", "match", "recovery"]


@dataclass(frozen=True)
class Recovery:
    """Matched cosines.

    Attributes:
        cosines: |cos| of each true direction with its match; 0 where there were too few found ones.
        matched: the index of its match, or -1.
        mean: mean of `cosines`.
        worst: smallest of `cosines`.
    """

    cosines: tuple[float, ...]
    matched: tuple[int, ...]
    mean: float
    worst: float

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)


def recovery(found: Tensor, true: Tensor) -> Recovery:
    """Compare found directions (K, D) with true ones (L, D).

    Raises:
        InvalidArgumentError: the two differ in D, or a direction is zero or not finite.

    >>> recovery(torch.tensor([[0.0, -2.0], [1.0, 0.0]]), torch.eye(2)).cosines
    (1.0, 1.0)
    """
    if found.ndim != 2 or true.ndim != 2 or found.shape[1] != true.shape[1]:
        raise InvalidArgumentError(f"directions {tuple(found.shape)} and {tuple(true.shape)} must be (K, D) and (L, D)")
    a, b = _units(true), _units(found)
    cosines = (a @ b.T).abs().clamp(max=1).numpy()
    matched = match(cosines.T)
    best = [float(cosines[k, i]) if i >= 0 else 0.0 for k, i in enumerate(matched)]
    return Recovery(tuple(best), matched, float(np.mean(best)), min(best))


def coordinate_recovery(coordinates: Tensor, true: Tensor) -> Recovery:
    """The same of coordinates: matched |correlation| of (n, K) numbers with (n, L) true ones, over n codes.

    For a generator whose factors are a known function of the code, where directions of the code that a search
    moves (w of a StyleGAN2) are not those that the function is written in (z).

    Raises:
        InvalidArgumentError: the two differ in n, or a coordinate is constant or not finite.

    >>> t = torch.linspace(-1, 1, 5)
    >>> coordinate_recovery(torch.stack([t**2, -t], dim=1), t[:, None]).matched
    (1,)
    """
    if coordinates.ndim != 2 or true.ndim != 2 or len(coordinates) != len(true):
        raise InvalidArgumentError(
            f"coordinates {tuple(coordinates.shape)} and {tuple(true.shape)} must be (n, K) and (n, L)"
        )
    return recovery((coordinates - coordinates.mean(0)).T, (true - true.mean(0)).T)


def match(scores: Any) -> tuple[int, ...]:
    """For each column of scores (K, L) the row of the best one-to-one matching, or -1 for lack of rows."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-np.asarray(scores, dtype=np.float64))
    matched = np.full(np.shape(scores)[1], -1)
    matched[columns] = rows
    return tuple(int(row) for row in matched)


def _units(directions: Tensor) -> Tensor:
    rows = directions.detach().cpu().double()
    norms = rows.norm(dim=1, keepdim=True)
    if not torch.isfinite(rows).all() or (norms == 0).any():
        raise InvalidArgumentError("directions must be finite and none of them zero")
    return rows / norms
