"""Sets whose factors are sampled with correlations: all images stay, some come often and some almost never.

Two factors with values c1 and c2, scaled to 0 .. 1, are drawn with

    p(c1, c2) proportional to exp(-(c1 - c2)^2 / (2 sigma^2))

and all other factors uniformly and independently (Traeuble et al. 2021, On Disentangled Representations Learned
from Correlated Data, Section 3; the same law in Roth et al. 2023 for several pairs at a time). The literature calls
sigma the strength and uses 0.04, 0.1, 0.2, 0.4 and 0.7: a smaller sigma correlates more.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import InvalidArgumentError
from vae.data.dataset import DataSet, Images, Integers

__all__ = ["CorrelatedSet", "correlated", "factor_position"]

Pair = tuple[int, int, float]
"""Positions of two factors, and sigma."""


class CorrelatedSet(DataSet):
    """`data`, sampled so that the factors of each pair go together; reading by index is unchanged.

    Attributes:
        data: the set without correlations, which scores are measured on.
        pairs: what was correlated.
    """

    def __init__(self, data: DataSet, pairs: Sequence[Pair], name: str) -> None:
        super().__init__(
            name=name,
            factors=data.factors,
            image_shape=data.image_shape,
            num_images=len(data),
            fingerprint=f"{data.fingerprint}|{list(pairs)}",
        )
        self.data, self.pairs = data, tuple(pairs)
        self._involved = sorted({k for first, second, _ in pairs for k in (first, second)})
        self._cumulated = np.cumsum(self.joint())

    @property
    def independent(self) -> DataSet:
        """The set with all factors independent."""
        return self.data

    def joint(self) -> npt.NDArray[np.float64]:
        """Probabilities of the values of all factors that are part of a pair, one axis a factor, in order."""
        grids = np.meshgrid(*(np.linspace(0, 1, self.factors[k].size) for k in self._involved), indexing="ij")
        exponent = np.zeros(grids[0].shape)
        for first, second, sigma in self.pairs:
            difference = grids[self._involved.index(first)] - grids[self._involved.index(second)]
            exponent -= difference**2 / (2 * sigma**2)
        weights = np.exp(exponent - exponent.max())
        return weights / weights.sum()

    def sample_codes(self, num: int, generator: np.random.Generator) -> Integers:
        """Codes (num, K) drawn with the correlations."""
        codes = super().sample_codes(num, generator)
        drawn = np.searchsorted(self._cumulated, generator.random(num) * self._cumulated[-1], side="right")
        sizes = tuple(self.factors[k].size for k in self._involved)
        codes[:, self._involved] = np.stack(np.unravel_index(drawn, sizes), axis=1)
        return codes

    def _read(self, indices: Integers) -> Images:
        return self.data.images(indices)


def correlated(data: DataSet, first: str, second: str, strength: float) -> CorrelatedSet:
    """`data` with the factors `first` and `second` correlated; apply it again to correlate more pairs.

    Args:
        data: a set with known factors.
        first, second: names of two factors of more than one value.
        strength: sigma of the law above; smaller is stronger.

    Raises:
        InvalidArgumentError: no such factors, or a strength that is not positive.

    >>> from vae.data import open_data
    >>> data = correlated(open_data("dsprites"), "posX", "posY", 0.1)
    >>> codes = data.sample_codes(1000, np.random.default_rng(0))
    >>> bool(np.corrcoef(codes[:, 3], codes[:, 4])[0, 1] > 0.8)
    True
    """
    one, two = factor_position(data, first), factor_position(data, second)
    if one == two:
        raise InvalidArgumentError(f"{first}~{second}: a factor cannot be correlated with itself; name two factors")
    for k in (one, two):
        if data.factors[k].size < 2:
            raise InvalidArgumentError(f"{data.factors[k].name} has one value only and correlates with nothing")
    if not (isinstance(strength, int | float) and math.isfinite(strength) and strength > 0):
        raise InvalidArgumentError(
            f"{first}~{second}={strength}: the strength is the width sigma of the law, a positive number; "
            "the literature uses 0.04 (strong) to 0.7 (weak)"
        )
    pair = (one, two, float(strength))
    separator = "," if ":" in data.name else ":"
    name = f"{data.name}{separator}{first}~{second}={strength:g}"
    if isinstance(data, CorrelatedSet):
        return CorrelatedSet(data.data, (*data.pairs, pair), name)
    return CorrelatedSet(data, (pair,), name)


def factor_position(data: DataSet, name: str) -> int:
    """The column of a factor in the codes.

    Raises:
        InvalidArgumentError: `data` has no factor of that name.
    """
    names = [factor.name for factor in data.factors]
    if name not in names:
        allowed = f"choose one of {', '.join(names)}" if names else "it has none"
        raise InvalidArgumentError(f"{data.name} has no factor {name!r}: {allowed}")
    return names.index(name)
