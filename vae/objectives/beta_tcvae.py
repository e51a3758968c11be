"""beta-TCVAE: reconstruction + KL + (beta - 1) TC, the total correlation estimated on the batch (Chen et al. 2018).

With z_i ~ q(z | x_i) for the i-th of B images out of N, weights w_ij, and M = B - 1,

    log q(z_i) ~ log sum_j w_ij q(z_i | x_j)      log q(z_id) ~ log sum_j w_ij q(z_id | x_j)
    TC ~ mean_i [log q(z_i) - sum_d log q(z_id)]

    mss        stratified: w_ii = 1/N, (N - M)/(N M) for one other j, 1/M for the rest; rows sum to 1
               (Chen et al. 2018, appendix C.2; their released matrix, and every copy of it that was looked at, puts
               1/N in column 0 instead of on the diagonal, and one of its rows sums to more than 1)
    mws        minibatch-weighted: w_ij = 1/(N B)
    minibatch  w_ij = 1 (disentanglement_lib): mws up to a constant, enough for the gradient; the value is too large
               by (1 - D) log(N B)
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from vae.networks.autoencoder import Posterior
from vae.objectives.objective import Objective, Penalty
from vae.objectives.options import require, require_at_least
from vae.objectives.terms import gaussian_kl

__all__ = ["BetaTCVAE", "Estimator", "log_weights", "total_correlation"]

Estimator = Literal["mss", "mws", "minibatch"]


def log_weights(batch_size: int, num_images: int, estimator: Estimator) -> Tensor:
    """log w_ij, (B, B); see the module.

    >>> log_weights(4, 100, "mss").exp().sum(dim=1)
    tensor([1.0000, 1.0000, 1.0000, 1.0000])
    """
    if estimator == "minibatch":
        return torch.zeros(batch_size, batch_size)
    if estimator == "mws":
        return torch.full((batch_size, batch_size), -math.log(num_images * batch_size))
    others = batch_size - 1
    weights = torch.full((batch_size, batch_size), 1 / others)
    rows = torch.arange(batch_size)
    weights[rows, rows] = 1 / num_images
    weights[rows, (rows + 1) % batch_size] = (num_images - others) / (num_images * others)
    return weights.log()


def total_correlation(posterior: Posterior, weights: Tensor) -> Tensor:
    """TC of the module, nats: a posterior of (B, D) and log-weights (B, B) -> a scalar."""
    deviation = posterior.sample[:, None] - posterior.mean
    density = -0.5 * (deviation.square() * (-posterior.logvar).exp() + posterior.logvar + math.log(2 * math.pi))
    joint = torch.logsumexp(weights + density.sum(dim=2), dim=1)
    marginals = torch.logsumexp(weights[:, :, None] + density, dim=1)
    return (joint - marginals.sum(dim=1)).mean()


class BetaTCVAE(Objective):
    """Reconstruction + KL + (beta - 1) TC."""

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """beta: weight of the total correlation; estimator: "mss", "mws" or "minibatch"."""

        beta: float = 6.0
        estimator: Estimator = "mss"

        def __post_init__(self) -> None:
            require_at_least(0, beta=self.beta)
            allowed = get_args(Estimator)
            require(self.estimator in allowed, "estimator", self.estimator, ", ".join(allowed))

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """KL + (beta - 1) TC."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        weights = log_weights(len(posterior.mean), self.problem.num_images, self.options.estimator)
        tc = total_correlation(posterior, weights.to(posterior.mean))
        return Penalty(loss=kl + (self.options.beta - 1) * tc, report={"kl": kl, "tc": tc})
