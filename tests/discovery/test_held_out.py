"""Directions judged at equal effect: amounts, mixed differences, overlap, RTD, intervals, and chance."""

import dataclasses
import math

import pytest
import torch

from ganspace_topdis.discovery.equal_effect import (
    EQUAL_EFFECT,
    LARGEST_AMOUNT,
    ShiftedBatch,
    equal_effect_amounts,
    pairs_of,
)
from ganspace_topdis.discovery.held_out import (
    LARGEST_UNIT,
    _interval,
    _random_groups,
    add_scores,
    evaluate_held_out,
    rank,
)
from ganspace_topdis.generators import HandBuiltGenerator
from ganspace_topdis.latent.directions import Directions

QUICK = {"batch_size": 16, "num_batches": 2, "num_random": 4}
GENERATOR = HandBuiltGenerator(seed=0, resolution=16)


def directions_along(vectors: torch.Tensor) -> Directions:
    width = vectors.shape[1]
    return Directions(
        vectors=vectors, dual_vectors=vectors, mean=torch.zeros(width), span=torch.eye(width), scales=torch.ones(width)
    )


TRUE = directions_along(GENERATOR.true_directions)
RANDOM = directions_along(torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))[0])


def codes_of(count: int, width: int) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0))


def judge(directions: Directions, **how):
    return evaluate_held_out(GENERATOR, GENERATOR.sample_codes, directions, **{**QUICK, **how})


class MemoryStore:
    """Saves work in memory; raises an error at save `stop_at`."""

    def __init__(self) -> None:
        self.saved: dict = {}
        self.num_saves = 0
        self.stop_at: int | None = None

    def load(self, name):
        return self.saved.get(name)

    def save(self, name, tensors, *, complete):
        self.saved[name] = {key: tensor.clone() for key, tensor in tensors.items()}
        self.num_saves += 1
        if self.num_saves == self.stop_at:
            raise InterruptedError


def test_all_directions_move_to_the_same_effect_whatever_their_length():
    batch = ShiftedBatch(lambda codes: GENERATOR(codes).flatten(1), codes_of(64, 6))
    stretched = directions_along(torch.tensor([0.5, 1, 2, 0.3, 1, 1])[:, None] * TRUE.vectors)
    amounts = equal_effect_amounts(batch, stretched)
    effects = [
        sum(batch.effect(batch.change([(stretched, index, sign * each)])) for sign in (1, -1)) / 2
        for index, each in enumerate(amounts)
    ]
    assert effects == pytest.approx([EQUAL_EFFECT] * 6, rel=0.15)


def test_a_direction_without_effect_moves_as_far_as_is_allowed():
    batch = ShiftedBatch(lambda codes: codes[:, :1], codes_of(16, 2))
    assert equal_effect_amounts(batch, directions_along(torch.eye(2)))[1] == LARGEST_AMOUNT


def test_effects_that_add_up_in_separate_features_have_neither_mixed_difference_nor_overlap():
    linear = evaluate_held_out(lambda codes: codes, lambda n, rng: torch.randn(n, 6, generator=rng), TRUE, **QUICK)
    assert max(linear.mixed) < 1e-3
    axes = directions_along(torch.eye(6))
    separate = evaluate_held_out(lambda codes: codes, lambda n, rng: torch.randn(n, 6, generator=rng), axes, **QUICK)
    assert max(separate.overlap) < 1e-6


def test_true_directions_score_higher_than_random_ones():
    true, random = (judge(each, batch_size=64, num_batches=4) for each in (TRUE, RANDOM))
    assert sum(true.overlap) < 0.7 * sum(random.overlap)
    assert true.score == pytest.approx([1 - each for each in true.overlap])


def test_intervals_hold_the_mean():
    found = judge(TRUE, num_batches=4)
    for name in ("rtd", "effect"):
        low, mean, high = (getattr(found, each) for each in (f"{name}_low", name, f"{name}_high"))
        assert all(a < b < c for a, b, c in zip(low, mean, high, strict=True))


