import pytest
import torch
from torch.distributions import Normal, kl_divergence

from ganspace_topdis.errors import InvalidArgumentError
from vae.objectives.beta_vae import BetaVAE, PlainVAE


def kl(posterior):
    return kl_divergence(Normal(posterior.mean, (0.5 * posterior.logvar).exp()), Normal(0.0, 1.0)).sum(1).mean().item()


def test_the_vae_adds_the_kl_divergence(posterior, problem):
    penalty = PlainVAE(PlainVAE.Options(), problem).penalty(posterior, 0)
    assert penalty.loss.item() == pytest.approx(kl(posterior), rel=1e-5)


def test_beta_multiplies_the_kl_divergence(posterior, problem):
    penalty = BetaVAE(BetaVAE.Options(beta=7.0), problem).penalty(posterior, 0)
    assert penalty.loss.item() == pytest.approx(7 * kl(posterior), rel=1e-5)
    assert torch.as_tensor(penalty.report["kl"]).item() == pytest.approx(kl(posterior), rel=1e-5)


@pytest.mark.parametrize("beta", [-1.0, float("nan"), float("inf")])
def test_a_beta_that_is_no_weight_is_refused(beta):
    with pytest.raises(InvalidArgumentError, match="beta"):
        BetaVAE.Options(beta=beta)
