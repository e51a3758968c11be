import dataclasses

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from vae.objectives.methods import METHODS, complete_options, create_objective


@pytest.mark.parametrize("method", METHODS)
def test_every_method_adds_a_finite_differentiable_penalty_and_reports_kl(method, posterior, problem):
    objective = create_objective(method, {}, problem)
    mean = posterior.mean.clone().requires_grad_()
    moved = dataclasses.replace(posterior, mean=mean, sample=posterior.sample + mean - posterior.mean)
    penalty = objective.penalty(moved, 10)
    (gradient,) = torch.autograd.grad(penalty.loss, mean)
    assert torch.isfinite(gradient).all()
    assert gradient.any()
    assert torch.as_tensor(penalty.report["kl"]) > 0


def test_options_are_completed_by_the_methods_defaults():
    assert complete_options("annealed-vae", {"capacity": 10.0}) == {
        "gamma": 1000.0,
        "capacity": 10.0,
        "capacity_steps": 100_000,
    }


def test_an_unknown_option_is_refused_with_the_nearest_one():
    with pytest.raises(InvalidArgumentError, match="the nearest one is gamma"):
        complete_options("factor-vae", {"gama": 3.0})


def test_an_unknown_method_is_refused():
    with pytest.raises(InvalidArgumentError, match="infovae"):
        complete_options("infovae", {})
