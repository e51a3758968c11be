"""FactorVAE: reconstruction + KL + gamma TC, the total correlation estimated by a discriminator (Kim and Mnih 2018).

The discriminator D tells codes of the aggregate posterior q(z) (class 0) from codes whose every latent was
permuted over the batch by itself (class 1), which follow the product of the marginals. With logits D_0, D_1 its
log-ratio estimates TC = KL(q(z) || prod_j q(z_j)):

    TC ~ mean(D_0(z) - D_1(z))                 D minimises (CE(D(z), 0) + CE(D(permuted), 1)) / 2

The permuted codes come from a second batch (the paper) or from the same one (disentanglement_lib).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from vae.networks.autoencoder import Posterior
from vae.networks.discriminators import code_discriminator
from vae.objectives.objective import Objective, Penalty, Problem, StepDone
from vae.objectives.options import require, require_at_least
from vae.objectives.terms import gaussian_kl

__all__ = ["FactorVAE", "density_ratio_tc", "discrimination_loss", "permute_latents"]


def permute_latents(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Codes (B, D) with every latent permuted over the batch by itself."""
    order = torch.rand(codes.shape, generator=generator, device=codes.device).argsort(dim=0)
    return codes.gather(0, order)


def density_ratio_tc(logits: Tensor) -> Tensor:
    """Total correlation, nats, from the discriminator's logits (B, 2) of codes of q(z)."""
    return (logits[:, 0] - logits[:, 1]).mean()


def discrimination_loss(logits: Tensor, permuted_logits: Tensor) -> Tensor:
    """The discriminator's loss: (B, 2) logits of codes of q(z), and of permuted ones."""
    joint = logits.new_zeros(len(logits), dtype=torch.long)
    return 0.5 * (F.cross_entropy(logits, joint) + F.cross_entropy(permuted_logits, torch.ones_like(joint)))


class FactorVAE(Objective):
    """Reconstruction + KL + gamma TC."""

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """Settings.

        Attributes:
            gamma: weight of the total correlation.
            permute: whose codes are permuted, those of a "second" batch or of the "same".
            discriminator_rate: the discriminator's learning rate; None takes the autoencoder's.
            discriminator_betas: its Adam's.
            discriminator_width: its hidden sizes.
        """

        gamma: float = 6.4
        permute: Literal["second", "same"] = "second"
        discriminator_rate: float | None = None
        discriminator_betas: Sequence[float] = (0.5, 0.9)
        discriminator_width: int = 1000

        def __post_init__(self) -> None:
            require_at_least(0, gamma=self.gamma)
            require(self.permute in ("second", "same"), "permute", self.permute, "'second' or 'same'")
            require_at_least(1, discriminator_width=self.discriminator_width)
            object.__setattr__(self, "discriminator_betas", tuple(self.discriminator_betas))

    def __init__(self, options: Any, problem: Problem) -> None:
        super().__init__(options, problem)
        self.discriminator = code_discriminator(problem.num_latents, width=options.discriminator_width).to(
            problem.device
        )
        first, second = options.discriminator_betas
        self._parameters = list(self.discriminator.parameters())
        self._optimizer = torch.optim.Adam(
            self._parameters, lr=options.discriminator_rate or problem.learning_rate, betas=(first, second), fused=True
        )

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """KL + gamma TC."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        tc = density_ratio_tc(self.discriminator(posterior.sample))
        return Penalty(loss=kl + self.options.gamma * tc, report={"kl": kl, "tc": tc})

    def after_step(self, done: StepDone) -> dict[str, Tensor | float]:
        """Train the discriminator, on codes that the step started from."""
        codes = done.posterior.sample
        others = codes if self.options.permute == "same" else done.second_posterior().sample
        permuted = permute_latents(others, done.generator)
        logits, permuted_logits = self.discriminator(torch.cat([codes, permuted])).split([len(codes), len(permuted)])
        loss = discrimination_loss(logits, permuted_logits)
        for parameter, gradient in zip(self._parameters, torch.autograd.grad(loss, self._parameters), strict=True):
            parameter.grad = gradient
        self._optimizer.step()
        right = (logits[:, 0] > logits[:, 1]).sum() + (permuted_logits[:, 1] > permuted_logits[:, 0]).sum()
        return {"discriminator_loss": loss.detach(), "discriminator_accuracy": right / (2 * len(codes))}

    def state(self) -> dict[str, Any]:
        """The discriminator and its optimiser."""
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.discriminator.load_state_dict(state["discriminator"])
        self._optimizer.load_state_dict(state["optimizer"])
