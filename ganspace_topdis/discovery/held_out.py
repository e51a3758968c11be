"""What can be said of directions without knowing any truth: their RTD and their effect on fresh codes.

RTD of a direction: the symmetric RTD (min variant, Trofimov et al. 2023) between features before and after a
shift, averaged over both signs and several batches that no optimisation has seen. Effect: how far the features
move, relative to how far two random codes' features are apart; 0 is a null direction, 1 makes another image.
"""

import dataclasses

import torch
from torch import Tensor

from ganspace_topdis.discovery.objective import ShiftLaw, features_of, mean_distance_apart
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import Progress
from ganspace_topdis.topology import rtd

__all__ = ["HeldOut", "judge_held_out"]


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


def judge_held_out(
    generate: Generate,
    sample_codes: SampleCodes,
    directions: Directions,
    *,
    shift: float,
    shift_law: ShiftLaw = "gaussian",
    batch_size: int = 64,
    num_batches: int = 4,
    micro_batch: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> HeldOut:
    """Score `directions` on `num_batches` batches of codes drawn with `seed`.

    Args:
        generate: codes (N, D) -> images or features (N, ...).
        sample_codes: (n, rng) -> codes (n, D).
        directions: what is scored.
        shift: C of the Gaussian-preserving shift, or standard deviations where `shift_law` is "sigma".
        shift_law: "gaussian" or "sigma".
        batch_size: N, points of a cloud.
        num_batches: how many clouds; both signs of the shift are applied to each.
        micro_batch: codes that are synthesised at a time; None takes 64.
        seed: draws the codes; give one that the search did not use.
        device: where the codes go.
        progress: called after every shifted cloud.
    """
    micro_batch = micro_batch or _MICRO_BATCH
    rng = torch.Generator().manual_seed(_HELD_OUT_STREAM + seed)
    divergences = torch.zeros(directions.num_directions, dtype=torch.float64)
    effects = torch.zeros_like(divergences)
    done, count = 0, 2 * num_batches
    with torch.no_grad():
        for _ in range(num_batches):
            codes = sample_codes(batch_size, rng).to(device)
            before = features_of(generate, codes, micro_batch)
            apart = mean_distance_apart(before)
            for index in range(directions.num_directions):
                for amount in (shift, -shift):
                    shifted, kept = _shifted(directions, codes, index, amount, shift_law)
                    after = features_of(generate, shifted, micro_batch)
                    divergences[index] += rtd(before[kept], after).double().cpu()
                    effects[index] += ((after - before[kept]).norm(dim=1).mean() / apart).double().cpu()
                    done += 1
                    if progress is not None:
                        progress(done, count * directions.num_directions)
    return HeldOut(rtd=(divergences / count).tolist(), effect=(effects / count).tolist())


_MICRO_BATCH = 64
_HELD_OUT_STREAM = 0x7E57
"""Keeps the held-out codes of seed s apart from the search's codes of seed s."""


def _shifted(directions: Directions, codes: Tensor, index: int, amount: float, law: ShiftLaw) -> tuple[Tensor, Tensor]:
    if law == "gaussian":
        return directions.shift(codes, index, amount)
    return directions.move(codes, index, amount), torch.ones(len(codes), dtype=torch.bool, device=codes.device)
