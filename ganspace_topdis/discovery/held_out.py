"""Held-out scores of directions, which need no ground truth, on codes that the search did not use.

All directions are judged at equal effect (`discovery.equal_effect`), each with the sign of the shift alternating from
cloud to cloud:

    RTD      between features before and after the shift, mean over clouds
    mixed    mixed second difference with the other directions, on every other cloud: 0 if effects add up
    overlap  of the features that it changes with those of the other directions: 0 if they are different ones
    effect   the distance that features move per standard deviation, over that between two random codes' features
    score    1 / sqrt(mixed * overlap), by which directions are ranked (1 / RTD where there is a single direction)

What each says of the share of known factors was measured: docs/directions.md. RTD and effect have 95 % intervals from
bootstrap samples of the clouds (Efron 1979). Chance is the p value of a Monte Carlo test (Barnard 1963): the rank of a
direction's RTD among those of random directions of the same span, moved to the same effect. Each of those is measured
on two clouds only, relative to the mean RTD of the directions there, so it scatters more and the test is cautious.
"""

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery.equal_effect import (
    ShiftedBatch,
    equal_effect_amounts,
    mixed_difference,
    overlap,
    pairs_of,
)
from ganspace_topdis.discovery.micro_batch import features_of
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import Progress

__all__ = ["HeldOutScores", "PartialStore", "add_scores", "evaluate_held_out", "rank"]

NUM_CLOUDS = 5
"""Clouds that every direction is judged on."""

NUM_RANDOM = 19
"""Random directions that every direction is compared with; the smallest p value is 1 / 20."""

SIGNIFICANT = 0.05

_MICRO_BATCH = 64
_CALIBRATED_CODES = 32
_CLOUDS_OF_RANDOM = 2
_NUM_RESAMPLED = 1000
_HELD_OUT_STREAM = 0x7E57
"""Separates the held-out codes of seed s from the codes that the search draws with seed s."""

_MEASURES = ("rtd", "effect", "mixed", "overlap")


class PartialStore(Protocol):
    """Storage for unfinished work, such as `runs.shared_folder.PartialWork`."""

    def load(self, name: str) -> dict[str, Tensor] | None:
        """The tensors saved under `name`, or None."""

    def save(self, name: str, tensors: Mapping[str, Tensor], *, complete: bool) -> None:
        """Save `tensors` under `name`, if a save is due; `complete` means that no work is left."""


@dataclasses.dataclass(frozen=True)
class HeldOutScores:
    """Scores of K directions on held-out codes, each a list of K numbers; see the module.

    Attributes:
        amount: standard deviations at which each direction has the effect of all.
        rtd: lower keeps the topology better.
        rtd_low, rtd_high: its 95 % interval.
        effect: per standard deviation.
        effect_low, effect_high: its 95 % interval.
        mixed, overlap: lower is better; NaN for a single direction.
        score: higher is better.
        chance: the p value against random directions; empty where they were not measured.
    """

    amount: list[float]
    rtd: list[float]
    rtd_low: list[float]
    rtd_high: list[float]
    effect: list[float]
    effect_low: list[float]
    effect_high: list[float]
    mixed: list[float]
    overlap: list[float]
    score: list[float]
    chance: list[float]

    def as_dict(self) -> dict[str, list[float]]:
        """The scores as JSON-able lists."""
        return dataclasses.asdict(self)


def evaluate_held_out(
    generate: Generate,
    sample_codes: SampleCodes,
    directions: Directions,
    *,
    batch_size: int = 64,
    num_batches: int = NUM_CLOUDS,
    num_random: int = NUM_RANDOM,
    rtd_only: bool = False,
    micro_batch: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    store: PartialStore | None = None,
) -> HeldOutScores:
    """Score `directions` on `num_batches` batches of codes drawn with `seed`.

    Args:
        generate: codes (N, D) -> images or features (N, ...).
        sample_codes: (n, rng) -> codes (n, D).
        directions: K directions, of any length and not necessarily orthogonal.
        batch_size: N, points per cloud.
        num_batches: number of batches; each direction shifts each of them once.
        num_random: random directions of the same span to compare with; 0 for none.
        rtd_only: leave random directions, mixed differences and overlap out; the score is 1 / RTD then.
        micro_batch: codes synthesized at a time; None means 64.
        seed: of the codes; they differ from those of a search with the same seed.
        device: device of the codes.
        progress: called after every direction of every batch.
        store: saves the measures after every direction and restores them, without any change of the result.

    Raises:
        InvalidArgumentError: the directions do not fit the codes, or features are not finite.
    """
    micro_batch = micro_batch or _MICRO_BATCH
    rng = torch.Generator().manual_seed(_HELD_OUT_STREAM + seed)
    random = None if rtd_only else _random_directions(directions, num_random, rng)
    how = (batch_size, num_batches, num_random, rtd_only, micro_batch, seed)
    measures = _Measures(directions, random, how, store)

    def features(codes: Tensor) -> Tensor:
        return features_of(generate, codes, micro_batch)

    with torch.no_grad():
        for place in range(num_batches):
            codes = sample_codes(batch_size, rng).to(device)
            if measures.is_done(place):
                continue
            batch = ShiftedBatch(features, codes)
            if place == 0 and not measures.calibrated:
                calibrating = ShiftedBatch(features, codes[:_CALIBRATED_CODES])
                measures.calibrate(
                    *(equal_effect_amounts(calibrating, each) for each in (directions, random) if each is not None)
                )
            for num_done in measures.measure(batch, place):
                if progress is not None:
                    progress(num_done, measures.num_cells)
    return measures.scores()


