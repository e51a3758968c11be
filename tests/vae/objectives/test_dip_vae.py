import numpy as np
import pytest
import torch

from vae.objectives.dip_vae import DIPVAE1, DIPVAE2, batch_covariance, identity_penalty


def test_the_covariance_is_numpys_biased_one(posterior):
    expected = np.cov(posterior.mean.double().numpy(), rowvar=False, bias=True)
    assert torch.allclose(batch_covariance(posterior.mean).double(), torch.from_numpy(expected), atol=1e-6)


def test_the_pull_is_zero_at_the_identity_and_weighted_elsewhere():
    assert identity_penalty(torch.eye(3), offdiagonal=5, diagonal=7) == 0
    covariance = torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    assert identity_penalty(covariance, offdiagonal=5, diagonal=7).item() == pytest.approx(5 * 2 * 0.25 + 7 * 1)


def test_the_second_kind_adds_the_posterior_variances(posterior, problem):
    means = np.cov(posterior.mean.double().numpy(), rowvar=False, bias=True)
    codes = means + np.diag(posterior.logvar.double().exp().mean(0).numpy())
    for kind, covariance in ((DIPVAE1, means), (DIPVAE2, codes)):
        deviation = covariance - np.eye(3)
        own = (np.diag(deviation) ** 2).sum()
        penalty = kind(kind.Options(lambda_offdiagonal=2.0, lambda_diagonal=3.0), problem).penalty(posterior, 0)
        expected = 2 * ((deviation**2).sum() - own) + 3 * own
        assert (penalty.loss - penalty.report["kl"]).item() == pytest.approx(expected, rel=1e-4)
