"""The estimators against a brute-force mixture, against enumeration of all batches, and against a Gaussian's TC."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from ganspace_topdis.errors import InvalidArgumentError
from vae.method_options import BetaTCVAEOptions, DIPVAE1Options, DIPVAE2Options, FactorVAEOptions
from vae.methods.independence import (
    DIPVAE1,
    DIPVAE2,
    BetaTCVAE,
    FactorVAE,
    batch_covariance,
    code_discriminator,
    density_ratio_tc,
    discrimination_loss,
    identity_penalty,
    log_densities,
    log_weights,
    permute_latents,
)
from vae.methods.method import StepContext
from vae.networks import Posterior, build_networks


def total_correlation(posterior, weights):
    """As the method does: the mean of log q(z_i) - sum_d log q(z_id), nats."""
    log_joint, log_marginals = log_densities(posterior, weights)
    return (log_joint - log_marginals).mean()


def mixture_tc(posterior, weights):
    """By loops: mean over i of log sum_j w_ij q(z_i|x_j) - sum_d log sum_j w_ij q(z_id|x_j), in float64."""
    mean, std, sample = (t.double() for t in (posterior.mean, (0.5 * posterior.logvar).exp(), posterior.sample))
    size, total = len(mean), 0.0
    for i in range(size):
        each = [Normal(mean[j], std[j]).log_prob(sample[i]).exp() for j in range(size)]
        joint = sum(weights[i][j] * each[j].prod().item() for j in range(size))
        marginals = [sum(weights[i][j] * each[j][d].item() for j in range(size)) for d in range(mean.shape[1])]
        total += math.log(joint) - sum(map(math.log, marginals))
    return total / size


@pytest.mark.parametrize("estimator", ["mss", "mws", "minibatch"])
def test_the_estimate_is_that_of_the_weighted_mixture(posterior, estimator):
    weights = log_weights(12, 1000, estimator)
    expected = mixture_tc(posterior, weights.double().exp().tolist())
    assert total_correlation(posterior, weights).item() == pytest.approx(expected, abs=1e-4)


def test_stratified_weights_make_the_density_unbiased_over_all_batches():
    """The mean over every ordered batch that begins with image 0 is the density of the whole data set, exactly."""
    num_images, batch_size = 6, 3
    density = torch.rand(num_images, dtype=torch.float64, generator=torch.Generator().manual_seed(1))  # q(z_0 | x_n)
    weights = log_weights(batch_size, num_images, "mss").double().exp()
    for row in range(batch_size):
        estimates = []
        for others in permutations(range(1, num_images), batch_size - 1):
            batch = list(others)
            batch.insert(row, 0)
            estimates.append((weights[row] * density[batch]).sum())
        assert torch.stack(estimates).mean().item() == pytest.approx(density.mean().item(), abs=1e-7)


def test_stratified_weights_put_the_own_image_on_the_diagonal_and_sum_to_one():
    weights = log_weights(64, 737_280, "mss").double().exp()
    assert torch.allclose(weights.diagonal(), torch.full((64,), 1 / 737_280, dtype=torch.float64))
    assert torch.allclose(weights.sum(1), torch.ones(64, dtype=torch.float64), atol=1e-6)


def test_stratified_estimates_of_a_gaussian_find_its_total_correlation():
    torch.manual_seed(0)
    covariance, own = torch.tensor([[1.0, 0.7], [0.7, 1.0]]), 0.2
    spread = torch.distributions.MultivariateNormal(torch.zeros(2), covariance - own * torch.eye(2))
    mean = spread.sample((3000,))
    logvar = torch.full_like(mean, math.log(own))
    posterior = Posterior(mean=mean, logvar=logvar, sample=mean + math.sqrt(own) * torch.randn_like(mean))
    exact = -0.5 * math.log(1 - 0.7**2)
    found = total_correlation(posterior, log_weights(3000, 3000, "mss")).item()
    assert found == pytest.approx(exact, abs=0.03)


def test_leaving_the_constants_out_shifts_the_value_by_the_stated_amount(posterior):
    with_constants = total_correlation(posterior, log_weights(12, 1000, "mws")).item()
    without = total_correlation(posterior, log_weights(12, 1000, "minibatch")).item()
    assert without - with_constants == pytest.approx((1 - 3) * math.log(1000 * 12), rel=1e-5)


def test_beta_one_is_the_vae(posterior, spec):
    penalty = BetaTCVAE(BetaTCVAEOptions(beta=1.0), spec).penalty(posterior, 0)
    assert penalty.loss.item() == pytest.approx(penalty.report["kl"].item())


def test_the_penalty_weights_the_total_correlation_by_beta_less_one(posterior, spec):
    penalty = BetaTCVAE(BetaTCVAEOptions(beta=6.0), spec).penalty(posterior, 0)
    expected = penalty.report["kl"] + 5 * penalty.report["tc"]
    assert penalty.loss.item() == pytest.approx(expected.item())


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


def test_the_trained_discriminator_approaches_a_gaussians_total_correlation(spec):
    torch.manual_seed(0)
    spec = type(spec)(**{**vars(spec), "num_latents": 2})
    method = FactorVAE(FactorVAEOptions(permute="same", discriminator_width=32), spec)
    law, generator = MultivariateNormal(torch.zeros(2), COVARIANCE), torch.Generator().manual_seed(0)
    for _ in range(400):
        method.after_step(context(law.sample((256,)), generator))
    codes = law.sample((20_000,))
    with torch.no_grad():
        assert density_ratio_tc(method.discriminator(codes)).item() == pytest.approx(EXACT, abs=0.12)


def test_the_penalty_is_kl_and_weighted_total_correlation(posterior, spec):
    method = FactorVAE(FactorVAEOptions(gamma=5.0, discriminator_width=16), spec)
    penalty = method.penalty(posterior, 0)
    assert penalty.loss.item() == pytest.approx((penalty.report["kl"] + 5 * penalty.report["tc"]).item())


def test_the_penalty_leaves_the_discriminator_alone(posterior, spec):
    method = FactorVAE(FactorVAEOptions(discriminator_width=16), spec)
    codes = posterior.sample.requires_grad_()
    torch.autograd.grad(method.penalty(posterior, 0).loss, codes)
    assert all(parameter.grad is None for parameter in method.discriminator.parameters())


def context(codes, generator):
    model = build_networks("narrow", image_shape=(8, 8, 1), num_latents=2, width=0.05)
    posterior = Posterior(mean=codes, logvar=torch.zeros_like(codes), sample=codes)
    return StepContext(
        model=model,
        optimizer=torch.optim.Adam(model.parameters()),
        posterior=posterior,
        images=torch.zeros(len(codes), 1, 8, 8),
        second_posterior=lambda: posterior,
        generator=generator,
        max_grad_norm=None,
    )


def test_by_default_the_code_discriminator_has_five_hidden_layers_and_the_output():
    layers = [layer for layer in code_discriminator(10) if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in layers] == [1000, 1000, 1000, 1000, 1000, 2]


def test_the_covariance_is_numpys_biased_one(posterior):
    expected = np.cov(posterior.mean.double().numpy(), rowvar=False, bias=True)
    assert torch.allclose(batch_covariance(posterior.mean).double(), torch.from_numpy(expected), atol=1e-6)


def test_the_penalty_is_zero_at_the_identity_and_weighted_elsewhere():
    assert identity_penalty(torch.eye(3), offdiagonal=5, diagonal=7) == 0
    covariance = torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    assert identity_penalty(covariance, offdiagonal=5, diagonal=7).item() == pytest.approx(5 * 2 * 0.25 + 7 * 1)


def test_the_second_kind_adds_the_posterior_variances(posterior, spec):
    means = np.cov(posterior.mean.double().numpy(), rowvar=False, bias=True)
    codes = means + np.diag(posterior.logvar.double().exp().mean(0).numpy())
    for kind, options, covariance in ((DIPVAE1, DIPVAE1Options, means), (DIPVAE2, DIPVAE2Options, codes)):
        deviation = covariance - np.eye(3)
        own = (np.diag(deviation) ** 2).sum()
        penalty = kind(options(lambda_offdiagonal=2.0, lambda_diagonal=3.0), spec).penalty(posterior, 0)
        expected = 2 * ((deviation**2).sum() - own) + 3 * own
        assert (penalty.loss - penalty.report["kl"]).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("layers", [5, 6])
def test_the_code_discriminator_has_as_many_numbers_as_its_layers_need(layers, spec):
    method = FactorVAE(FactorVAEOptions(discriminator_layers=layers, discriminator_weights="normal"), spec)
    expected = (3 * 1000 + 1000) + (layers - 1) * (1000 * 1000 + 1000) + (2 * 1000 + 2)
    assert sum(parameter.numel() for parameter in method.discriminator.parameters()) == expected
    for layer in method.discriminator:
        if isinstance(layer, nn.Linear):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert not layer.bias.any()


def test_only_the_total_correlation_of_factor_vae_is_ramped_on_request(posterior, spec):
    penalty = FactorVAE(FactorVAEOptions(gamma=7.0, ramp="tc"), spec).penalty(posterior, 0)
    assert torch.equal(penalty.constant, penalty.report["kl"])
    assert torch.equal(penalty.loss, 7 * penalty.report["tc"])


@pytest.mark.parametrize("estimator", ["mss", "mws"])
def test_only_the_dimension_wise_kl_of_beta_tcvae_is_ramped_on_request(posterior, spec, estimator):
    whole = BetaTCVAE(BetaTCVAEOptions(beta=3.0, estimator=estimator), spec).penalty(posterior, 0)
    parts = BetaTCVAE(BetaTCVAEOptions(beta=3.0, estimator=estimator, ramp="kl"), spec).penalty(posterior, 0)
    assert (parts.loss + parts.constant).item() == pytest.approx(whole.loss.item(), rel=1e-5)
    weights = log_weights(len(posterior.mean), spec.num_images, estimator)
    scale = (0.5 * posterior.logvar).exp()
    each = Normal(posterior.mean, scale).log_prob(posterior.sample[:, None])
    marginals = torch.logsumexp(weights[:, :, None] + each, dim=1).sum(dim=1)
    expected = (marginals - Normal(0, 1).log_prob(posterior.sample).sum(dim=1)).mean()
    assert parts.loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_batch_larger_than_the_data_set_is_refused_by_the_stratified_estimator() -> None:
    assert torch.isfinite(log_weights(64, 64, "mss")).all()
    with pytest.raises(InvalidArgumentError, match=r"draws 63 other images, but .* has 20; lower .* 21, or choose mws"):
        log_weights(64, 20, "mss")
