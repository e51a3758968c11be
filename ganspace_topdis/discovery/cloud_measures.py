"""The measurements of a held-out evaluation, cloud by cloud, in a state that can be saved and resumed.

Rows are K directions, then R random ones in groups of orthonormal directions of the same span. Every direction is
measured on every batch of codes, every random one on two. On a batch, each direction has another one as its partner,
and the pair's overlap counts for both; the partners of a random one are all others of its group. RTD and, on half of
the batches, the mixed second difference are measured for the directions only.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor

from ganspace_topdis.discovery.equal_effect import (
    ShiftedBatch,
    equal_effect_amounts,
    mixed_difference,
    overlap,
    pairs_of,
    profile,
)
from ganspace_topdis.latent.directions import Directions

__all__ = ["CloudMeasures", "PartialStore"]

_CLOUDS_OF_RANDOM = 2
_MEASURES = ("rtd", "effect", "mixed", "overlap")


class PartialStore(Protocol):
    """Storage for unfinished work, such as `runs.shared_folder.PartialWork`."""

    def load(self, name: str) -> dict[str, Tensor] | None:
        """The tensors saved under `name`, or None."""

    def save(self, name: str, tensors: Mapping[str, Tensor], *, complete: bool) -> None:
        """Save `tensors` under `name`, if a save is due; `complete` means that no work is left."""


class CloudMeasures:
    """What was measured on the batches so far.

    Args:
        directions: K directions.
        random: groups of random directions to compare with.
        num_batches: B, the number of batches.
        rtd_only: whether pairs are left out.
        how: the other arguments that the result depends on.
        store: saves the state after every row of every batch, and restores it.
    """

    def __init__(
        self,
        directions: Directions,
        random: list[Directions],
        *,
        num_batches: int,
        rtd_only: bool,
        how: tuple[object, ...],
        store: PartialStore | None,
    ) -> None:
        self._groups, self._num_batches, self._rtd_only = [directions, *random], num_batches, rtd_only
        self._store = store
        key = f"{directions.fingerprint} {num_batches} {rtd_only} {how}"
        self._name = hashlib.sha256(key.encode()).hexdigest()[:16]
        self._offsets = [0]
        for group in self._groups:
            self._offsets.append(self._offsets[-1] + group.num_directions)
        saved = None if store is None else store.load(self._name)
        self._state = saved or {
            "amounts": torch.full((self._offsets[-1],), torch.nan, dtype=torch.float64),
            "done": torch.zeros(self._offsets[-1], num_batches),
            **{name: torch.full((self._offsets[-1], num_batches), torch.nan).double() for name in _MEASURES},
        }

    @property
    def num_cells(self) -> int:
        """The number of measurements in all."""
        return sum(len(self._visits(place)) for place in range(self._num_batches))

    @property
    def num_done(self) -> int:
        """The number of measurements that are done."""
        return int(self._state["done"].sum())

    @property
    def amounts(self) -> Tensor:
        """(K + R,), the amounts of equal effect."""
        return self._state["amounts"]

    def of_rows(self, name: str) -> Tensor:
        """(K + R, B) of "rtd" or "effect"; NaN where it was not measured."""
        return self._state[name]

    def of_pairs(self, name: str) -> Tensor:
        """(K + R,), the mean of "mixed" or "overlap" over the pairs that a row is one of; NaN without pairs."""
        values = self._state[name]
        sums, counts = torch.zeros(len(values)).double(), torch.zeros(len(values))
        for place in range(self._num_batches):
            for row, partners in self._visits(place):
                if values[row, place].isfinite():
                    for each in (row, *partners) if len(partners) == 1 else (row,):
                        sums[each] += values[row, place]
                        counts[each] += 1
        return sums / counts

    def calibrate(self, of_directions: ShiftedBatch, of_random: ShiftedBatch) -> None:
        """Find the amounts of all rows, on a batch for the directions and one for the random ones."""
        for index, group in enumerate(self._groups):
            batch = of_random if index else of_directions
            for place in range(group.num_directions):
                row = self._offsets[index] + place
                if not self.amounts[row].isfinite():
                    self.amounts[row] = equal_effect_amounts(batch, group.select([place]))[0]
                    self._save()

    def _save(self) -> None:
        if self._store is not None:
            self._store.save(self._name, self._state, complete=self.num_done == self.num_cells)

    @property
    def calibrated(self) -> bool:
        """Whether the amounts are known."""
        return bool(self.amounts.isfinite().all())

    def is_done(self, place: int) -> bool:
        """Whether all measurements of a batch are done."""
        return not self._missing(place)

    def measure(self, batch: ShiftedBatch, place: int) -> Iterator[int]:
        """Measure what is missing on a batch; yields the number of measurements done after each.

        A change is held while a later visit needs it: three at a time, or the profiles of a group of random directions,
        as each takes the memory of a batch's features.
        """
        changes: dict[int, Tensor] = {}
        profiles: dict[int, Tensor] = {}
        visits = self._missing(place)
        for done, (row, partners) in enumerate(visits):
            is_random = row >= self._offsets[1]
            for each in (row, *partners):
                if each not in profiles:
                    change = batch.change([self._shift(each, place)])
                    profiles[each] = profile(change) if partners else change
                    self._state["effect"][each, place] = batch.effect(change)
                    if not is_random:
                        changes[each] = change
            values = {} if is_random else {"rtd": batch.rtd(changes[row])}
            if partners:
                values["overlap"] = sum(overlap(profiles[row], profiles[each]) for each in partners) / len(partners)
            if partners and not is_random and place < self._num_batches / 2:
                (partner,) = partners
                both = batch.change([self._shift(row, place), self._shift(partner, place)])
                values["mixed"] = float(mixed_difference(both, changes[row], changes[partner]))
            for name, value in values.items():
                self._state[name][row, place] = value
            self._state["done"][row, place] = 1
            needed = {each for later, others in visits[done + 1 :] for each in (later, *others)}
            changes = {each: change for each, change in changes.items() if each in needed}
            profiles = {each: held for each, held in profiles.items() if each in needed}
            self._save()
            yield self.num_done

    def _visits(self, place: int) -> list[tuple[int, tuple[int, ...]]]:
        """The rows that are measured on a batch, each with its partners; none for a single direction."""
        count = self._offsets[1]
        single = count == 1 or self._rtd_only
        found: list[tuple[int, tuple[int, ...]]] = [
            (row, () if single else (partner,)) for row, partner in pairs_of(place, count)
        ]
        for index in range(1, len(self._groups)):
            if (place - _CLOUDS_OF_RANDOM * (index - 1)) % self._num_batches < _CLOUDS_OF_RANDOM:
                rows = range(self._offsets[index], self._offsets[index + 1])
                found += [(row, tuple(other for other in rows if other != row)) for row in rows]
        return found

    def _missing(self, place: int) -> list[tuple[int, tuple[int, ...]]]:
        return [visit for visit in self._visits(place) if not self._state["done"][visit[0], place]]

    def _shift(self, row: int, place: int) -> tuple[Directions, int, float]:
        """The shift of a row; its sign alternates from batch to batch."""
        index = next(index for index, end in enumerate(self._offsets[1:]) if row < end)
        amount = float(self.amounts[row]) * (-1) ** place
        return self._groups[index], row - self._offsets[index], amount
