"""Interventional accuracy: exchange a factor's latents between two codes, generate, and read all factors.

For factor k with latents J_k, a base code b and a source code s that differ in k, and the code b' that is b with the
latents J_k of s:

    cause_k       share of pairs in which what is read from b' has the value of s in factor k
    isolation_k   share of the other factors, over pairs, in which b' has the value of b
    score         mean over k of (cause_k + isolation_k) / 2

This is the Disentangle score of Huang et al. 2024 (RAVEL; compute_disentangle_score), with the latents of
a code in place of a language model's features. It needs a generator, and a reader of its outputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.estimators import discretize, mutual_information_matrix
from ganspace_topdis.metrics.inputs import NUM_BINS, Array, LabeledCodes, as_array, check_pair, rng_of

__all__ = ["InterventionalAccuracy", "interventional_accuracy"]


@dataclass(frozen=True)
class InterventionalAccuracy:
    """Means over the factors, each in [0, 1].

    Attributes:
        score: mean of the next two.
        cause: whether a factor follows its latents.
        isolation: whether all other factors stay.
        latents: of each factor, those exchanged.
    """

    score: float
    cause: float
    isolation: float
    latents: tuple[tuple[int, ...], ...]

    def as_dict(self) -> dict[str, float]:
        """The three numbers for JSON."""
        return {"score": self.score, "cause": self.cause, "isolation": self.isolation}


def interventional_accuracy(
    codes: ArrayLike,
    factors: ArrayLike,
    read: Callable[[Array], Any],
    *,
    latents: Sequence[Sequence[int]] | None = None,
    num_pairs: int = 1000,
    seed: int = 0,
) -> InterventionalAccuracy:
    """The interventional accuracy of codes whose generator and reader are at hand.

    Readings are compared with the readings of the unchanged codes, so that a reader's constant errors do not count;
    cause counts the pairs whose readings differ in the factor, and is 0 without any. A discrete factor keeps its value
    if the two round to the same whole number, a continuous one if they differ by at most a twentieth of its range. A
    latent that the generator ignores scores cause 0 and isolation 1; so does a duplicate if the generator uses its
    twin. Permuting and rescaling latents, with the reader adapted, change nothing.

    Args:
        codes: (N, D).
        factors: (N, K); constant ones are dropped, at least two must vary. Text has no reading.
        read: codes (n, D) to the factors (n, K) of what is generated from them.
        latents: K sequences, the latents of each factor; by default the one of most information (20 bins).
        num_pairs: pairs of codes per factor.
        seed: of the pairs.

    Raises:
        InvalidArgumentError: malformed arrays, text factors, readings of another shape or not finite, or fewer than
            two factors that vary.
    """
    data = check_pair(codes, factors, min_factors=2)
    if data.unordered.any():
        raise InvalidArgumentError("factors given as text cannot be read from outputs; give their indices")
    if num_pairs < 1:
        raise InvalidArgumentError(f"num_pairs {num_pairs} is not allowed; use 1 or more")
    exchanged = _latents_of(data, latents, np.shape(as_array(factors))[1])
    tolerances = np.where(data.continuous, np.ptp(data.values, axis=0) / NUM_BINS, 0.5)
    rng, causes, isolations = rng_of(seed), [], []
    for k, chosen in enumerate(exchanged):
        base, source = _draw_pairs(data.labels[:, k], num_pairs, rng)
        changed = data.codes[base].copy()
        changed[:, chosen] = data.codes[source][:, chosen]
        kept, wanted, found = (_read(read, each, data) for each in (data.codes[base], data.codes[source], changed))
        same = np.abs(found - kept) <= tolerances
        differ = np.abs(kept - wanted)[:, k] > tolerances[k]
        causes.append(float((np.abs(found - wanted)[differ, k] <= tolerances[k]).mean()) if differ.any() else 0.0)
        isolations.append(float(np.delete(same, k, axis=1).mean()))
    cause, isolation = float(np.mean(causes)), float(np.mean(isolations))
    return InterventionalAccuracy((cause + isolation) / 2, cause, isolation, tuple(map(tuple, exchanged)))


def _latents_of(data: LabeledCodes, latents: Sequence[Sequence[int]] | None, num_given: int) -> list[list[int]]:
    """The latents to exchange for each factor that varies."""
    if latents is None:
        best = mutual_information_matrix(discretize(data.codes), data.labels).argmax(axis=0)
        return [[int(j)] for j in best]
    inside = all(0 <= j < data.num_latents for group in latents for j in group)
    if len(latents) != num_given or not inside:
        raise InvalidArgumentError(
            f"`latents` {latents}: give {num_given} groups of numbers from 0 to {data.num_latents - 1}"
        )
    return [list(latents[k]) for k in data.columns]


def _draw_pairs(labels: Array, num_pairs: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Rows of bases and sources whose labels differ."""
    order = np.argsort(labels, kind="stable")
    start = np.searchsorted(labels[order], labels, side="left")
    count = np.searchsorted(labels[order], labels, side="right") - start
    base = rng.integers(0, len(labels), num_pairs)
    skipped = (rng.random(num_pairs) * (len(labels) - count[base])).astype(np.int64)
    place = np.where(skipped >= start[base], skipped + count[base], skipped)  # jump over the base's own value
    return base, order[place]


def _read(read: Callable[[Array], Any], codes: Array, data: LabeledCodes) -> Array:
    """The readings (n, K) of the factors that vary; whole numbers of discrete ones."""
    readings = np.asarray(as_array(read(codes)), dtype=np.float64)
    if readings.ndim != 2 or len(readings) != len(codes) or readings.shape[1] <= data.columns.max():
        raise InvalidArgumentError(f"`read` returned {readings.shape}; return (n, K) for {len(codes)} codes")
    if not np.isfinite(readings).all():
        raise InvalidArgumentError("`read` returned NaN or infinity; return finite factors")
    readings = readings[:, data.columns]
    return np.where(data.continuous, readings, np.rint(readings))
