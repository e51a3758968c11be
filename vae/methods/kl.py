"""Methods that weight or bound the KL divergence: VAE, beta-VAE, annealed VAE and ControlVAE.

    VAE           KL                          (Kingma and Welling 2014)
    beta-VAE      beta KL                     (Higgins et al. 2017); beta = 1 is the VAE
    annealed VAE  gamma |KL - C(t)|           C grows linearly (Burgess et al. 2018)
    ControlVAE    beta(t) KL                  beta is moved by a PI controller toward KL = C(t) (Shao et al. 2020)

ControlVAE's controller computes, from the error e = C(t) - KL of the batch in nats,

    P = Kp / (1 + exp(e)) + floor      I <- I + Ki e, unless the last P + I was below the floor (anti-windup)
    beta = max(P + I, floor)

Ki is negative: a KL divergence below its target lowers beta. The target C starts at `capacity_start` and rises by
`capacity_increase` every `capacity_every` steps up to `capacity`. A floor of 1 is for disentangling; the released
variant for image generation lets beta fall below 1.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from vae.method_options import AnnealedVAEOptions, BetaVAEOptions, ControlVAEOptions
from vae.methods.method import DataSpec, Method, Penalty, gaussian_kl
from vae.networks.autoencoder import Posterior

__all__ = ["AnnealedVAE", "BetaVAE", "ControlVAE", "Controller", "PlainVAE", "linear_capacity", "stepped_capacity"]


class PlainVAE(Method):
    """The VAE: reconstruction + KL."""

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """Return KL."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        return Penalty(loss=kl, report={"kl": kl})


class BetaVAE(Method):
    """The beta-VAE: reconstruction + beta KL."""

    options: BetaVAEOptions

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """Return beta KL."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        return Penalty(loss=self.options.beta * kl, report={"kl": kl})


class AnnealedVAE(Method):
    """The annealed VAE: reconstruction + gamma |KL - C(t)|."""

    options: AnnealedVAEOptions

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """Return gamma |KL - C(t)|."""
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        capacity = linear_capacity(step, self.options.capacity, self.options.capacity_steps)
        return Penalty(loss=self.options.gamma * (kl - capacity).abs(), report={"kl": kl, "capacity": capacity})


def linear_capacity(step: int, capacity: float, num_steps: int) -> float:
    """Return C after `step` steps, nats: from 0 to `capacity` over `num_steps` steps.

    >>> [linear_capacity(step, 25.0, 100) for step in (0, 50, 200)]
    [0.0, 12.5, 25.0]
    """
    return capacity * min(step / num_steps, 1.0) if num_steps else capacity


@dataclass(frozen=True, kw_only=True)
class Controller:
    """State of the PI controller: I, and the last P + I before the floor was applied."""

    integral: float = 0.0
    raw: float = 1.0

    def move(self, error: float, *, proportional: float, integral: float, floor: float) -> "Controller":
        """Return the controller after an error in nats; `proportional` is Kp, `integral` is Ki.

        >>> Controller().move(0.0, proportional=0.01, integral=-0.001, floor=1.0)
        Controller(integral=0.0, raw=1.005)
        """
        total = self.integral if self.raw < floor else self.integral + integral * error
        share = 0.5 * (1 - math.tanh(error / 2))  # 1 / (1 + exp(error)) without overflow
        return Controller(integral=total, raw=proportional * share + floor + total)


class ControlVAE(Method):
    """ControlVAE: reconstruction + beta(t) KL."""

    options: ControlVAEOptions

    def __init__(self, options: ControlVAEOptions, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.controller = Controller(raw=options.floor)

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """Move the controller; return beta(t) KL."""
        options = self.options
        kl = gaussian_kl(posterior.mean, posterior.logvar).sum()
        capacity = stepped_capacity(
            step,
            start=options.capacity_start,
            increase=options.capacity_increase,
            every=options.capacity_every,
            capacity=options.capacity,
        )
        self.controller = self.controller.move(
            capacity - kl.item(), proportional=options.kp, integral=options.ki, floor=options.floor
        )
        beta = max(self.controller.raw, options.floor)
        return Penalty(loss=beta * kl, report={"kl": kl, "beta": beta, "capacity": capacity})

    def state(self) -> dict[str, Any]:
        """Return the controller's state."""
        return asdict(self.controller)

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.controller = Controller(**state)


def stepped_capacity(step: int, *, start: float, increase: float, every: int, capacity: float) -> float:
    """Return C after `step` steps, nats.

    >>> [stepped_capacity(step, start=0.5, increase=0.15, every=5000, capacity=0.7) for step in (0, 5000, 10000)]
    [0.5, 0.65, 0.7]
    """
    return min(start + increase * (step // every), capacity)
