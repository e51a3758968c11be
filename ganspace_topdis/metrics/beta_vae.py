"""beta-VAE score: can a linear classifier tell which factor two batches share?

A point is the mean over `batch_size` pairs of |z - z'|, the two of a pair sharing one factor k; logistic
regression predicts k, and the score is its accuracy on further points.

Higgins et al. 2017 (beta-VAE), with the sizes of Locatello et al. 2019. It saturates: a randomly rotated code
scores 1 as well.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.metrics.grid import FactorGrid
from ganspace_topdis.metrics.inputs import Array

__all__ = ["beta_vae_score"]

_POINTS_AT_ONCE = 1000


def beta_vae_score(
    grid_codes: ArrayLike,
    factor_sizes: Sequence[int],
    *,
    seed: int = 0,
    num_train: int = 10_000,
    num_test: int = 5_000,
    batch_size: int = 64,
) -> float:
    """The beta-VAE score, in [0, 1]; chance is one over the number of factors that vary.

    Args:
        grid_codes: (product of sizes, D), one row a factor combination, last factor fastest.
        factor_sizes: how many values each factor takes; a factor of one value is never shared.
        seed: of the draws.
        num_train: training points.
        num_test: test points.
        batch_size: pairs a point.

    Raises:
        InvalidArgumentError: malformed arrays, or fewer than two factors vary.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    grid, rng = FactorGrid(grid_codes, factor_sizes), np.random.default_rng(seed)
    shared = grid.draw_factor(num_train + num_test, rng)
    points = np.concatenate(
        [
            _differences(grid, shared[start : start + _POINTS_AT_ONCE], batch_size, rng)
            for start in range(0, len(shared), _POINTS_AT_ONCE)
        ]
    )
    classifier = LogisticRegression()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the definition is 100 iterations
        classifier.fit(points[:num_train], shared[:num_train])
    return float(classifier.score(points[num_train:], shared[num_train:]))


def _differences(grid: FactorGrid, shared: Array, batch_size: int, rng: np.random.Generator) -> Array:
    """Mean absolute code differences (V, D) over pairs that share the factors `shared` (V,)."""
    first = grid.draw_values((len(shared), batch_size), rng)
    second = grid.draw_values((len(shared), batch_size), rng)
    points = np.arange(len(shared))
    second[points, :, shared] = first[points, :, shared]
    return np.abs(grid.codes[grid.rows(first)] - grid.codes[grid.rows(second)]).mean(axis=1)
