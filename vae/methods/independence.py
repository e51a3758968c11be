"""Methods that penalize dependence between the latents: beta-TCVAE, FactorVAE and DIP-VAE.

beta-TCVAE (Chen et al. 2018): KL + (beta - 1) TC. With z_i ~ q(z | x_i) for the i-th of B images out of N, weights
w_ij, and M = B - 1, the total correlation is estimated on the batch:

    log q(z_i) ~ log sum_j w_ij q(z_i | x_j)      log q(z_id) ~ log sum_j w_ij q(z_id | x_j)
    TC ~ mean_i [log q(z_i) - sum_d log q(z_id)]

    mss        minibatch-stratified: w_ii = 1/N, (N - M)/(N M) for one other j, 1/M for the rest; rows sum to 1
               (appendix C.2; the released matrix puts 1/N in column 0 instead of on the diagonal, and one of its rows
               sums to more than 1)
    mws        minibatch-weighted: w_ij = 1/(N B)
    minibatch  w_ij = 1 (disentanglement_lib): mws up to a constant, so the gradient is the same; the value is too
               large by (1 - D) log(N B)

With `ramp` "kl", only the dimension-wise KL divergence, mean_i [sum_d log q(z_id) - log p(z_i)], is ramped (Dubois).

FactorVAE (Kim and Mnih 2018): KL + gamma TC. A discriminator D separates codes of the aggregate posterior q(z) (class
0) from codes whose latents were each permuted over the batch (class 1), which follow the product of the marginals. Its
log-ratio, from logits D_0 and D_1, estimates TC = KL(q(z) || prod_j q(z_j)):

    TC ~ mean(D_0(z) - D_1(z))                 D minimizes (CE(D(z), 0) + CE(D(permuted), 1)) / 2

The permuted codes come from a second batch (the paper) or from the same one (disentanglement_lib).

DIP-VAE (Kumar et al. 2018): KL + a penalty that pulls the covariance of the codes toward the identity:

    lambda_offdiagonal sum_{i != j} Cov_ij^2 + lambda_diagonal sum_i (Cov_ii - 1)^2

DIP-VAE-I uses the covariance of the means, DIP-VAE-II that of the codes, Cov[mean] + E[diag(var)]. Covariances are
biased estimates on the batch (divided by B), as in disentanglement_lib.
"""

import math
from abc import abstractmethod
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganspace_topdis.errors import InvalidArgumentError
from vae.flat_adam import FlatAdam
from vae.method_options import BetaTCVAEOptions, DIPVAE1Options, Estimator, FactorVAEOptions
from vae.methods.method import DataSpec, Method, Penalty, StepContext, gaussian_kl
from vae.networks.autoencoder import Posterior
from vae.networks.layers import draw_initial_weights

__all__ = [
    "DIPVAE1",
    "DIPVAE2",
    "BetaTCVAE",
    "FactorVAE",
    "batch_covariance",
    "code_discriminator",
    "density_ratio_tc",
    "discrimination_loss",
    "identity_penalty",
    "log_densities",
    "log_weights",
    "permute_latents",
]

_LEAKY_SLOPE = 0.2


class BetaTCVAE(Method):
    """beta-TCVAE: reconstruction + KL + (beta - 1) TC."""

    options: BetaTCVAEOptions

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """Return KL + (beta - 1) TC."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        weights = log_weights(len(posterior.mean), self.spec.num_images, self.options.estimator)
        log_joint, log_marginals = log_densities(posterior, weights.to(posterior.mean))
        tc = (log_joint - log_marginals).mean()
        report = {"kl": kl, "tc": tc}
        if self.options.ramp == "kl":
            dimension_wise = (log_marginals - _log_prior(posterior.sample)).mean()
            return Penalty(
                loss=dimension_wise, constant=kl + (self.options.beta - 1) * tc - dimension_wise, report=report
            )
        return Penalty(loss=kl + (self.options.beta - 1) * tc, report=report)


def log_weights(batch_size: int, num_images: int, estimator: Estimator) -> Tensor:
    """Return log w_ij, (B, B); see the module.

    Raises:
        InvalidArgumentError: a batch for "mss" is larger than the data set.

    >>> log_weights(4, 100, "mss").exp().sum(dim=1)
    tensor([1.0000, 1.0000, 1.0000, 1.0000])
    """
    if estimator == "minibatch":
        return torch.zeros(batch_size, batch_size)
    if estimator == "mws":
        return torch.full((batch_size, batch_size), -math.log(num_images * batch_size))
    others = batch_size - 1
    if num_images < others:
        raise InvalidArgumentError(
            f"`estimator` mss draws {others} other images, but the data set has {num_images}; lower `batch_size` to at "
            f"most {num_images + 1}, or choose mws",
            field="estimator",
        )
    weights = torch.full((batch_size, batch_size), 1 / others)
    rows = torch.arange(batch_size)
    weights[rows, rows] = 1 / num_images
    weights[rows, (rows + 1) % batch_size] = (num_images - others) / (num_images * others)
    return weights.log()


def log_densities(posterior: Posterior, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the estimates of log q(z_i) and sum_d log q(z_id), (B,) each, of a posterior and log-weights (B, B)."""
    deviation = posterior.sample[:, None] - posterior.mean
    density = -0.5 * (deviation.square() * (-posterior.logvar).exp() + posterior.logvar + math.log(2 * math.pi))
    joint = torch.logsumexp(weights + density.sum(dim=2), dim=1)
    marginals = torch.logsumexp(weights[:, :, None] + density, dim=1)
    return joint, marginals.sum(dim=1)


