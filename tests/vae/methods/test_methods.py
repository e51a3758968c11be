import dataclasses
import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from vae.methods import METHODS, create_method
from vae.methods.method import gaussian_kl, reconstruction_loss


@pytest.mark.parametrize("method", METHODS)
def test_every_method_adds_a_finite_differentiable_penalty_and_reports_kl(method, posterior, spec):
    method = create_method(method, {}, spec)
    mean = posterior.mean.clone().requires_grad_()
    moved = dataclasses.replace(posterior, mean=mean, sample=posterior.sample + mean - posterior.mean)
    penalty = method.penalty(moved, 10)
    (gradient,) = torch.autograd.grad(penalty.loss, mean)
    assert torch.isfinite(gradient).all()
    assert gradient.any()
    assert torch.as_tensor(penalty.report["kl"]) > 0


def test_kl_is_that_of_the_distributions():
    torch.manual_seed(0)
    mean, logvar = torch.randn(50, 4), torch.randn(50, 4)
    expected = kl_divergence(Normal(mean, (0.5 * logvar).exp()), Normal(0.0, 1.0)).mean(0)
    assert torch.allclose(gaussian_kl(mean, logvar), expected, atol=1e-5)


def test_kl_of_the_prior_is_zero():
    assert gaussian_kl(torch.zeros(3, 2), torch.zeros(3, 2)).tolist() == [0, 0]


def test_bernoulli_reconstruction_is_summed_over_pixels_and_averaged_over_the_batch():
    logits = torch.tensor([0.0, math.log(3.0)]).reshape(1, 1, 1, 2).expand(5, 1, 1, 2)
    images = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2).expand(5, 1, 1, 2)
    assert reconstruction_loss(logits, images).item() == pytest.approx(math.log(2) + math.log(4))


def test_gaussian_reconstruction_is_the_squared_error_of_the_probabilities():
    logits = torch.tensor([0.0, math.log(3.0)]).reshape(1, 1, 1, 2).expand(2, 1, 1, 2)
    images = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2).expand(2, 1, 1, 2)
    assert reconstruction_loss(logits, images, "gaussian").item() == pytest.approx(0.25 + 0.5625)
