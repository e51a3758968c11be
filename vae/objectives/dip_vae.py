"""DIP-VAE: reconstruction + KL + a pull of the codes' covariance towards the identity (Kumar et al. 2018).

    lambda_offdiagonal sum_{i != j} Cov_ij^2 + lambda_diagonal sum_i (Cov_ii - 1)^2

DIP-VAE-I takes the covariance of the means, DIP-VAE-II that of the codes, Cov[mean] + E[diag(var)]. Covariances are
of the batch and biased (divided by B), as in disentanglement_lib.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vae.networks.autoencoder import Posterior
from vae.objectives.objective import Objective, Penalty
from vae.objectives.options import require_at_least
from vae.objectives.terms import gaussian_kl

__all__ = ["DIPVAE1", "DIPVAE2", "batch_covariance", "identity_penalty"]


def batch_covariance(values: Tensor) -> Tensor:
    """The biased covariance (D, D) of rows (B, D)."""
    centred = values - values.mean(dim=0)
    return centred.T @ centred / len(values)


def identity_penalty(covariance: Tensor, *, offdiagonal: float, diagonal: float) -> Tensor:
    """The weighted squared distance of a covariance (D, D) from the identity; see the module."""
    deviation = covariance - torch.eye(len(covariance), device=covariance.device, dtype=covariance.dtype)
    own = deviation.diagonal().square().sum()
    return offdiagonal * (deviation.square().sum() - own) + diagonal * own


class _DIPVAE(Objective):
    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """KL + the pull."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        options = self.options
        pull = identity_penalty(
            self._covariance(posterior), offdiagonal=options.lambda_offdiagonal, diagonal=options.lambda_diagonal
        )
        return Penalty(loss=kl + pull, report={"kl": kl, "covariance": pull})

    def _covariance(self, posterior: Posterior) -> Tensor:
        raise NotImplementedError


class DIPVAE1(_DIPVAE):
    """DIP-VAE-I: the covariance of the means."""

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """lambda_offdiagonal, lambda_diagonal: the weights of the module's formula."""

        lambda_offdiagonal: float = 5.0
        lambda_diagonal: float = 50.0

        def __post_init__(self) -> None:
            require_at_least(0, lambda_offdiagonal=self.lambda_offdiagonal, lambda_diagonal=self.lambda_diagonal)

    def _covariance(self, posterior: Posterior) -> Tensor:
        return batch_covariance(posterior.mean)


class DIPVAE2(_DIPVAE):
    """DIP-VAE-II: the covariance of the codes."""

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """lambda_offdiagonal, lambda_diagonal: the weights of the module's formula."""

        lambda_offdiagonal: float = 5.0
        lambda_diagonal: float = 5.0

        def __post_init__(self) -> None:
            require_at_least(0, lambda_offdiagonal=self.lambda_offdiagonal, lambda_diagonal=self.lambda_diagonal)

    def _covariance(self, posterior: Posterior) -> Tensor:
        return batch_covariance(posterior.mean) + torch.diag(posterior.logvar.exp().mean(dim=0))