class _Measures:
    """What was measured: for each direction and batch, and for each random direction on one batch.

    Args:
        directions: K directions.
        random: R random directions, or None.
        how: the other arguments that the result depends on: `batch_size`, `num_batches` and so on.
        store: saves the state.
    """

    def __init__(
        self, directions: Directions, random: Directions | None, how: tuple[int, ...], store: PartialStore | None
    ) -> None:
        self._directions, self._random, self._store = directions, random, store
        self._num_batches, self._rtd_only = how[1], bool(how[3])
        self._num_random = 0 if random is None else random.num_directions
        self._name = hashlib.sha256(f"{directions.fingerprint} {how}".encode()).hexdigest()[:16]
        num_rows = directions.num_directions + self._num_random
        saved = None if store is None else store.load(self._name)
        self._state = saved or {
            "amounts": torch.full((num_rows,), torch.nan, dtype=torch.float64),
            **{name: torch.full((num_rows, self._num_batches), torch.nan, dtype=torch.float64) for name in _MEASURES},
        }

    @property
    def num_cells(self) -> int:
        """The number of measurements in all."""
        of_random = min(_CLOUDS_OF_RANDOM, self._num_batches)
        return self._directions.num_directions * self._num_batches + self._num_random * of_random

    @property
    def num_done(self) -> int:
        """The number of measurements that are done."""
        return int(self._state["rtd"].isfinite().sum())

    @property
    def calibrated(self) -> bool:
        """Whether the amounts are known."""
        return bool(self._state["amounts"].isfinite().all())

    def calibrate(self, *amounts: list[float]) -> None:
        """Set the amounts of the directions, then of the random ones."""
        self._state["amounts"] = torch.tensor([each for part in amounts for each in part], dtype=torch.float64)

    def _visits(self, place: int) -> list[tuple[int, int]]:
        """The rows that are not measured on a batch, each with its partner; random ones come last, without partners."""
        count = self._directions.num_directions
        random = [
            count + index
            for index in range(self._num_random)
            if (place - index) % self._num_batches < _CLOUDS_OF_RANDOM
        ]
        visits = [*pairs_of(place, count), *zip(random, random, strict=True)]
        return [(row, partner) for row, partner in visits if not self._state["rtd"][row, place].isfinite()]

    def is_done(self, place: int) -> bool:
        """Whether all measurements of a batch are done."""
        return not self._visits(place)

    def measure(self, batch: ShiftedBatch, place: int) -> Iterator[int]:
        """Measure what is missing on a batch; yields the number of measurements done after each.

        A change is held while a later visit needs it: three at a time, as each takes the memory of a batch's features.
        """
        held: dict[int, Tensor] = {}
        visits = self._visits(place)
        for done, (row, partner) in enumerate(visits):
            paired = partner != row and not self._rtd_only
            for each in (row, partner) if paired else (row,):
                if each not in held:
                    held[each] = batch.change([self._shift(each, place)])
            values = {"rtd": batch.rtd(held[row]), "effect": batch.effect(held[row])}
            if paired:
                values["overlap"] = float(overlap(held[row], held[partner]))
            if paired and place % 2 == 0:
                both = batch.change([self._shift(row, place), self._shift(partner, place)])
                values["mixed"] = float(mixed_difference(both, held[row], held[partner]))
            for name, value in values.items():
                self._state[name][row, place] = value
            needed = {each for visit in visits[done + 1 :] for each in visit}
            held = {each: change for each, change in held.items() if each in needed and not self._rtd_only}
            if self._store is not None:
                self._store.save(self._name, self._state, complete=self.num_done == self.num_cells)
            yield self.num_done

    def _shift(self, row: int, place: int) -> tuple[Directions, int, float]:
        """The shift of a row: its sign alternates from batch to batch, and between neighbors."""
        count = self._directions.num_directions
        amount = float(self._state["amounts"][row]) * (-1) ** (row + place)
        if row < count:
            return self._directions, row, amount
        assert self._random is not None
        return self._random, row - count, amount

    def scores(self) -> HeldOutScores:
        """The scores of all directions."""
        count = self._directions.num_directions
        amounts = self._state["amounts"]
        effect = self._state["effect"][:count] / amounts[:count, None]
        rtd, mixed, overlaps = (self._state[name][:count] for name in ("rtd", "mixed", "overlap"))
        (rtd_low, rtd_high), (effect_low, effect_high) = _interval(rtd), _interval(effect)
        columns = {
            "amount": amounts[:count],
            "rtd": rtd.mean(1),
            "rtd_low": rtd_low,
            "rtd_high": rtd_high,
            "effect": effect.mean(1),
            "effect_low": effect_low,
            "effect_high": effect_high,
            "mixed": mixed.nanmean(1),
            "overlap": overlaps.nanmean(1),
            "score": score_of(rtd.mean(1), mixed.nanmean(1), overlaps.nanmean(1)),
            "chance": _chance(self._state["rtd"], count) if self._num_random else torch.zeros(0),
        }
        return HeldOutScores(**{name: column.tolist() for name, column in columns.items()})