def test_intervals_are_those_of_students_t_for_the_logarithm_of_the_mean():
    """By hand: m = 3, s = sqrt(2.5), t = 2.776 for four degrees of freedom; m = 2, s = 2, t = 4.303 for two."""
    (low,), (high,) = _interval(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]]).double())
    assert (low.item(), high.item()) == pytest.approx((1.5592, 5.7720), abs=1e-4)
    (low, constant, zero), _ = _interval(torch.tensor([[0.0, 2.0, 4.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]]).double())
    assert low.item() == pytest.approx(0.1668, abs=1e-4)
    assert (constant, zero) == (2, 0)


@pytest.mark.parametrize("count", [2, 5, 10])
@pytest.mark.parametrize("kind", ["normal", "lognormal"])
def test_intervals_hold_the_true_mean_of_few_clouds_in_95_percent_of_all_cases(kind, count):
    draws = torch.randn(4000, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    clouds, mean = (1 + 0.2 * draws, 1.0) if kind == "normal" else ((0.3 * draws).exp(), math.exp(0.3**2 / 2))
    low, high = _interval(clouds)
    assert ((low <= mean) & (mean <= high)).double().mean().item() == pytest.approx(0.95, abs=0.015)


def test_a_single_cloud_has_no_interval():
    found = judge(TRUE, num_batches=1)
    assert found.rtd_low == found.rtd_high == found.effect_low == found.effect_high == []
    assert {"rtd_low", "effect_high"} & {*add_scores(TRUE, found).metadata} == set()


def test_true_directions_are_better_than_chance_and_random_ones_are_not():
    how = {"batch_size": 64, "num_batches": 4, "num_random": 20}
    true, random = (add_scores(each, judge(each, **how)).metadata for each in (TRUE, RANDOM))
    assert sum(true["better_than_chance"]) >= 3
    assert sum(true["chance"]) < 0.4 * sum(random["chance"])
    assert min(true["chance"]) == pytest.approx(1 / 21)
    assert sum(random["better_than_chance"]) <= 1
    assert max(random["chance"]) > 0.3


@pytest.mark.parametrize(("count", "sizes"), [(4, [2, 2]), (5, [2, 2]), (1, [])])
def test_random_directions_come_in_groups_that_can_be_compared(count, sizes):
    groups = _random_groups(
        dataclasses.replace(RANDOM.select([0, 1]), span=torch.eye(6)[:2], scales=torch.ones(2)), count, 0
    )
    assert [each.num_directions for each in groups] == sizes


def test_a_single_direction_is_scored_by_its_rtd():
    one = TRUE.select([0])
    found = judge(one)
    assert found.score == pytest.approx([1 / (1 + found.rtd[0])])
    assert {"mixed", "overlap"} & {*add_scores(one, found).metadata} == set()


def test_rtd_alone_is_that_of_all_scores():
    whole, alone = judge(TRUE), judge(TRUE, rtd_only=True)
    assert alone.rtd == whole.rtd
    assert alone.chance == []
    assert "better_than_chance" not in add_scores(TRUE, alone).metadata


def test_directions_need_be_neither_orthogonal_nor_as_many_as_the_code_has_numbers():
    vectors = torch.cat([TRUE.vectors, TRUE.vectors[:1] + 0.5 * TRUE.vectors[1:2]])
    found = judge(directions_along(vectors))
    assert len(found.score) == 7
    assert min(found.score) > 0


def test_ranks_follow_the_score_and_a_new_search_is_numbered_by_it():
    scores = judge(TRUE)
    ranks = add_scores(TRUE, scores).metadata["rank"]
    assert [scores.score[ranks.index(place)] for place in range(1, 7)] == sorted(scores.score, reverse=True)
    numbered = rank(TRUE, scores, rtd_before=scores.rtd)
    assert numbered.metadata["rank"] == [1, 2, 3, 4, 5, 6]
    assert numbered.metadata["rtd_before"] == numbered.metadata["rtd_after"]
    kept = add_scores(dataclasses.replace(TRUE, metadata={"rtd_before": [0.0] * 6}), scores)
    assert "rtd_before" not in kept.metadata
    assert "unit" not in kept.metadata  # directions that were found before keep what an amount means


def test_a_unit_of_every_direction_of_a_new_search_has_about_the_same_effect():
    stretched = directions_along(torch.tensor([0.5, 1, 2, 0.3, 1, 1])[:, None] * TRUE.vectors)
    found = rank(stretched, judge(stretched, batch_size=64))
    batch = ShiftedBatch(lambda codes: GENERATOR(codes).flatten(1), codes_of(64, 6))

    def effects(directions: Directions) -> torch.Tensor:
        both = [[batch.effect(batch.change([(directions, row, sign)])) for sign in (1, -1)] for row in range(6)]
        return torch.tensor(both).mean(1)[found.units < LARGEST_UNIT]

    even, uneven = effects(found), effects(found.in_sigmas())
    assert len(even) >= 4
    assert even.max() < 1.7 * even.min()  # 32 other codes chose the units
    assert uneven.max() > 2.5 * uneven.min()
    assert found.units.max() == LARGEST_UNIT  # the one of length 0.3 would need more


def test_scores_do_not_depend_on_the_units():
    plain = judge(TRUE)
    calibrated = judge(TRUE.calibrated([0.3, 1.0, 2.0, 0.1, 0.7, 1.5]))
    for name, values in plain.as_dict().items():
        assert getattr(calibrated, name) == pytest.approx(values, rel=1e-3), name


@pytest.mark.parametrize("num_directions", [1, 2, 5, 6])
def test_every_direction_meets_every_other_over_the_batches(num_directions):
    met = set()
    for batch in range(num_directions):
        pairs = list(pairs_of(batch, num_directions))
        assert sorted(row for row, _ in pairs) == sorted(partner for _, partner in pairs) == list(range(num_directions))
        met |= {frozenset(pair) for pair in pairs}
    assert len(met) == max(num_directions * (num_directions - 1) // 2, 1)


@pytest.mark.parametrize("stop_at", [1, 5, 10, 16, 17, 30])
def test_a_resumed_evaluation_gives_the_same_scores(stop_at):
    whole = judge(TRUE)
    store = MemoryStore()
    store.stop_at = stop_at
    with pytest.raises(InterruptedError):
        judge(TRUE, store=store)
    assert judge(TRUE, store=store) == whole
    assert store.num_saves == 30
    judge(TRUE, num_random=5, store=store)
    assert store.num_saves == 63  # an evaluation with other settings does not take these measures


def test_a_direction_without_any_effect_scores_worst():
    def generate(codes):
        return GENERATOR(codes[:, :6])  # the last two numbers change nothing

    axes = directions_along(torch.eye(8))
    scores = evaluate_held_out(generate, codes_of_eight, axes, **QUICK)
    ranked = rank(axes, scores).metadata
    assert scores.score[6:] == [0.0, 0.0]
    assert min(scores.score[:6]) > 0
    assert sorted(ranked["rank"][6:]) == [7, 8]
    assert not any(ranked["better_than_chance"][6:])


def test_where_nothing_has_an_effect_no_direction_is_better_than_chance():
    axes = directions_along(torch.eye(8)[6:])
    scores = evaluate_held_out(lambda c: GENERATOR(c[:, :6]), codes_of_eight, axes, **QUICK)
    assert scores.score == [0.0, 0.0]
    assert scores.chance == [1.0, 1.0]


def codes_of_eight(count, rng):
    return torch.randn(count, 8, generator=rng)


def test_a_single_direction_without_any_effect_scores_zero():
    axis = directions_along(torch.eye(8)[7:])
    assert evaluate_held_out(lambda c: GENERATOR(c[:, :6]), codes_of_eight, axis, **QUICK).score == [0.0]
