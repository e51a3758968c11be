"""FactorVAE score: is the latent that varies least, when one factor is held, always the same one?

A vote holds a random factor k, draws `batch_size` points, and names the latent of the smallest variance
relative to its variance over the data, among latents whose standard deviation is at least `min_std`. The
classifier names for each latent the factor that most training votes gave it; the score is its accuracy on
further votes. Chance is one over the number of factors.

Kim & Mnih 2018 (Disentangling by Factorising), with the sizes and the pruning of Locatello et al. 2019. Their
code's default never prunes, so that one constant latent (0 / 0) attracts all votes; here it never can.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.grid import FactorGrid
from ganspace_topdis.metrics.inputs import Array, as_codes

__all__ = ["factor_vae_score", "least_varying", "score_recorded_votes", "score_votes"]

_VOTES_AT_ONCE = 1000


def factor_vae_score(
    grid_codes: ArrayLike,
    factor_sizes: Sequence[int],
    *,
    seed: int = 0,
    num_train: int = 10_000,
    num_test: int = 5_000,
    batch_size: int = 64,
    num_variance: int = 10_000,
    min_std: float = 0.05,
) -> float:
    """The FactorVAE score, in [0, 1]; 1 is perfect, and 0 is returned when no latent is live.

    Args:
        grid_codes: (product of sizes, D), one row a factor combination, last factor fastest.
        factor_sizes: how many values each factor takes; a factor of one value is never held.
        seed: of the draws.
        num_train: training votes.
        num_test: test votes.
        batch_size: points a vote.
        num_variance: points for the variances over the data.
        min_std: latents of a smaller standard deviation take no part.

    Raises:
        InvalidArgumentError: malformed arrays, or fewer than two factors vary.
    """
    grid, rng = FactorGrid(grid_codes, factor_sizes), np.random.default_rng(seed)
    sample = grid.codes[rng.integers(0, len(grid.codes), size=num_variance)]
    variances = sample.var(axis=0, ddof=1)
    active = (np.sqrt(variances) >= min_std) & (variances > 0)
    held = grid.draw_factor(num_train + num_test, rng)
    if not active.any():
        return 0.0
    latents = np.empty(len(held), dtype=np.int64)
    for start in range(0, len(held), _VOTES_AT_ONCE):
        part = slice(start, start + _VOTES_AT_ONCE)
        rows = grid.rows(_holding(grid, held[part], batch_size, rng))
        latents[part] = least_varying(grid.codes[rows], variances, active)
    return score_votes(latents, held, num_train)


def least_varying(batches: ArrayLike, variances: ArrayLike, active: ArrayLike) -> Array:
    """The vote of each batch: the index, among active latents, of the smallest relative variance.

    Args:
        batches: (V, batch_size, D) codes of the points of each vote.
        variances: (D,) over the data.
        active: (D,) booleans.
    """
    mask = np.asarray(active, dtype=bool)
    local = np.asarray(batches)[..., mask].var(axis=1, ddof=1)
    return np.argmin(local / np.asarray(variances)[mask], axis=1)


def score_votes(latents: ArrayLike, held: ArrayLike, num_train: int) -> float:
    """The accuracy on the votes after `num_train` of the majority classifier learnt from the first `num_train`.

    Args:
        latents: (V,) the least varying latent of each vote.
        held: (V,) the factor that each vote held.
        num_train: how many votes to learn from.

    Raises:
        InvalidArgumentError: the two differ in length, or no votes are left to learn from or to score.

    >>> score_votes([0, 1, 0, 1, 0, 1], [2, 5, 2, 5, 2, 2], num_train=4)
    0.5
    """
    voted, factors = np.asarray(latents, dtype=np.int64), np.asarray(held, dtype=np.int64)
    if voted.shape != factors.shape or voted.ndim != 1 or not 0 < num_train < len(voted):
        raise InvalidArgumentError(
            f"votes of shapes {voted.shape} and {factors.shape} with num_train {num_train}: give one latent and "
            "one factor a vote, and leave votes to score"
        )
    counts = np.zeros((voted.max() + 1, factors.max() + 1), dtype=np.int64)
    np.add.at(counts, (voted[:num_train], factors[:num_train]), 1)
    return float((counts.argmax(axis=1)[voted[num_train:]] == factors[num_train:]).mean())


def score_recorded_votes(
    grid_codes: ArrayLike, held: ArrayLike, rows: ArrayLike, variances: ArrayLike, active: ArrayLike, num_train: int
) -> float:
    """The score of draws made elsewhere: `held` (V,) factors and `rows` (V, batch_size) of the grid."""
    batches = as_codes(grid_codes, "grid_codes")[np.asarray(rows)]
    return score_votes(least_varying(batches, variances, active), held, num_train)


def _holding(grid: FactorGrid, held: Array, batch_size: int, rng: np.random.Generator) -> Array:
    """Factor values (V, batch_size, K), in which vote v's points share the value of factor held[v]."""
    values = grid.draw_values((len(held), batch_size), rng)
    votes = np.arange(len(held))
    values[votes, :, held] = values[votes, 0, held][:, None]
    return values
