"""The estimators against a brute-force mixture, against enumeration of all batches, and against a Gaussian's TC."""

import math
from itertools import permutations

import pytest
import torch
from torch.distributions import Normal

from ganspace_topdis.errors import InvalidArgumentError
from vae.networks import Posterior
from vae.objectives.beta_tcvae import BetaTCVAE, log_weights, total_correlation


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


def test_beta_one_is_the_vae(posterior, problem):
    penalty = BetaTCVAE(BetaTCVAE.Options(beta=1.0), problem).penalty(posterior, 0)
    assert penalty.loss.item() == pytest.approx(penalty.report["kl"].item())


def test_the_penalty_weights_the_total_correlation_by_beta_less_one(posterior, problem):
    penalty = BetaTCVAE(BetaTCVAE.Options(beta=6.0), problem).penalty(posterior, 0)
    expected = penalty.report["kl"] + 5 * penalty.report["tc"]
    assert penalty.loss.item() == pytest.approx(expected.item())


def test_an_unknown_estimator_is_refused():
    with pytest.raises(InvalidArgumentError, match="mss, mws, minibatch"):
        BetaTCVAE.Options(estimator="mis")
