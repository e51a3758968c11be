"""VAE and beta-VAE: reconstruction + beta KL (Kingma and Welling 2014; Higgins et al. 2017); beta = 1 is the VAE."""

from dataclasses import dataclass

from vae.networks.autoencoder import Posterior
from vae.objectives.objective import Objective, Penalty
from vae.objectives.options import require_at_least
from vae.objectives.terms import gaussian_kl

__all__ = ["BetaVAE", "PlainVAE"]


class PlainVAE(Objective):
    """Reconstruction + KL."""

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """The VAE has none."""

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """KL."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        return Penalty(loss=kl, report={"kl": kl})


class BetaVAE(Objective):
    """Reconstruction + beta KL."""

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """beta: weight of the KL divergence."""

        beta: float = 4.0

        def __post_init__(self) -> None:
            require_at_least(0, beta=self.beta)

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """beta KL."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        return Penalty(loss=self.options.beta * kl, report={"kl": kl})
