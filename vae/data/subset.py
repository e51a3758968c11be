"""A set with fewer values of some factors: what is learned when the grid is coarser, and small sets for trials."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.factors import Factor
from vae.data.correlated import CorrelatedSet, factor_position
from vae.data.dataset import DataSet, Images, Integers

__all__ = ["SubsetSet", "subset"]


class SubsetSet(DataSet):
    """The images of `data` whose code of factor k is one of `kept[k]`; their places in it are the new codes."""

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
            fingerprint=f"{data.fingerprint}|{_sum_of(kept)}",
        )
        self.data, self.kept = data, tuple(kept)

    def original(self, indices: Integers) -> Integers:
        """Indices into `data` of indices (n,) into this set."""
        codes = self.codes(indices)
        rows = np.stack([values[codes[:, k]] for k, values in enumerate(self.kept)], axis=1)
        return self.data.indices(rows) + indices % self.images_per_combination

    def _read(self, indices: Integers) -> Images:
        return self.data.images(self.original(indices))


def subset(data: DataSet, values: Mapping[str, int | Sequence[int]]) -> SubsetSet:
    """`data` with fewer values of the named factors.

    Args:
        data: a set with known factors, not a correlated one (take the subset first, then correlate it).
        values: for each factor how many values stay, or which ones. A number n keeps both ends and n - 2 between of
            a linear factor, n evenly spread of a circular one, and the first n of a categorical one.

    Raises:
        InvalidArgumentError: there is no such factor, or it has no such values.

    >>> from vae.data import open_data
    >>> small = subset(open_data("dsprites"), {"scale": 2, "orientation": 1, "posX": 4, "posY": [0, 31]})
    >>> small.factor_sizes, small.kept[3].tolist()
    ((3, 2, 1, 4, 2), [0, 10, 21, 31])
    """
    if isinstance(data, CorrelatedSet):
        raise InvalidArgumentError(f"{data.name} is a correlated set: take the subset first, then correlate it")
    kept = [np.arange(factor.size) for factor in data.factors]
    names = []
    for name, chosen in values.items():
        k = factor_position(data, name)
        if isinstance(chosen, int):
            kept[k] = _spread(data.factors[k], chosen)
            names.append(f"{name}={chosen}")
        else:
            kept[k] = _listed(data.factors[k], chosen)
            names.append(f"{name}={'+'.join(map(str, chosen))}")
    separator = "," if ":" in data.name else ":"
    return SubsetSet(data, kept, f"{data.name}{separator}{','.join(names)}" if names else data.name)


def _sum_of(kept: Sequence[Integers]) -> str:
    return hashlib.sha256(str([values.tolist() for values in kept]).encode()).hexdigest()[:16]


def _spread(factor: Factor, num: int) -> Integers:
    if not 1 <= num <= factor.size:
        raise InvalidArgumentError(
            f"{factor.name}={num}: {factor.name} has {factor.size} values; keep 1 to all of them"
        )
    if factor.kind == "linear":
        return np.rint(np.linspace(0, factor.size - 1, num)).astype(np.int64)
    return np.arange(num) * factor.size // num if factor.kind == "circular" else np.arange(num)


def _listed(factor: Factor, chosen: Sequence[int]) -> Integers:
    listed = [int(value) for value in chosen]
    if not listed or len(set(listed)) != len(listed) or min(listed) < 0 or max(listed) >= factor.size:
        raise InvalidArgumentError(
            f"{factor.name}={'+'.join(map(str, listed))}: give different values out of 0 to {factor.size - 1}"
        )
    return np.array(listed, np.int64)
