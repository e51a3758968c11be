import pytest

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.discovery.api import conclude, discover_directions
from ganspace_topdis.discovery.held_out import judge_held_out
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.hand_built import HandBuiltGenerator
from ganspace_topdis.evaluation.recovery import recovery


def test_the_true_axes_of_a_hand_built_generator_are_found():
    generator = HandBuiltGenerator(seed=0)
    directions = discover_directions(
        generator, generator.sample_codes, span="identity", steps=80, shift=1.0, shift_kind="sigma", learning_rate=0.1
    )
    assert recovery(directions.vectors, generator.true_directions).mean > 0.95


def test_directions_come_best_first_with_their_scores():
    generator = HandBuiltGenerator(seed=1, resolution=16)
    directions = discover_directions(generator, generator.sample_codes, span="identity", steps=3, batch_size=32)
    facts = directions.metadata
    assert facts["score"] == sorted(facts["score"], reverse=True)
    for name in ("rtd_before", "rtd_after", "effect"):
        assert len(facts[name]) == 6
        assert min(facts[name]) > 0


def test_progress_hears_of_every_step():
    generator = HandBuiltGenerator(seed=1, resolution=16)
    heard = []
    discover_directions(
        generator,
        generator.sample_codes,
        span="identity",
        steps=3,
        batch_size=16,
        progress=lambda step, num_steps, **values: heard.append((step, num_steps, set(values))),
    )
    assert heard == [(1, 3, {"loss"}), (2, 3, {"loss"}), (3, 3, {"loss"})]


def test_more_directions_than_the_span_has_are_refused():
    generator = HandBuiltGenerator(seed=1, resolution=16)
    with pytest.raises(InvalidArgumentError, match="7 directions were asked for, the span has 1 to 6"):
        discover_directions(generator, generator.sample_codes, num_directions=7, steps=1)


def test_judging_counts_its_clouds_once_for_the_start_and_once_for_the_result():
    generator = HandBuiltGenerator(seed=1, resolution=16)
    settings = DiscoverySettings(span="identity", steps=0, batch_size=8, num_span_codes=64)
    heard = []
    conclude(
        Discovery(generator, generator.sample_codes, settings), lambda step, num_steps: heard.append((step, num_steps))
    )
    assert heard == [(step, 96) for step in range(1, 97)]


class Kept:
    """Keeps work in memory; stops after `num_saves`."""

    def __init__(self) -> None:
        self.kept: dict = {}
        self.num_saves = 0
        self.stop_at: int | None = None

    def load(self, name):
        return self.kept.get(name)

    def save(self, name, tensors, *, complete):
        self.kept[name] = {key: tensor.clone() for key, tensor in tensors.items()}
        self.num_saves += 1
        if self.num_saves == self.stop_at:
            raise InterruptedError


@pytest.mark.parametrize("stop_at", [1, 5, 12, 13, 24])
def test_judging_that_is_stopped_goes_on_to_the_same_scores(stop_at):
    generator = HandBuiltGenerator(seed=0)
    directions = discover_directions(generator, generator.sample_codes, span="identity", steps=1)
    how = {"shift": 1.0, "shift_kind": "sigma", "batch_size": 8, "num_batches": 2}
    whole = judge_held_out(generator, generator.sample_codes, directions, **how)
    kept = Kept()
    kept.stop_at = stop_at
    with pytest.raises(InterruptedError):
        judge_held_out(generator, generator.sample_codes, directions, **how, kept=kept)
    assert judge_held_out(generator, generator.sample_codes, directions, **how, kept=kept) == whole
    assert kept.num_saves == 24
    judge_held_out(generator, generator.sample_codes, directions, **{**how, "shift": 0.5}, kept=kept)
    assert kept.num_saves == 48  # another judgement does not take these sums
