"""Variations of a data set: fewer values of some factors, smaller images, or correlated factors.

A subset keeps some values of each factor; positions among the kept values are the new codes.

A pooled data set averages blocks of pixels, so that an image of 64 px becomes one of 32 or 16.

A correlated data set keeps all images, but shows some often and others almost never. Two factors with values c1 and
c2, scaled to 0 .. 1, are sampled with

    p(c1, c2) proportional to exp(-(c1 - c2)^2 / (2 sigma^2))

and all other factors uniformly and independently (Traeuble et al. 2021, On Disentangled Representations Learned from
Correlated Data, Section 3; Roth et al. 2023 correlate several pairs at once). The literature calls sigma the strength
and uses 0.04, 0.1, 0.2, 0.4 and 0.7: a smaller sigma correlates more strongly.
"""

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.factors import Factor
from vae.data.dataset import DataSet, Images, Integers

__all__ = [
    "CorrelatedDataSet",
    "PooledDataSet",
    "SubsetDataSet",
    "Variations",
    "apply_variations",
    "correlated",
    "parse_variations",
    "pooled",
    "subset",
]

_SIDE = "px"
_SMALLEST = 1e-300
"""Smaller variances act like this one: the two factors are equal."""
_Pair = tuple[int, int, float]
"""Positions of two factors, and sigma."""


@dataclass(frozen=True, kw_only=True)
class Variations:
    """The variations in a name.

    Attributes:
        kept: factor -> number of values that are kept, or which ones.
        pairs: correlated pairs (factor, factor, sigma).
        side_px: side of the pooled images; None keeps their size.
    """

    kept: Mapping[str, int | Sequence[int]]
    pairs: Sequence[tuple[str, str, float]]
    side_px: int | None = None


def parse_variations(name: str) -> Variations:
    """Parse the variations after the colon in the name of a data set; see `vae.data.opening`.

    Raises:
        InvalidArgumentError: a part is not a variation, or another one has the same factor.

    >>> parse_variations("dsprites:scale=2,posX=0+5,posX~posY=0.1")
    Variations(kept={'scale': 2, 'posX': [0, 5]}, pairs=[('posX', 'posY', 0.1)], side_px=None)
    """
    kept: dict[str, int | Sequence[int]] = {}
    pairs: list[tuple[str, str, float]] = []
    side_px: int | None = None
    text = name.partition(":")[2]
    for part in text.split(",") if text else ():
        factor, sign, value = part.partition("=")
        first, tilde, second = factor.partition("~")
        if factor in kept or (factor == _SIDE and side_px is not None):
            raise InvalidArgumentError(f"{name!r} has {factor} twice; give it once")
        try:
            if not sign:
                raise ValueError(part)
            if factor == _SIDE:
                side_px = int(value)
            elif tilde:
                pairs.append((first, second, float(value)))
            elif "+" in value:
                kept[factor] = [int(number) for number in value.split("+")]
            else:
                kept[factor] = int(value)
        except ValueError as error:
            raise InvalidArgumentError(
                f"{part!r} in {name!r} is not a variation; write FACTOR=NUMBER, FACTOR=0+5+9, "
                "FACTOR~FACTOR=SIGMA or px=16"
            ) from error
    return Variations(kept=kept, pairs=pairs, side_px=side_px)


def apply_variations(data: DataSet, variations: Variations) -> DataSet:
    """Return `data` with the variations.

    Raises:
        InvalidArgumentError: a factor or a value is unknown.
    """
    if variations.kept:
        data = subset(data, variations.kept)
    if variations.side_px is not None:
        data = pooled(data, variations.side_px)
    for first, second, strength in variations.pairs:
        data = correlated(data, first, second, strength)
    return data


class SubsetDataSet(DataSet):
    """The images of `data` whose code of factor k is in `kept[k]`; the position in it is the new code."""

    def __init__(self, data: DataSet, kept: Sequence[Integers], name: str) -> None:
        factors = tuple(
            dataclasses.replace(factor, size=len(values)) for factor, values in zip(data.factors, kept, strict=True)
        )
        combinations = int(np.prod([len(values) for values in kept]))
        super().__init__(
            name=name,
            factors=factors,
            image_shape=data.image_shape,
            num_images=combinations * data.images_per_combination,
            fingerprint=f"{data.fingerprint}|{_hash_values(kept)}",
        )
        self.data, self.kept = data, tuple(kept)

    def original(self, indices: Integers) -> Integers:
        """Return the indices into `data` of indices (n,) into this data set."""
        codes = self.codes(indices)
        rows = np.stack([values[codes[:, k]] for k, values in enumerate(self.kept)], axis=1)
        return self.data.indices(rows) + indices % self.images_per_combination

    def _read(self, indices: Integers) -> Images:
        return self.data.images(self.original(indices))


