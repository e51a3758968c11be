"""What can be said of directions without knowing any truth: their RTD and their effect on fresh codes.

RTD of a direction: the symmetric RTD (min variant, Trofimov et al. 2023) between features before and after a
shift, averaged over both signs and several batches that no optimisation has seen. Effect: how far the features
move, relative to how far two random codes' features are apart; 0 is a null direction, 1 makes another image.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from ganspace_topdis.discovery.objective import features_of, mean_distance_apart
from ganspace_topdis.discovery.settings import ShiftKind
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.topology import rtd

__all__ = ["HeldOut", "KeepsWork", "judge_held_out"]


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Scores of K directions on held-out codes, each a list of K numbers.

    Attributes:
        rtd: symmetric RTD between the features before and after the shift; lower keeps the topology better.
        effect: mean distance that the shift moves the features, over the mean distance of two random codes'.
    """

    rtd: list[float]
    effect: list[float]

    def as_dict(self) -> dict[str, list[float]]:
        """The scores as JSON-able lists."""
        return dataclasses.asdict(self)


class KeepsWork(Protocol):
    """Where unfinished work is kept, such as `runs.shared_folder.PartialWork`."""

    def load(self, name: str) -> dict[str, Tensor] | None:
        """What was kept under `name`; None where there is nothing."""

    def save(self, name: str, tensors: Mapping[str, Tensor], *, complete: bool) -> None:
        """Keep `tensors` under `name`, if it is time to; `complete` says that no work is left."""


def judge_held_out(
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
    kept: KeepsWork | None = None,
) -> HeldOut:
    """Score `directions` on `num_batches` batches of codes drawn with `seed`.

    Args:
        generate: codes (N, D) -> images or features (N, ...).
        sample_codes: (n, rng) -> codes (n, D).
        directions: what is scored.
        shift: C of the Gaussian-preserving shift, or standard deviations where `shift_kind` is "sigma".
        shift_kind: "gaussian" or "sigma".
        batch_size: N, points of a cloud.
        num_batches: how many clouds; both signs of the shift are applied to each.
        micro_batch: codes that are synthesised at a time; None takes 64.
        seed: draws the codes; give one that the search did not use.
        device: where the codes go.
        progress: called after every shifted cloud.
        kept: where the sums are kept after every shifted cloud, and taken up again: the result is the same.
    """
    micro_batch = micro_batch or _MICRO_BATCH
    how = (shift, shift_kind, batch_size, num_batches, micro_batch, seed)
    sums = _Sums(directions, how, kept)
    rng = torch.Generator().manual_seed(_HELD_OUT_STREAM + seed)
    num_directions, count = directions.num_directions, 2 * num_batches
    with torch.no_grad():
        for batch in range(num_batches):
            codes = sample_codes(batch_size, rng).to(device)
            if sums.num_done >= 2 * num_directions * (batch + 1):
                continue
            before = features_of(generate, codes, micro_batch)
            apart = mean_distance_apart(before)
            for cloud in range(sums.num_done - 2 * num_directions * batch, 2 * num_directions):
                index, amount = cloud // 2, -shift if cloud % 2 else shift
                shifted, mask = _shifted(directions, codes, index, amount, shift_kind)
                after = features_of(generate, shifted, micro_batch)
                effect = (after - before[mask]).norm(dim=1).mean() / apart
                sums.add(index, rtd(before[mask], after), effect, complete=sums.num_done + 1 == count * num_directions)
                if progress is not None:
                    progress(sums.num_done, count * num_directions)
    return HeldOut(rtd=(sums.divergences / count).tolist(), effect=(sums.effects / count).tolist())


class _Sums:
    """The sums of RTD and effect over the clouds that are done, (K,) each, as `kept` has them."""

    def __init__(self, directions: Directions, how: tuple[object, ...], kept: KeepsWork | None) -> None:
        self._kept = kept
        self._name = hashlib.sha256(f"{directions.fingerprint} {how}".encode()).hexdigest()[:16]
        found = None if kept is None else kept.load(self._name)
        zeros = torch.zeros(directions.num_directions, dtype=torch.float64)
        self.divergences = zeros if found is None else found["divergences"]
        self.effects = zeros.clone() if found is None else found["effects"]
        self.num_done = 0 if found is None else int(found["num_done"])

    def add(self, index: int, divergence: Tensor, effect: Tensor, *, complete: bool) -> None:
        self.divergences[index] += divergence.double().cpu()
        self.effects[index] += effect.double().cpu()
        self.num_done += 1
        if self._kept is not None:
            state = {"divergences": self.divergences, "effects": self.effects}
            self._kept.save(self._name, {**state, "num_done": torch.tensor(self.num_done)}, complete=complete)


_MICRO_BATCH = 64
_HELD_OUT_STREAM = 0x7E57
"""Keeps the held-out codes of seed s apart from the search's codes of seed s."""


def _shifted(directions: Directions, codes: Tensor, index: int, amount: float, law: ShiftKind) -> tuple[Tensor, Tensor]:
    if law == "gaussian":
        return directions.shift(codes, index, amount)
    return directions.move(codes, index, amount), torch.ones(len(codes), dtype=torch.bool, device=codes.device)
