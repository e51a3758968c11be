import dataclasses

import pytest
import torch

from ganspace_topdis.discovery.methods.topdis import TopDis
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.discovery.span import identity_span
from ganspace_topdis.evaluation.hand_built import HandBuiltGenerator

SETTINGS = DiscoverySettings(span="identity", batch_size=24, num_span_codes=256)
GENERATOR = HandBuiltGenerator(seed=3, resolution=16)
CODES = GENERATOR.sample_codes(24, torch.Generator().manual_seed(1))
SPAN = identity_span(GENERATOR.sample_codes(256, torch.Generator().manual_seed(0)))


def losses(generate=GENERATOR, shift: float = 1.0, **settings) -> list[float]:
    objective = TopDis(generate, SPAN, dataclasses.replace(SETTINGS, **settings))
    rng = torch.Generator().manual_seed(2)
    return [loss.item() for loss in objective.losses(torch.eye(6), CODES, shift, rng)]


def test_there_is_one_part_a_direction_or_as_many_as_are_drawn():
    assert len(losses()) == 6
    assert len(losses(directions_per_step=2)) == 2


def test_the_cost_of_a_step_does_not_grow_with_the_span():
    codes = torch.randn(200, 40, generator=torch.Generator().manual_seed(1))
    objective = TopDis(lambda codes: codes, identity_span(codes), DiscoverySettings(batch_size=16))
    parts = objective.losses(torch.eye(40), codes[:16], 1.0, torch.Generator().manual_seed(2))
    assert len(list(parts)) == DiscoverySettings().directions_per_step == 8


def test_a_generator_that_keeps_every_distance_has_no_loss():
    assert max(losses(generate=lambda codes: codes, shift_kind="sigma")) < 1e-4


def test_the_loss_per_effect_does_not_reward_small_changes_in_themselves():
    near, far = (torch.tensor(losses(shift=shift)).mean() for shift in (0.1, 1.0))
    near_per_effect, far_per_effect = (
        torch.tensor(losses(shift=shift, per_effect=True)).mean() for shift in (0.1, 1.0)
    )
    assert near_per_effect / far_per_effect > 2 * near / far


@pytest.mark.parametrize("settings", [{"divergence": "rtd-lite"}, {"variant": "min"}, {"shift_kind": "gaussian"}])
def test_every_variant_gives_positive_parts(settings):
    objective = TopDis(GENERATOR, SPAN, dataclasses.replace(SETTINGS, shift=0.25, **settings))
    rng = torch.Generator().manual_seed(2)
    assert min(loss.item() for loss in objective.losses(torch.eye(6), CODES, 0.25, rng)) > 0


def test_a_null_direction_has_a_finite_loss_per_effect():
    values = losses(generate=lambda codes: codes[:, :1] * 0 + torch.arange(24.0)[:, None], per_effect=True)
    assert all(value == value and value < float("inf") for value in values)