def subset(data: DataSet, values: Mapping[str, int | Sequence[int]]) -> SubsetDataSet:
    """Return `data` with fewer values of the named factors.

    Args:
        data: a data set with known factors, not a correlated one (take the subset first, then correlate it).
        values: for each factor how many values to keep, or which ones. A number n keeps both ends and n - 2 values in
            between of a linear factor, n evenly spread values of a circular one, and the first n of a categorical one.

    Raises:
        InvalidArgumentError: a factor or a value is unknown.

    >>> from vae.data import open_data
    >>> small = subset(open_data("dsprites"), {"scale": 2, "orientation": 1, "posX": 4, "posY": [0, 31]})
    >>> small.factor_sizes, small.kept[3].tolist()
    ((3, 2, 1, 4, 2), [0, 10, 21, 31])
    """
    if isinstance(data, CorrelatedDataSet):
        raise InvalidArgumentError(f"{data.name} is a correlated data set; take the subset first, then correlate it")
    kept = [np.arange(factor.size) for factor in data.factors]
    names = []
    for name, chosen in values.items():
        k = _factor_position(data, name)
        if isinstance(chosen, int):
            kept[k] = _spread(data.factors[k], chosen)
            names.append(f"{name}={chosen}")
        else:
            kept[k] = _listed(data.factors[k], chosen)
            names.append(f"{name}={'+'.join(map(str, chosen))}")
    separator = "," if ":" in data.name else ":"
    return SubsetDataSet(data, kept, f"{data.name}{separator}{','.join(names)}" if names else data.name)


