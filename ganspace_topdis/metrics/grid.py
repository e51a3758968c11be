"""Codes of a whole grid of factor combinations: one row a combination, the last factor fastest.

Metrics that draw their own batches (FactorVAE, beta-VAE) look their codes up here, so that a data set is
encoded once and never again.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.inputs import Array, as_codes

__all__ = ["FactorGrid"]


class FactorGrid:
    """The codes of every combination of factor values.

    Args:
        grid_codes: (product of sizes, D), one row a combination, last factor fastest.
        factor_sizes: how many values each factor takes.

    Raises:
        InvalidArgumentError: malformed codes, sizes that are not positive, or another number of rows.

    >>> grid = FactorGrid(np.arange(6.0)[:, None], (2, 3))
    >>> grid.rows(np.array([[0, 2], [1, 0]])).tolist()
    [2, 3]
    """

    def __init__(self, grid_codes: ArrayLike, factor_sizes: Sequence[int]) -> None:
        self.codes = as_codes(grid_codes, "grid_codes")
        self.sizes = np.array([int(size) for size in factor_sizes])
        if len(self.sizes) == 0 or (self.sizes < 1).any():
            raise InvalidArgumentError(f"factor_sizes {tuple(factor_sizes)} must be positive integers")
        if math.prod(self.sizes.tolist()) != len(self.codes):
            raise InvalidArgumentError(
                f"grid_codes have {len(self.codes)} rows but factor_sizes {tuple(factor_sizes)} make "
                f"{math.prod(self.sizes.tolist())} combinations; encode the whole grid, last factor fastest"
            )
        self._strides = np.append(np.cumprod(self.sizes[:0:-1])[::-1], 1)

    @property
    def varying(self) -> Array:
        """The indices of the factors of more than one value."""
        return np.flatnonzero(self.sizes > 1)

    def draw_factor(self, num: int, rng: np.random.Generator) -> Array:
        """`num` factors, uniform among those that vary.

        Raises:
            InvalidArgumentError: fewer than two factors vary, so there is nothing to tell apart.
        """
        if len(self.varying) < 2:
            raise InvalidArgumentError(f"factor_sizes {tuple(self.sizes)}: at least two factors must vary")
        return rng.choice(self.varying, size=num)

    def draw_values(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Independent uniform factor values, (*shape, K)."""
        return rng.integers(0, self.sizes, size=(*shape, len(self.sizes)))

    def rows(self, values: Array) -> Array:
        """Row numbers (...) of factor values (..., K)."""
        return values @ self._strides
