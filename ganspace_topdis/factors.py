"""A factor of variation: its name, its number of values, and their geometry. Imports no torch.

The kind determines how two values are compared: on a line (scale, position), on a circle (hue, whose last value is next
to the first), or as categories (shape), which are only equal or different.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["Factor", "FactorKind", "check_indices"]

FactorKind = Literal["linear", "circular", "categorical"]


@dataclass(frozen=True)
class Factor:
    """A factor of variation with `size` values, indexed 0 to size - 1.

    Continuous values are given in index units too: 2.5 lies half-way between the values 2 and 3. A circular
    factor has period `size`: the value `size` is the value 0.

    Raises:
        InvalidArgumentError: the name is empty, the size is not a positive integer, or the kind is unknown.

    >>> Factor("wall hue", 10, "circular").size
    10
    """

    name: str
    size: int
    kind: FactorKind = "linear"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InvalidArgumentError(f"factor name {self.name!r} is not allowed; give a non-empty string")
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:
            raise InvalidArgumentError(f"factor {self.name!r}: size {self.size!r} must be an integer of 1 or more")
        if self.kind not in get_args(FactorKind):
            allowed = ", ".join(get_args(FactorKind))
            raise InvalidArgumentError(f"factor {self.name!r}: kind {self.kind!r} is unknown; use one of {allowed}")


def check_indices(
    indices: npt.ArrayLike, factors: Sequence[Factor], argument: str = "indices"
) -> npt.NDArray[np.int64]:
    """Return factor indices (n, K) as int64.

    Args:
        indices: one row per image, one column per factor.
        factors: the K factors.
        argument: name of the caller's argument, for messages.

    Raises:
        InvalidArgumentError: the shape or type is wrong, or an index is out of the range of its factor.
    """
    rows = np.asarray(indices)
    if rows.ndim != 2 or rows.shape[1] != len(factors) or rows.dtype.kind not in "iu":
        raise InvalidArgumentError(
            f"{argument} is {rows.dtype} of shape {rows.shape}; "
            f"give integers of shape (n, {len(factors)}), one column per factor"
        )
    for k, factor in enumerate(factors):
        column = rows[:, k]
        if len(column) and (column.min() < 0 or column.max() >= factor.size):
            raise InvalidArgumentError(
                f"column {k} of {argument} ({factor.name}) ranges from {column.min()} to {column.max()}, "
                f"but must be 0 to {factor.size - 1}"
            )
    return rows.astype(np.int64)
