import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from vae.networks import build_networks
from vae.objectives.factor_vae import FactorVAE, density_ratio_tc, discrimination_loss, permute_latents
from vae.objectives.objective import StepDone

COVARIANCE = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
EXACT = -0.5 * math.log(1 - 0.8**2)


def test_permuted_codes_keep_every_marginal_and_lose_the_correlation():
    codes = MultivariateNormal(torch.zeros(2), COVARIANCE).sample((4000,))
    permuted = permute_latents(codes, torch.Generator().manual_seed(0))
    assert torch.equal(permuted.sort(dim=0).values, codes.sort(dim=0).values)
    assert abs(torch.corrcoef(permuted.T)[0, 1].item()) < 0.06


def test_the_best_discriminators_logits_give_a_gaussians_total_correlation():
    torch.manual_seed(0)
    law = MultivariateNormal(torch.zeros(2), COVARIANCE)
    codes = law.sample((50_000,))
    logits = torch.stack([law.log_prob(codes), Normal(0.0, 1.0).log_prob(codes).sum(1)], dim=1)
    assert density_ratio_tc(logits).item() == pytest.approx(EXACT, abs=0.02)


def test_a_discriminator_that_knows_nothing_loses_log_two():
    assert discrimination_loss(torch.zeros(5, 2), torch.zeros(5, 2)).item() == pytest.approx(math.log(2))
    right, wrong = torch.tensor([[9.0, -9.0]]), torch.tensor([[-9.0, 9.0]])
    assert discrimination_loss(right, wrong) < 1e-6 < discrimination_loss(wrong, right)


def test_the_trained_discriminator_approaches_a_gaussians_total_correlation(problem):
    torch.manual_seed(0)
    problem = type(problem)(**{**vars(problem), "num_latents": 2})
    objective = FactorVAE(FactorVAE.Options(permute="same", discriminator_width=32), problem)
    law, generator = MultivariateNormal(torch.zeros(2), COVARIANCE), torch.Generator().manual_seed(0)
    for step in range(400):
        objective.after_step(done(law.sample((256,)), step, generator))
    codes = law.sample((20_000,))
    with torch.no_grad():
        assert density_ratio_tc(objective.discriminator(codes)).item() == pytest.approx(EXACT, abs=0.12)


def test_the_penalty_is_kl_and_weighted_total_correlation(posterior, problem):
    objective = FactorVAE(FactorVAE.Options(gamma=5.0, discriminator_width=16), problem)
    penalty = objective.penalty(posterior, 0)
    assert penalty.loss.item() == pytest.approx((penalty.report["kl"] + 5 * penalty.report["tc"]).item())


def test_the_penalty_leaves_the_discriminator_alone(posterior, problem):
    objective = FactorVAE(FactorVAE.Options(discriminator_width=16), problem)
    codes = posterior.sample.requires_grad_()
    torch.autograd.grad(objective.penalty(posterior, 0).loss, codes)
    assert all(parameter.grad is None for parameter in objective.discriminator.parameters())


def done(codes, step, generator):
    from vae.networks import Posterior

    model = build_networks("narrow", image_shape=(8, 8, 1), num_latents=2, width=0.05)
    posterior = Posterior(mean=codes, logvar=torch.zeros_like(codes), sample=codes)
    return StepDone(
        step=step,
        model=model,
        optimizer=torch.optim.Adam(model.parameters()),
        posterior=posterior,
        images=torch.zeros(len(codes), 1, 8, 8),
        second_posterior=lambda: posterior,
        generator=generator,
        max_grad_norm=None,
    )