def _log_prior(codes: Tensor) -> Tensor:
    """Return log N(z; 0, 1) of codes (B, D): (B,)."""
    return -0.5 * (codes.square() + math.log(2 * math.pi)).sum(dim=1)


class FactorVAE(Method):
    """FactorVAE: reconstruction + KL + gamma TC."""

    options: FactorVAEOptions

    def __init__(self, options: FactorVAEOptions, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.discriminator = code_discriminator(
            spec.num_latents, width=options.discriminator_width, num_hidden=options.discriminator_layers
        )
        draw_initial_weights(self.discriminator, options.discriminator_weights)
        self.discriminator.to(spec.device)
        first, second = options.discriminator_betas
        self._optimizer = FlatAdam(
            self.discriminator.parameters(),
            lr=options.discriminator_rate or spec.learning_rate,
            betas=(first, second),
        )

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """Return KL + gamma TC."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        tc = density_ratio_tc(self.discriminator(posterior.sample))
        report = {"kl": kl, "tc": tc}
        if self.options.ramp == "tc":
            return Penalty(loss=self.options.gamma * tc, constant=kl, report=report)
        return Penalty(loss=kl + self.options.gamma * tc, report=report)

    def after_step(self, context: StepContext) -> dict[str, Tensor | float]:
        """Train the discriminator on the codes from before the step."""
        codes = context.posterior.sample
        others = codes if self.options.permute == "same" else context.second_posterior().sample
        permuted = permute_latents(others, context.generator)
        logits, permuted_logits = self.discriminator(torch.cat([codes, permuted])).split([len(codes), len(permuted)])
        loss = discrimination_loss(logits, permuted_logits)
        self._optimizer.step(self._optimizer.flatten(torch.autograd.grad(loss, self._optimizer.parameters)))
        correct = (logits[:, 0] > logits[:, 1]).sum() + (permuted_logits[:, 1] > permuted_logits[:, 0]).sum()
        return {"discriminator_loss": loss.detach(), "discriminator_accuracy": correct / (2 * len(codes))}

    def state(self) -> dict[str, Any]:
        """Return the discriminator and its optimizer."""
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.discriminator.load_state_dict(state["discriminator"])
        self._optimizer.load_state_dict(state["optimizer"])


def code_discriminator(num_latents: int, *, width: int = 1000, num_hidden: int = 5) -> nn.Sequential:
    """Return FactorVAE's discriminator: codes (B, D) -> logits (B, 2), class 0 for q(z), class 1 for permuted codes.

    Leaky ReLU of slope 0.2. Kim and Mnih 2018 describe six layers. 1Konny's code (model.py 12 to 22) and
    disentangling-vae (disvae/models/discriminator.py 51 to 56) have five hidden layers and the output, six in total;
    disentanglement_lib (methods/shared/architectures.py 311 to 317) and TopDis (FactorVAE_TopDis/model.py 14 to 26)
    have six hidden layers and the output.
    """
    sizes = [num_latents, *[width] * num_hidden]
    hidden = [layer for ins, outs in pairwise(sizes) for layer in (nn.Linear(ins, outs), nn.LeakyReLU(_LEAKY_SLOPE))]
    return nn.Sequential(*hidden, nn.Linear(width, 2))


def permute_latents(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Permute each latent of codes (B, D) over the batch, independently of the others."""
    order = torch.rand(codes.shape, generator=generator, device=codes.device).argsort(dim=0)
    return codes.gather(0, order)


def density_ratio_tc(logits: Tensor) -> Tensor:
    """Return the total correlation, nats, from the discriminator's logits (B, 2) of codes of q(z)."""
    return (logits[:, 0] - logits[:, 1]).mean()


def discrimination_loss(logits: Tensor, permuted_logits: Tensor) -> Tensor:
    """Return the discriminator's loss from logits (B, 2) of codes of q(z) and of permuted codes."""
    joint = logits.new_zeros(len(logits), dtype=torch.long)
    return 0.5 * (F.cross_entropy(logits, joint) + F.cross_entropy(permuted_logits, torch.ones_like(joint)))


class _DIPVAE(Method):
    options: DIPVAE1Options

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """Return KL + the weighted distance of the covariance from the identity."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        options = self.options
        distance = identity_penalty(
            self._covariance(posterior), offdiagonal=options.lambda_offdiagonal, diagonal=options.lambda_diagonal
        )
        return Penalty(loss=kl + distance, report={"kl": kl, "covariance": distance})

    @abstractmethod
    def _covariance(self, posterior: Posterior) -> Tensor: ...


class DIPVAE1(_DIPVAE):
    """DIP-VAE-I: penalizes the covariance of the means."""

    def _covariance(self, posterior: Posterior) -> Tensor:
        return batch_covariance(posterior.mean)


class DIPVAE2(_DIPVAE):
    """DIP-VAE-II: penalizes the covariance of the codes."""

    def _covariance(self, posterior: Posterior) -> Tensor:
        return batch_covariance(posterior.mean) + torch.diag(posterior.logvar.exp().mean(dim=0))


def batch_covariance(values: Tensor) -> Tensor:
    """Return the biased covariance (D, D) of rows (B, D)."""
    centered = values - values.mean(dim=0)
    return centered.T @ centered / len(values)


def identity_penalty(covariance: Tensor, *, offdiagonal: float, diagonal: float) -> Tensor:
    """Return the weighted squared distance of a covariance (D, D) from the identity; see the module."""
    deviation = covariance - torch.eye(len(covariance), device=covariance.device, dtype=covariance.dtype)
    own = deviation.diagonal().square().sum()
    return offdiagonal * (deviation.square().sum() - own) + diagonal * own