class PooledDataSet(DataSet):
    """The images of `data`, with each block of `factor` x `factor` pixels averaged and rounded."""

    def __init__(self, data: DataSet, factor: int, name: str) -> None:
        height, width, num_channels = data.image_shape
        super().__init__(
            name=name,
            factors=data.factors,
            image_shape=(height // factor, width // factor, num_channels),
            num_images=len(data),
            fingerprint=f"{data.fingerprint}|px{height // factor}",
        )
        self.data, self.factor = data, factor

    def _read(self, indices: Integers) -> Images:
        height, width, num_channels = self.image_shape
        blocks = self.data.images(indices).reshape(len(indices), height, self.factor, width, self.factor, num_channels)
        total = blocks.sum(axis=(2, 4), dtype=np.uint32)
        return ((total + self.factor**2 // 2) // self.factor**2).astype(np.uint8)


def pooled(data: DataSet, side_px: int) -> PooledDataSet:
    """Return `data` with images of side_px x side_px pixels, each the mean of a block of pixels.

    Args:
        data: a data set of square images, not a correlated one (pool first, then correlate).
        side_px: a divisor of their side, and smaller.

    Raises:
        InvalidArgumentError: the images cannot be divided into such blocks.

    >>> from vae.data import open_data
    >>> pooled(open_data("dsprites"), 16).image_shape
    (16, 16, 1)
    """
    if isinstance(data, CorrelatedDataSet):
        raise InvalidArgumentError(f"{data.name} is a correlated data set; pool first, then correlate it")
    height, width, _ = data.image_shape
    if height != width or not 1 <= side_px < height or height % side_px:
        allowed = [str(side) for side in range(4, height) if height == width and height % side == 0]
        raise InvalidArgumentError(
            f"{_SIDE}={side_px}: the images of {data.name} have {height} x {width} pixels; "
            + (f"choose one of {', '.join(allowed)}" if allowed else "only square ones can be pooled")
        )
    separator = "," if ":" in data.name else ":"
    return PooledDataSet(data, height // side_px, f"{data.name}{separator}{_SIDE}={side_px}")


class CorrelatedDataSet(DataSet):
    """`data`, sampled so that the factors of each pair are correlated; reading by index is unchanged.

    Attributes:
        data: the data set without correlations, on which scores are measured.
        pairs: the correlated pairs.
    """

    def __init__(self, data: DataSet, pairs: Sequence[_Pair], name: str) -> None:
        super().__init__(
            name=name,
            factors=data.factors,
            image_shape=data.image_shape,
            num_images=len(data),
            fingerprint=f"{data.fingerprint}|{list(pairs)}",
        )
        self.data, self.pairs = data, tuple(pairs)
        self._involved = sorted({k for first, second, _ in pairs for k in (first, second)})
        self._cumulative = np.cumsum(self.joint())

    @property
    def independent(self) -> DataSet:
        """The data set with independent factors."""
        return self.data

    def joint(self) -> npt.NDArray[np.float64]:
        """Return the joint probabilities of all factors that are in a pair, one axis per factor, in order."""
        grids = np.meshgrid(*(np.linspace(0, 1, self.factors[k].size) for k in self._involved), indexing="ij")
        exponent = np.zeros(grids[0].shape)
        for first, second, sigma in self.pairs:
            difference = grids[self._involved.index(first)] - grids[self._involved.index(second)]
            exponent -= difference**2 / max(2 * sigma**2, _SMALLEST)
        weights = np.exp(exponent - exponent.max())
        return weights / weights.sum()

    def sample_codes(self, num: int, generator: np.random.Generator) -> Integers:
        """Sample codes (num, K) with the correlations."""
        codes = super().sample_codes(num, generator)
        drawn = np.searchsorted(self._cumulative, generator.random(num) * self._cumulative[-1], side="right")
        sizes = tuple(self.factors[k].size for k in self._involved)
        codes[:, self._involved] = np.stack(np.unravel_index(drawn, sizes), axis=1)
        return codes

    def _read(self, indices: Integers) -> Images:
        return self.data.images(indices)


def correlated(data: DataSet, first: str, second: str, strength: float) -> CorrelatedDataSet:
    """Return `data` with the factors `first` and `second` correlated; apply it again to correlate more pairs.

    Args:
        data: a data set with known factors.
        first, second: names of two factors with more than one value.
        strength: sigma of the distribution in the module; smaller is stronger.

    Raises:
        InvalidArgumentError: a factor is unknown, or the strength is not positive.

    >>> from vae.data import open_data
    >>> data = correlated(open_data("dsprites"), "posX", "posY", 0.1)
    >>> codes = data.sample_codes(1000, np.random.default_rng(0))
    >>> bool(np.corrcoef(codes[:, 3], codes[:, 4])[0, 1] > 0.8)
    True
    """
    one, two = _factor_position(data, first), _factor_position(data, second)
    if one == two:
        raise InvalidArgumentError(f"{first}~{second}: a factor cannot be correlated with itself; name two factors")
    for k in (one, two):
        if data.factors[k].size < 2:
            raise InvalidArgumentError(f"{data.factors[k].name} has only one value and cannot be correlated")
    if not (isinstance(strength, int | float) and math.isfinite(strength) and strength > 0):
        raise InvalidArgumentError(
            f"{first}~{second}={strength}: the strength is the standard deviation sigma, a positive number; "
            "the literature uses 0.04 (strong) to 0.7 (weak)"
        )
    pair = (one, two, float(strength))
    separator = "," if ":" in data.name else ":"
    name = f"{data.name}{separator}{first}~{second}={strength:g}"
    if isinstance(data, CorrelatedDataSet):
        return CorrelatedDataSet(data.data, (*data.pairs, pair), name)
    return CorrelatedDataSet(data, (pair,), name)


def _factor_position(data: DataSet, name: str) -> int:
    """Return the column of a factor in the codes."""
    names = [factor.name for factor in data.factors]
    if name not in names:
        allowed = f"choose one of {', '.join(names)}" if names else "it has none"
        raise InvalidArgumentError(f"{data.name} has no factor {name!r}; {allowed}")
    return names.index(name)


def _hash_values(kept: Sequence[Integers]) -> str:
    return hashlib.sha256(str([values.tolist() for values in kept]).encode()).hexdigest()[:16]


def _spread(factor: Factor, num: int) -> Integers:
    if not 1 <= num <= factor.size:
        raise InvalidArgumentError(
            f"{factor.name}={num}: {factor.name} has {factor.size} values; keep 1 to {factor.size}"
        )
    if factor.kind == "linear":
        return np.rint(np.linspace(0, factor.size - 1, num)).astype(np.int64)
    return np.arange(num) * factor.size // num if factor.kind == "circular" else np.arange(num)


def _listed(factor: Factor, chosen: Sequence[int]) -> Integers:
    listed = [int(value) for value in chosen]
    if not listed or len(set(listed)) != len(listed) or min(listed) < 0 or max(listed) >= factor.size:
        raise InvalidArgumentError(
            f"{factor.name}={'+'.join(map(str, listed))}: give distinct values from 0 to {factor.size - 1}"
        )
    return np.array(listed, np.int64)
