"""Held-out scores of directions, which need no ground truth, on codes that the search did not use.

All directions are judged at equal effect (`discovery.equal_effect`), each with the sign of the shift alternating from
cloud to cloud:

    overlap  of the features that it changes with those of the other directions: 0 if they are different ones
    score    1 - overlap, by which directions are ranked (1 / (1 + RTD) where there is a single direction)
    mixed    mixed second difference with the other directions, on half of the clouds: 0 if effects add up
    RTD      between features before and after the shift, mean over clouds
    effect   the distance that features move per standard deviation, over that between two random codes' features

What each says of the share of known factors was measured: docs/directions.md. RTD and effect have 95 % intervals by
Student's t over the clouds, for the logarithm of the mean: how much other codes would change it, not another search.
Chance is the p value of a Monte Carlo test (Barnard 1963): the rank of a direction's score among those of random
directions, which are moved to the same effect. These are orthonormal combinations of the axes of the same span, or of
the directions themselves where these are of the whole code. They are measured on two clouds only, so their scores
scatter more and the test is cautious.

The directions of a search are calibrated by the amounts of equal effect: one unit of each is its amount, so that all
change the features by 0.2 of the distance of two random codes. A unit is bounded, because a faint direction would leave
what the generator knows.
"""

import dataclasses
import math
from typing import Any

import torch
from scipy.special import stdtrit
from torch import Tensor

from ganspace_topdis.discovery.cloud_measures import CloudMeasures, PartialStore
from ganspace_topdis.discovery.equal_effect import ShiftedBatch
from ganspace_topdis.discovery.micro_batch import features_of
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import Progress

__all__ = ["HeldOutScores", "add_scores", "evaluate_held_out", "rank"]

NUM_CLOUDS = 5
"""Clouds that every direction is judged on."""

NUM_RANDOM = 20
"""Random directions that every direction is compared with; the smallest p value is 1 / 21."""

SIGNIFICANT = 0.1
"""A direction of a larger p value is no better than chance."""

LARGEST_UNIT = 2.0
"""Standard deviations that are in one unit at most: a walk of three units stays within six."""

_MICRO_BATCH = 64
_CALIBRATED_CODES = (32, 16)
"""Codes that the amounts of directions, and of random ones, are found on."""

_LARGEST_GROUP = 6
_HELD_OUT_STREAM, _RANDOM_STREAM = 0x7E57, 0x7A2D
"""Separate held-out codes and random directions of seed s from the codes that the search draws with seed s."""


@dataclasses.dataclass(frozen=True)
class HeldOutScores:
    """Scores of K directions on held-out codes, each a list of K numbers; see the module.

    Attributes:
        amount: standard deviations at which each direction has the effect of all.
        rtd: lower keeps the topology better.
        rtd_low, rtd_high: its 95 % interval (Student's t over the clouds); empty for a single cloud.
        effect: per standard deviation.
        effect_low, effect_high: its 95 % interval, likewise.
        mixed, overlap: lower is better; NaN for a single direction.
        score: higher is better.
        chance: the p value against random directions; empty where there are none, or a single direction.
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
        rtd_only: leave random directions, mixed differences and overlap out; the score is 1 / (1 + RTD) then.
        micro_batch: codes synthesized at a time; None means 64.
        seed: of the codes; they differ from those of a search with the same seed.
        device: device of the codes.
        progress: called after every direction of every batch.
        store: saves the measures after every direction and restores them, without any change of the result.

    Raises:
        InvalidArgumentError: the directions do not fit the codes, or features are not finite.
    """
    micro_batch, directions = micro_batch or _MICRO_BATCH, directions.in_sigmas()
    rng = torch.Generator().manual_seed(_HELD_OUT_STREAM + seed)
    pairs = directions.num_directions > 1 and not rtd_only
    random = _random_groups(directions, num_random, seed) if pairs else []
    how = (batch_size, num_random, micro_batch, seed)
    measures = CloudMeasures(directions, random, num_batches=num_batches, rtd_only=rtd_only, how=how, store=store)

    def features(codes: Tensor) -> Tensor:
        return features_of(generate, codes, micro_batch)

    with torch.no_grad():
        for place in range(num_batches):
            codes = sample_codes(batch_size, rng).to(device)
            if measures.is_done(place):
                continue
            if not measures.calibrated:
                measures.calibrate(*(ShiftedBatch(features, codes[:count]) for count in _CALIBRATED_CODES))
            for num_done in measures.measure(ShiftedBatch(features, codes), place):
                if progress is not None:
                    progress(num_done, measures.num_cells)
    return _scores(measures, directions.num_directions)


