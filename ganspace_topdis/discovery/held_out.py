"""Held-out scores of directions, which need no ground truth: RTD and effect on codes that the search did not use.

RTD of a direction: the symmetric RTD (min variant, Trofimov et al. 2023) between features before and after a shift,
averaged over both signs and several batches. Effect: the mean distance that the features move, over the mean distance
between the features of two random codes; 0 is a null direction, 1 gives an unrelated image. The score that ranks
directions is effect / RTD: the change per topology broken.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from ganspace_topdis.discovery.micro_batch import features_of
from ganspace_topdis.discovery.settings import ShiftKind
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.topology.rtd import rtd

__all__ = ["HeldOutScores", "PartialStore", "add_scores", "evaluate_held_out", "mean_distance", "rank"]

_MICRO_BATCH = 64
_HELD_OUT_STREAM = 0x7E57
"""Separates the held-out codes of seed s from the codes that the search draws with seed s."""


@dataclasses.dataclass(frozen=True)
class HeldOutScores:
    """Scores of K directions on held-out codes, each a list of K numbers.

    Attributes:
        rtd: symmetric RTD between the features before and after the shift; lower keeps the topology better.
        effect: mean distance that the shift moves the features, over that between two random codes' features.
    """

    rtd: list[float]
    effect: list[float]

    def as_dict(self) -> dict[str, list[float]]:
        """The scores as JSON-able lists."""
        return dataclasses.asdict(self)


class PartialStore(Protocol):
    """Storage for unfinished work, such as `runs.shared_folder.PartialWork`."""

    def load(self, name: str) -> dict[str, Tensor] | None:
        """The tensors saved under `name`, or None."""

    def save(self, name: str, tensors: Mapping[str, Tensor], *, complete: bool) -> None:
        """Save `tensors` under `name`, if a save is due; `complete` means that no work is left."""


def evaluate_held_out(
    generate: Generate,
    sample_codes: SampleCodes,
    directions: Directions,
    *,
    shift: float,
    shift_kind: ShiftKind = "gaussian",
    batch_size: int = 64,
    num_batches: int = 4,
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
        directions: K directions.
        shift: C of the Gaussian-preserving shift, or standard deviations where `shift_kind` is "sigma".
        shift_kind: "gaussian" or "sigma".
        batch_size: N, points per cloud.
        num_batches: number of clouds; both signs of the shift are applied to each.
        micro_batch: codes synthesized at a time; None means 64.
        seed: of the codes; they differ from those of a search with the same seed.
        device: device of the codes.
        progress: called after every shifted cloud.
        store: saves the sums after every shifted cloud and restores them, without any change of the result.

    Raises:
        InvalidArgumentError: the directions do not fit the codes, or features are not finite.
    """
    micro_batch = micro_batch or _MICRO_BATCH
    how = (shift, shift_kind, batch_size, num_batches, micro_batch, seed)
    sums = _Sums(directions, how, store)
    rng = torch.Generator().manual_seed(_HELD_OUT_STREAM + seed)
    num_directions, count = directions.num_directions, 2 * num_batches
    with torch.no_grad():
        for batch in range(num_batches):
            codes = sample_codes(batch_size, rng).to(device)
            if sums.num_done >= 2 * num_directions * (batch + 1):
                continue
            before = features_of(generate, codes, micro_batch)
            distance = mean_distance(before)
            for cloud in range(sums.num_done - 2 * num_directions * batch, 2 * num_directions):
                index, amount = cloud // 2, -shift if cloud % 2 else shift
                shifted, mask = _shifted(directions, codes, index, amount, shift_kind)
                after = features_of(generate, shifted, micro_batch)
                effect = (after - before[mask]).norm(dim=1).mean() / distance
                sums.add(index, rtd(before[mask], after), effect, complete=sums.num_done + 1 == count * num_directions)
                if progress is not None:
                    progress(sums.num_done, count * num_directions)
    return HeldOutScores(rtd=(sums.divergences / count).tolist(), effect=(sums.effects / count).tolist())


class _Sums:
    """The sums of RTD and effect over the clouds that are done, (K,) each, saved in `store`."""

    def __init__(self, directions: Directions, how: tuple[object, ...], store: PartialStore | None) -> None:
        self._store = store
        self._name = hashlib.sha256(f"{directions.fingerprint} {how}".encode()).hexdigest()[:16]
        saved = None if store is None else store.load(self._name)
        zeros = torch.zeros(directions.num_directions, dtype=torch.float64)
        self.divergences = zeros if saved is None else saved["divergences"]
        self.effects = zeros.clone() if saved is None else saved["effects"]
        self.num_done = 0 if saved is None else int(saved["num_done"])

    def add(self, index: int, divergence: Tensor, effect: Tensor, *, complete: bool) -> None:
        self.divergences[index] += divergence.cpu().double()
        self.effects[index] += effect.cpu().double()
        self.num_done += 1
        if self._store is not None:
            state = {"divergences": self.divergences, "effects": self.effects}
            self._store.save(self._name, {**state, "num_done": torch.tensor(self.num_done)}, complete=complete)


def _shifted(
    directions: Directions, codes: Tensor, index: int, amount: float, kind: ShiftKind
) -> tuple[Tensor, Tensor]:
    if kind == "gaussian":
        return directions.shift(codes, index, amount)
    return directions.move(codes, index, amount), torch.ones(len(codes), dtype=torch.bool, device=codes.device)


def mean_distance(features: Tensor) -> Tensor:
    """The mean distance between the features (N, F) of two random codes, a positive scalar."""
    return (features - features.roll(1, 0)).norm(dim=1).mean().clamp(min=torch.finfo(features.dtype).tiny)


def add_scores(directions: Directions, scores: HeldOutScores, *, rtd_before: list[float] | None = None) -> Directions:
    """The directions in their order, with `scores` in their metadata as lists of K numbers.

    "score" is effect / RTD, and "rank" its place from 1, the largest first. An earlier "rtd_before" is
    dropped: RTD on other codes cannot be compared.

    Args:
        directions: K directions.
        scores: their held-out scores.
        rtd_before: (K,) RTD of the directions that the search started from, on the same codes.
    """
    ratios = [effect / max(rtd, 1e-12) for effect, rtd in zip(scores.effect, scores.rtd, strict=True)]
    order = sorted(range(len(ratios)), key=lambda index: -ratios[index])
    ranks = [order.index(index) + 1 for index in range(len(order))]
    columns = {"score": ratios, "rank": ranks, "rtd_after": scores.rtd, "effect": scores.effect}
    facts = {name: value for name, value in directions.metadata.items() if name != "rtd_before"}
    if rtd_before is not None:
        columns["rtd_before"] = rtd_before
    return dataclasses.replace(directions, metadata={**facts, **columns})


def rank(directions: Directions, scores: HeldOutScores, *, rtd_before: list[float] | None = None) -> Directions:
    """The directions of a new search, numbered in decreasing order of effect / RTD; for arguments see `add_scores`.

    A direction keeps its number from then on: later scores change its rank only.
    """
    scored = add_scores(directions, scores, rtd_before=rtd_before)
    ranks = scored.metadata["rank"]
    return scored.select(sorted(range(len(ranks)), key=ranks.__getitem__))
