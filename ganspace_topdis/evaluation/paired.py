"""The statistics of one list of paired differences: exact test, interval, effect size and power.

Given the paired differences d_1 .. d_n of a score, one for each seed:

    test         Fisher's randomization test (1935): if the variant does nothing, every d_i is as likely as -d_i. The
                 p value is the share of the 2^n sign patterns whose |sum| is at least the observed one. It is exact for
                 any distribution, and at least 2 / 2^n: five pairs cannot reach 0.05, six reach 0.031
                 (corrected over four metrics eight, see `least_pairs`). Above 40 pairs it is an estimate.
    correction   Holm (1979) over the metrics that are tested together: the i-th smallest of m p values is multiplied
                 by m - i + 1, and made monotonic.
    interval     of the mean difference: mean +- t_{n-1} std / sqrt(n); from five pairs on
    effect size  d_z = mean / std, with the interval from the noncentral t distribution (Hedges and Olkin 1985)
    power        of the paired t test, a close approximation of that of the randomization test
"""

import math
import statistics
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.errors import InvalidArgumentError

__all__ = [
    "MIN_PAIRS",
    "detectable_difference",
    "effect_size",
    "effect_size_interval",
    "holm",
    "least_pairs",
    "mean_interval",
    "sign_flip_test",
]

MIN_PAIRS = 5
"""Fewer pairs have no interval."""

_MAX_EXACT = 40
_NUM_DRAWS = 1 << 20
_TIE = 1e-12


def sign_flip_test(differences: Sequence[float], *, seed: int = 0) -> float:
    """Return the two-sided p value of the sign-flip test of differences (n,).

    Exact for up to 40 pairs, by combining the sums of two halves; beyond, from 2^20 random patterns and the observed
    one (Phipson and Smyth 2010).

    Raises:
        InvalidArgumentError: there are no differences, or one is not finite.

    >>> sign_flip_test([0.1, 0.2, 0.3, 0.1, 0.2, 0.4])
    0.03125
    """
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise InvalidArgumentError("differences must be finite numbers, at least one", field="differences")
    largest = np.abs(values).max()
    if largest == 0:
        return 1.0
    values = values / largest
    observed = abs(values.sum()) - _TIE * len(values)
    if len(values) > _MAX_EXACT:
        return _estimate(values, observed, seed)
    half = len(values) // 2
    first, second = _signed_sums(values[:half]), np.sort(_signed_sums(values[half:]))
    above = len(second) - np.searchsorted(second, observed - first, side="left")
    below = np.searchsorted(second, -observed - first, side="right")
    return min(float((above + below).sum()) / 2.0 ** len(values), 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's corrected p values, in the given order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min((len(p_values) - rank) * p_values[index], 1.0))
        corrected[index] = highest
    return corrected


def least_pairs(num_tests: int, *, level: float = 0.95) -> int:
    """Return the least number of pairs with which one of `num_tests` corrected p values can fall below 1 - level.

    >>> [least_pairs(num_tests) for num_tests in (1, 2, 4)]
    [6, 7, 8]
    """
    return next(num for num in range(1, 64) if 2 * num_tests / 2**num < 1 - level)


def mean_interval(differences: Sequence[float], *, level: float = 0.95) -> tuple[float, float] | None:
    """Return Student's interval of the mean difference; None for fewer than five pairs."""
    from scipy.stats import t

    if len(differences) < MIN_PAIRS:
        return None
    mean, std = statistics.fmean(differences), statistics.stdev(differences)
    margin = float(t.ppf((1 + level) / 2, len(differences) - 1)) * std / math.sqrt(len(differences))
    return mean - margin, mean + margin


def effect_size(differences: Sequence[float]) -> float | None:
    """Return d_z = mean / std; None for fewer than two pairs, or equal differences.

    >>> effect_size([1.0, 3.0])
    1.414213562373095
    """
    std = statistics.stdev(differences) if len(differences) > 1 else 0.0
    equal = std <= _TIE * max(map(abs, differences), default=0.0)
    return None if equal else statistics.fmean(differences) / std


def effect_size_interval(differences: Sequence[float], *, level: float = 0.95) -> tuple[float, float] | None:
    """Return the interval of d_z, exact for normal differences; None for fewer than five pairs or equal differences.

    An end is the effect under which a t statistic at least as extreme as the observed one has probability
    (1 - level) / 2.
    """
    from scipy.optimize import brentq

    effect, num = effect_size(differences), len(differences)
    if effect is None or num < MIN_PAIRS:
        return None
    observed = effect * math.sqrt(num)
    reach = 10 + 2 * abs(observed)

    def end(probability: float) -> float:
        root = brentq(lambda center: _noncentral_t_cdf(observed, num - 1, center) - probability, -reach, reach)
        return float(root) / math.sqrt(num)

    return end((1 + level) / 2), end((1 - level) / 2)


def detectable_difference(std: float, num_pairs: int, *, power: float = 0.8, level: float = 0.95) -> float:
    """Return the smallest true mean difference that a two-sided paired test detects with probability `power`.

    Args:
        std: standard deviation of the differences.
        num_pairs: number of pairs, at least two.
        power: probability of detection.
        level: 1 - the level of significance.

    Raises:
        InvalidArgumentError: there are fewer than two pairs, or `power` is not between 1 - `level`, which no difference
            has already, and 1, which none reaches.

    >>> round(detectable_difference(0.07, 12), 3)
    0.062
    """
    from scipy.optimize import brentq
    from scipy.stats import t

    if num_pairs < 2:
        raise InvalidArgumentError(f"num_pairs is {num_pairs}, but must be at least 2")
    if not 1 - level < power < 1:
        raise InvalidArgumentError(
            f"power is {power}, but must be more than {1 - level:.6g}, 1 - level, and less than 1"
        )
    critical = float(t.ppf((1 + level) / 2, num_pairs - 1))

    def excess(center: float) -> float:
        high, low = (_noncentral_t_cdf(sign * critical, num_pairs - 1, center) for sign in (1, -1))
        return 1 - (high - low) - power

    most = critical + 20
    while excess(most) < 0:
        most *= 2
    return std * float(brentq(excess, 0.0, most)) / math.sqrt(num_pairs)


def _noncentral_t_cdf(value: float, num_degrees: int, center: float) -> float:
    """Return P(T <= value) of (N(center, 1) / scale), scale^2 ~ chi^2 / degrees, by quadrature over the scale.

    scipy.stats.nct returns NaN far from the center.
    """
    from scipy.special import ndtr

    scales, weights = _scales(num_degrees)
    return float(weights @ ndtr(value * scales - center))


@lru_cache(maxsize=64)
def _scales(num_degrees: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights of the scale's distribution."""
    from scipy.stats import chi2

    nodes, weights = np.polynomial.legendre.leggauss(200)
    return np.sqrt(chi2.ppf((1 + nodes) / 2, num_degrees) / num_degrees), weights / 2


def _signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of (n,) values under all 2^n sign patterns."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _estimate(values: NDArray[np.float64], observed: float, seed: int) -> float:
    rng = np.random.default_rng(seed)
    extreme, block = 1, 1 << 14
    for _ in range(_NUM_DRAWS // block):
        signs = rng.integers(0, 2, (block, len(values)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ values) >= observed).sum())
    return extreme / (_NUM_DRAWS + 1)