def _scores(measures: CloudMeasures, count: int) -> HeldOutScores:
    """The scores of the first `count` rows."""
    amounts, rtd = measures.amounts[:count], measures.of_rows("rtd")[:count]
    effect = measures.of_rows("effect")[:count] / amounts[:, None]
    dead = measures.of_rows("effect").nanmean(1) == 0  # a direction without any effect has the worst score, 0
    overlaps = measures.of_pairs("overlap")
    overlaps = torch.where(dead & ~overlaps.isnan(), 1.0, overlaps)
    alone = torch.where(dead[:count], 0.0, 1 / (1 + rtd.mean(1)))
    score = torch.where(overlaps[:count].isnan(), alone, 1 - overlaps[:count])
    (rtd_low, rtd_high), (effect_low, effect_high) = _interval(rtd), _interval(effect)
    columns = {
        "amount": amounts,
        "rtd": rtd.mean(1),
        "rtd_low": rtd_low,
        "rtd_high": rtd_high,
        "effect": effect.mean(1),
        "effect_low": effect_low,
        "effect_high": effect_high,
        "mixed": measures.of_pairs("mixed")[:count],
        "overlap": overlaps[:count],
        "score": score,
        "chance": _chance(score, 1 - overlaps[count:]),
    }
    return HeldOutScores(**{name: column.tolist() for name, column in columns.items()})


def _random_groups(directions: Directions, count: int, seed: int) -> list[Directions]:
    """`count` random directions of the span, or one less, in orthonormal groups of two to the number of directions."""
    rng = torch.Generator().manual_seed(_RANDOM_STREAM + seed)
    num_axes = len(directions.span)
    largest = min(directions.num_directions, num_axes, _LARGEST_GROUP)
    num_groups = min(math.ceil(count / largest), count // 2) if largest > 1 else 0
    groups = []
    for index in range(num_groups):
        size = min((count + index) // num_groups, num_axes)
        units, _ = torch.linalg.qr(torch.randn(num_axes, size, generator=rng))
        vectors = units.T @ (directions.scales[:, None] * directions.span)
        groups.append(dataclasses.replace(directions, vectors=vectors, dual_vectors=vectors, metadata={}))
    return groups


def _interval(clouds: Tensor) -> tuple[Tensor, Tensor]:
    """The ends (K,) of the 95 % intervals of the means of clouds (K, B), positive numbers; empty for a single cloud.

    Student's t for log m, m the mean, whose standard error is s / (m sqrt(B)) by the delta method, with s the standard
    deviation over the clouds:

        m exp(-t s / (m sqrt(B)))  to  m exp(t s / (m sqrt(B))),    t the 97.5 % quantile for B - 1 degrees of freedom.

    Both ends are positive. A percentile bootstrap of five clouds would hold the true mean in 83 % of all cases only.
    """
    count = clouds.shape[1]
    if count < 2:
        return torch.zeros(0), torch.zeros(0)
    means = clouds.mean(1)
    errors = clouds.std(1) / (means.clamp(min=torch.finfo(means.dtype).tiny) * math.sqrt(count))
    factors = (float(stdtrit(count - 1, 0.975)) * errors).exp()
    return means / factors, means * factors


def _chance(scores: Tensor, random: Tensor) -> Tensor:
    """(K,), one more than the number of random directions that score at least as high, over one more than all."""
    if not len(random):
        return torch.zeros(0)
    return (1 + (random[None] >= scores[:, None]).sum(1)).double() / (1 + len(random))


def add_scores(directions: Directions, scores: HeldOutScores, *, rtd_before: list[float] | None = None) -> Directions:
    """The directions in their order, with `scores` in their metadata as lists of K numbers.

    "rank" is the place by score from 1, the highest first; "better_than_chance" whether the p value "chance" is at most
    0.1. An earlier "rtd_before" is dropped: RTD on other codes cannot be compared.

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
    """The directions of a new search, calibrated and in decreasing order of score; for arguments see `add_scores`.

    A direction keeps its number and its unit from then on: later scores change its rank only.
    """
    scored = add_scores(directions, scores, rtd_before=rtd_before)
    ranks = scored.metadata["rank"]
    numbered = scored.select(sorted(range(len(ranks)), key=ranks.__getitem__))
    return numbered.calibrated([round(min(amount, LARGEST_UNIT), 4) for amount in numbered.metadata["amount"]])
