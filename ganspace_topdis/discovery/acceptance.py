"""Which directions of a search in the whole code are better than where they started, without a truth.

In the whole code a direction can also lower its overlap with others where no factor asks for it, as on a generator
whose factors share pixels. So each direction v_i is compared with its start u_i, both beside the starts of the others,
code by code, and with all directions at equal effect (`discovery.equal_effect`, with d(v) the change by v):

    overlap           mean over j != i of cos(|d(v_i)|, |d(u_j)|)
    mixed difference  |f(c + v_i + u_j) - f(c) - d(v_i) - d(u_j)| / sqrt(|d(v_i)| |d(u_j)|),  j = i + 1

It is kept where both are lower over codes that no search has seen, by more than 1.645 standard errors of the mean
difference (one-sided 95 %). In W+ and S, where two searches of the whole code follow each other, both are judged on the
same codes, so what the first has kept has an advantage in the second. The two scores were chosen on other seeds than
those reported: docs/results/directions/report.md.
"""

import hashlib
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ganspace_topdis.discovery.cloud_measures import PartialStore
from ganspace_topdis.discovery.equal_effect import ShiftedBatch, equal_effect_amounts, mixed_differences, profile
from ganspace_topdis.discovery.micro_batch import features_of
from ganspace_topdis.generators import Generate, SampleCodes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.progress import Progress

__all__ = ["improvements", "improves", "num_codes"]

_CLOUD_SIZE, _NUM_CALIBRATED = 16, 32
"""Small clouds: the changes of all directions of a cloud are held at once."""

_MOST_CLOUDS, _FEWEST_CLOUDS, _CHANGES_PER_CODE = 16, 4, 128
"""Of up to eight directions 256 codes are compared, of more as many as take no longer, of 32 and more 64."""

_STANDARD_ERRORS = 1.645
_STREAM = 0xACCE


def improves(differences: Tensor) -> Tensor:
    """(K,), whether each direction improves: the mean of `differences` (K, n), after less before, is surely below 0.

    >>> improves(torch.tensor([[-1.0, -1.1, -0.9], [-1.0, 2.0, -0.5]])).tolist()
    [True, False]
    """
    error = differences.std(1) / math.sqrt(differences.shape[1])
    return differences.mean(1) < -_STANDARD_ERRORS * error


def num_codes(num_directions: int) -> int:
    """The codes that are synthesized to compare K directions with their starts, for a plan.

    >>> num_codes(6), num_codes(32)
    (7200, 12384)
    """
    amounts = _NUM_CALIBRATED * (1 + 2 * 2 * num_directions)
    return amounts + _num_clouds(num_directions) * _CLOUD_SIZE * (1 + 4 * num_directions)


def _num_clouds(num_directions: int) -> int:
    return min(_MOST_CLOUDS, max(_FEWEST_CLOUDS, _CHANGES_PER_CODE // num_directions))


def improvements(
    generate: Generate,
    sample_codes: SampleCodes,
    before: Directions,
    after: Directions,
    *,
    micro_batch: int = 64,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    store: PartialStore | None = None,
) -> dict[str, Tensor]:
    """The differences (K, n) in "overlap" and "mixed" on n codes: each direction of `after`, less that of `before`.

    Args:
        generate: codes (N, D) -> images or features (N, ...).
        sample_codes: (n, rng) -> codes (n, D).
        before: K >= 2 directions.
        after: K directions, each of which takes the place of the one of its number, alone.
        micro_batch: codes synthesized at a time.
        seed: of the codes; they differ from those of a search, and of its evaluation, with the same seed.
        device: device of the codes.
        progress: called after every cloud.
        store: saves the differences after every cloud and restores them, without any change of the result.
    """
    rng = torch.Generator().manual_seed(_STREAM + seed)

    def features(codes: Tensor) -> Tensor:
        return features_of(generate, codes, micro_batch)

    def batch_of(count: int) -> ShiftedBatch:
        return ShiftedBatch(features, sample_codes(count, rng).to(device))

    with torch.no_grad():
        sets = [before.in_sigmas(), after.in_sigmas()]
        name = f"accept_{_digest(sets, micro_batch, seed)}"
        num_clouds = _num_clouds(before.num_directions)
        found = (store.load(name) if store is not None else None) or {}
        calibrated = batch_of(_NUM_CALIBRATED)
        amounts = [equal_effect_amounts(calibrated, each) for each in sets] if len(found) < num_clouds else []
        for place in range(num_clouds):
            batch = batch_of(_CLOUD_SIZE)
            if str(place) not in found:
                cloud = _Cloud(batch, sets, amounts, (-1) ** place)
                found[str(place)] = torch.stack([cloud.compared(cloud.overlaps), cloud.compared(cloud.mixed)]).cpu()
                if store is not None:
                    store.save(name, found, complete=len(found) == num_clouds)
            if progress is not None:
                progress(place + 1, num_clouds)
    parts = [found[str(place)] for place in range(num_clouds)]
    return dict(zip(("overlap", "mixed"), torch.cat(parts, dim=2), strict=True))


def _digest(sets: list[Directions], *how: int) -> str:
    key = f"{[each.fingerprint for each in sets]} {how}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


class _Cloud:
    """N codes, and what the directions before (0) and after (1) change in them."""

    def __init__(self, batch: ShiftedBatch, sets: list[Directions], amounts: list[list[float]], sign: int) -> None:
        self.batch, self.count = batch, sets[0].num_directions
        self.shifts = [
            [(each, row, sign * own[row]) for row in range(self.count)] for each, own in zip(sets, amounts, strict=True)
        ]
        self.changes = [[batch.change([shift]) for shift in shifts] for shifts in self.shifts]
        self.others = [profile(change) for change in self.changes[0]]

    def compared(self, score: Callable[[int, int], Tensor]) -> Tensor:
        """(K, N), `score` of each direction after, less that before."""
        return torch.stack([score(1, row) - score(0, row) for row in range(self.count)])

    def overlaps(self, index: int, row: int) -> Tensor:
        """(N,), the mean overlap of a direction of set `index` with the others before."""
        own = profile(self.changes[index][row])
        cosines = [torch.linalg.vecdot(own, other) for place, other in enumerate(self.others) if place != row]
        return torch.stack(cosines).mean(0)

    def mixed(self, index: int, row: int) -> Tensor:
        """(N,), the mixed difference of a direction of set `index` with the next one before."""
        partner = (row + 1) % self.count
        both = self.batch.change([self.shifts[index][row], self.shifts[0][partner]])
        return mixed_differences(both, self.changes[index][row], self.changes[0][partner])