def score_of(rtd: Tensor, mixed: Tensor, overlaps: Tensor) -> Tensor:
    """The score from RTD, mixed difference and overlap, each (K,); NaN in the last two leaves RTD alone."""
    tiny = 1e-12
    alone = 1 / rtd.clamp(min=tiny)
    return torch.where(mixed.isnan(), alone, (mixed * overlaps).clamp(min=tiny).rsqrt())


def _random_directions(directions: Directions, count: int, rng: torch.Generator) -> Directions | None:
    """Random directions of the span, uniform in its whitened coordinates; None for a count of 0."""
    if count == 0:
        return None
    units = F.normalize(torch.randn(count, len(directions.span), generator=rng), dim=1)
    vectors = units @ (directions.scales[:, None] * directions.span)
    return dataclasses.replace(directions, vectors=vectors, dual_vectors=vectors, metadata={})


def _interval(clouds: Tensor) -> tuple[Tensor, Tensor]:
    """The 2.5 and 97.5 % quantiles (K,) of the mean over clouds (K, B), over bootstrap samples of the clouds."""
    rng = torch.Generator().manual_seed(0)
    count = clouds.shape[1]
    chosen = torch.randint(count, (_NUM_RESAMPLED, count), generator=rng)
    means = clouds[:, chosen].mean(2)
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=means.dtype), dim=1)
    return low, high


def _chance(rtd: Tensor, count: int) -> Tensor:
    """(K,), one more than the number of random directions of at most a direction's RTD, over one more than all.

    Args:
        rtd: (K + R, B), of the directions, then of random ones, which have NaN where they were not measured.
        count: K.
    """
    relative = (rtd / rtd[:count].mean(0)).nanmean(1)
    random = relative[count:]
    return (1 + (random[None] <= relative[:count, None]).sum(1)).double() / (1 + len(random))


def add_scores(directions: Directions, scores: HeldOutScores, *, rtd_before: list[float] | None = None) -> Directions:
    """The directions in their order, with `scores` in their metadata as lists of K numbers.

    "rank" is the place by score from 1, the highest first; "better_than_chance" whether the p value "chance" is at most
    0.05. An earlier "rtd_before" is dropped: RTD on other codes cannot be compared.

    Args:
        directions: K directions.
        scores: their held-out scores.
        rtd_before: (K,) RTD of the directions that the search started from, on the same codes.
    """
    columns: dict[str, Any] = {"rtd_after" if name == "rtd" else name: c for name, c in scores.as_dict().items() if c}
    if any(math.isnan(value) for value in scores.mixed):
        columns = {name: column for name, column in columns.items() if name not in ("mixed", "overlap")}
    order = sorted(range(directions.num_directions), key=lambda index: -scores.score[index])
    columns["rank"] = [order.index(index) + 1 for index in range(len(order))]
    if scores.chance:
        columns["better_than_chance"] = [value <= SIGNIFICANT for value in scores.chance]
    if rtd_before is not None:
        columns["rtd_before"] = rtd_before
    facts = {name: value for name, value in directions.metadata.items() if name != "rtd_before"}
    return dataclasses.replace(directions, metadata={**facts, **columns})


def rank(directions: Directions, scores: HeldOutScores, *, rtd_before: list[float] | None = None) -> Directions:
    """The directions of a new search, numbered in decreasing order of score; for arguments see `add_scores`.

    A direction keeps its number from then on: later scores change its rank only.
    """
    scored = add_scores(directions, scores, rtd_before=rtd_before)
    ranks = scored.metadata["rank"]
    return scored.select(sorted(range(len(ranks)), key=ranks.__getitem__))
