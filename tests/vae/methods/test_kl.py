import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vae.method_options import AnnealedVAEOptions, BetaVAEOptions, ControlVAEOptions, PlainVAEOptions
from vae.methods.kl import AnnealedVAE, BetaVAE, Controller, ControlVAE, PlainVAE, linear_capacity, stepped_capacity


def kl(posterior):
    return kl_divergence(Normal(posterior.mean, (0.5 * posterior.logvar).exp()), Normal(0.0, 1.0)).sum(1).mean().item()


def test_the_vae_adds_the_kl_divergence(posterior, spec):
    penalty = PlainVAE(PlainVAEOptions(), spec).penalty(posterior, 0)
    assert penalty.loss.item() == pytest.approx(kl(posterior), rel=1e-5)


def test_beta_multiplies_the_kl_divergence(posterior, spec):
    penalty = BetaVAE(BetaVAEOptions(beta=7.0), spec).penalty(posterior, 0)
    assert penalty.loss.item() == pytest.approx(7 * kl(posterior), rel=1e-5)
    assert torch.as_tensor(penalty.report["kl"]).item() == pytest.approx(kl(posterior), rel=1e-5)


def test_the_capacity_grows_linearly_and_stays():
    assert [linear_capacity(step, 50.0, 1000) for step in (0, 250, 1000, 5000)] == [0, 12.5, 50, 50]
    assert linear_capacity(0, 50.0, 0) == 50


@pytest.mark.parametrize("capacity", [0.0, 100.0])
def test_the_penalty_is_the_weighted_distance_to_the_capacity_from_either_side(posterior, spec, capacity):
    method = AnnealedVAE(AnnealedVAEOptions(gamma=3.0, capacity=capacity, capacity_steps=0), spec)
    penalty = method.penalty(posterior, 0)
    distance = abs(penalty.report["kl"].item() - capacity)
    assert distance > 1
    assert penalty.loss.item() == pytest.approx(3 * distance)
    assert penalty.report["capacity"] == capacity


GAINS = {"proportional": 0.01, "integral": -0.001, "floor": 1.0}


def test_the_controller_follows_the_published_recurrence():
    """Worked by hand: three errors below zero raise I, one above lowers it."""
    integral, controller = 0.0, Controller()
    for error in (-2.0, -1.0, -4.0, 3.0):
        integral += -0.001 * error
        controller = controller.move(error, **GAINS)
        assert controller.integral == pytest.approx(integral)
        assert controller.raw == pytest.approx(0.01 / (1 + math.exp(error)) + 1 + integral)
    assert integral == pytest.approx(0.004)


def test_the_integral_is_frozen_below_the_floor():
    controller = Controller()
    for _ in range(100):
        controller = controller.move(50.0, **GAINS)
    assert controller.raw < 1
    assert controller.integral == pytest.approx(-0.05)  # one step down, and no further


def test_the_controller_brings_a_plant_to_its_target():
    """KL = 10 / beta, target 4: beta must settle at 2.5."""
    controller = Controller()
    beta = 1.0
    for _ in range(5000):
        controller = controller.move(4.0 - 10 / beta, **GAINS)
        beta = max(controller.raw, 1.0)
    assert beta == pytest.approx(2.5, rel=1e-3)


def test_huge_errors_do_not_overflow():
    assert math.isfinite(Controller().move(1e6, **GAINS).raw)
    assert math.isfinite(Controller().move(-1e6, **GAINS).raw)


def test_the_capacity_rises_in_steps_up_to_the_last():
    values = [stepped_capacity(s, start=0.5, increase=0.15, every=5000, capacity=16) for s in (4999, 5000, 600_000)]
    assert values == pytest.approx([0.5, 0.65, 16])


def test_the_weight_of_the_penalty_is_the_controllers(posterior, spec):
    method = ControlVAE(ControlVAEOptions(kp=1.0), spec)
    penalty = method.penalty(posterior, 0)
    assert penalty.report["beta"] > 1.5
    assert penalty.loss.item() == pytest.approx(penalty.report["beta"] * penalty.report["kl"].item())


def test_a_controller_goes_on_from_its_state(posterior, spec):
    first, second = (ControlVAE(ControlVAEOptions(), spec) for _ in range(2))
    first.penalty(posterior, 0)
    second.load_state(first.state())
    assert second.penalty(posterior, 1) == first.penalty(posterior, 1)
