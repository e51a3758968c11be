"""Directions of the whole code are kept only where they are better than their start, which needs no truth."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from ganspace_topdis.discovery.acceptance import improvements, improves, num_codes
from ganspace_topdis.discovery.api import finalize
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.latent.directions import Directions
from tests.discovery.test_held_out import MemoryStore

SIZE = 4
WAVES = torch.arange(1, 6) / 3
SETTINGS = DiscoverySettings(
    search_in="whole", num_directions=SIZE, steps=4, batch_size=16, num_span_codes=256, num_probes=64
)


def apart(codes: torch.Tensor) -> torch.Tensor:
    """Codes (N, 4) to features (N, 20): each coordinate has its own."""
    return torch.sin(codes[:, :, None] * WAVES + WAVES.flip(0)).flatten(1)


def sample(count: int, rng: torch.Generator) -> torch.Tensor:
    return torch.randn(count, SIZE, generator=rng)


def along(rows: torch.Tensor) -> Directions:
    rows = F.normalize(rows, dim=1)
    return Directions(
        vectors=rows, dual_vectors=rows, mean=torch.zeros(SIZE), span=torch.eye(SIZE), scales=torch.ones(SIZE)
    )


def mixed(row: int, *others: int) -> torch.Tensor:
    """The true directions but for `row`, which also changes other coordinates."""
    rows = torch.eye(SIZE)
    rows[row, list(others)] = 0.5
    return rows


def test_a_direction_that_stops_changing_what_others_change_improves_and_one_that_starts_to_does_not() -> None:
    before, after = mixed(0, 1), mixed(2, 3)
    found = improvements(apart, sample, along(before), along(after))
    assert {name: each.shape[0] for name, each in found.items()} == {"overlap": SIZE, "mixed": SIZE}
    for differences in found.values():
        assert improves(differences).tolist() == [True, False, False, False]
        assert improves(-differences).tolist() == [False, False, True, False]


def test_the_seed_chooses_the_codes() -> None:
    first, again, other = (
        improvements(apart, sample, along(mixed(0, 1)), along(torch.eye(SIZE)), seed=seed)["overlap"]
        for seed in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first[1:], torch.zeros_like(first[1:]))


@pytest.mark.parametrize(("count", "clouds"), [(2, 16), (8, 16), (16, 8), (40, 4)])
def test_as_many_codes_are_synthesized_as_a_plan_says(count: int, clouds: int) -> None:
    num_seen = 0

    def counted(codes: torch.Tensor) -> torch.Tensor:
        nonlocal num_seen
        num_seen += len(codes)
        return torch.tanh(codes)

    rows = torch.eye(count)
    some = Directions(vectors=rows, dual_vectors=rows, mean=rows[0] * 0, span=rows, scales=torch.ones(count))
    found = improvements(counted, lambda n, rng: torch.randn(n, count, generator=rng), some, some)
    assert found["mixed"].shape == (count, 16 * clouds)
    assert num_seen == num_codes(count)


@pytest.mark.parametrize("stop_at", [1, 7, 16])
def test_a_stopped_comparison_goes_on_where_it_was_and_ends_the_same(stop_at: int) -> None:
    sets = along(mixed(0, 1)), along(torch.eye(SIZE))
    calls = 0

    def counted(codes: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return apart(codes)

    whole = improvements(counted, sample, *sets)
    at_once, calls, store = calls, 0, MemoryStore()
    store.stop_at = stop_at
    with pytest.raises(InterruptedError):
        improvements(counted, sample, *sets, store=store)
    again = improvements(counted, sample, *sets, store=store)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert calls <= at_once * 1.2  # the amounts are measured again
    assert improvements(counted, sample, *sets, seed=1, store=store)["mixed"].equal(again["mixed"]) is False


def test_what_did_not_improve_is_put_back_where_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = torch.tensor([True, False, True, False])
    search = Discovery(apart, sample, SETTINGS)
    search.run()
    monkeypatch.setattr(Discovery, "_better", lambda *_: keep)
    found = finalize(search)
    assert sorted(found.metadata["improved"]) == sorted(keep.tolist())
    expected = search.directions(torch.where(keep[:, None], search.rotation(), search.initial_rotation)).vectors
    for vector, improved in zip(found.in_sigmas().vectors, found.metadata["improved"], strict=True):
        distances = (expected - vector).norm(dim=1)
        assert distances.min() < 1e-4
        assert bool(keep[distances.argmin()]) is improved


@pytest.mark.parametrize("settings", [{"accept_all": True}, {"search_in": "span"}, {"num_directions": 1}])
def test_all_directions_are_kept_where_that_is_asked_for_and_where_none_can_be_compared(settings: dict) -> None:
    search = Discovery(apart, sample, dataclasses.replace(SETTINGS, **settings))
    search.run()
    found = finalize(search)
    assert "improved" not in found.metadata
    vectors = search.directions().vectors
    assert all((vectors - each).norm(dim=1).min() < 1e-4 for each in found.in_sigmas().vectors)


def test_the_evaluation_counts_on_while_directions_are_compared() -> None:
    search, calls = Discovery(apart, sample, SETTINGS), []
    finalize(search, lambda step, num_steps: calls.append(step / num_steps))
    assert calls == sorted(set(calls))
    assert calls[-1] == 1
