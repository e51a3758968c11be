"""Annealed VAE: reconstruction + gamma |KL - C(t)| with a capacity C that grows linearly (Burgess et al. 2018)."""

from dataclasses import dataclass

from vae.networks.autoencoder import Posterior
from vae.objectives.objective import Objective, Penalty
from vae.objectives.options import require_at_least
from vae.objectives.terms import gaussian_kl

__all__ = ["AnnealedVAE", "linear_capacity"]


def linear_capacity(step: int, capacity: float, num_steps: int) -> float:
    """C after `step` steps, nats: from 0 to `capacity` over `num_steps` steps.

    >>> [linear_capacity(step, 25.0, 100) for step in (0, 50, 200)]
    [0.0, 12.5, 25.0]
    """
    return capacity * min(step / num_steps, 1.0) if num_steps else capacity


class AnnealedVAE(Objective):
    """Reconstruction + gamma |KL - C(t)|."""

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """gamma: weight of the distance; capacity: final C, nats; capacity_steps: steps until it is reached."""

        gamma: float = 1000.0
        capacity: float = 25.0
        capacity_steps: int = 100_000

        def __post_init__(self) -> None:
            require_at_least(0, gamma=self.gamma, capacity=self.capacity, capacity_steps=self.capacity_steps)

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """gamma |KL - C(t)|."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        capacity = linear_capacity(step, self.options.capacity, self.options.capacity_steps)
        return Penalty(loss=self.options.gamma * (kl - capacity).abs(), report={"kl": kl, "capacity": capacity})
