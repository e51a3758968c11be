"""ControlVAE: reconstruction + beta(t) KL, beta moved by a PI controller towards a KL of C(t) (Shao et al. 2020).

With the error e = C(t) - KL of the batch, nats,

    P = Kp / (1 + exp(e)) + floor      I <- I + Ki e, unless the last P + I lay below the floor (anti-windup)
    beta = max(P + I, floor)

Ki is negative: a KL below its target lowers beta. The target starts at `capacity_start` and rises by
`capacity_increase` every `capacity_every` steps up to `capacity`. The floor is 1 for disentangling; the release's
variant for image generation lets beta fall below 1.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from vae.networks.autoencoder import Posterior
from vae.objectives.objective import Objective, Penalty, Problem
from vae.objectives.options import require, require_at_least
from vae.objectives.terms import gaussian_kl

__all__ = ["ControlVAE", "Controller", "stepped_capacity"]


@dataclass(frozen=True, kw_only=True)
class Controller:
    """The controller's memory: I, and the last P + I before the floor was applied."""

    integral: float = 0.0
    raw: float = 1.0

    def move(self, error: float, *, proportional: float, integral: float, floor: float) -> "Controller":
        """The controller after an error, nats; `proportional` is Kp, `integral` Ki.

        >>> Controller().move(0.0, proportional=0.01, integral=-0.001, floor=1.0)
        Controller(integral=0.0, raw=1.005)
        """
        total = self.integral if self.raw < floor else self.integral + integral * error
        share = 0.5 * (1 - math.tanh(error / 2))  # 1 / (1 + exp(error)), which overflows nowhere
        return Controller(integral=total, raw=proportional * share + floor + total)


def stepped_capacity(step: int, *, start: float, increase: float, every: int, capacity: float) -> float:
    """C after `step` steps, nats.

    >>> [stepped_capacity(step, start=0.5, increase=0.15, every=5000, capacity=0.7) for step in (0, 5000, 10000)]
    [0.5, 0.65, 0.7]
    """
    return min(start + increase * (step // every), capacity)


class ControlVAE(Objective):
    """Reconstruction + beta(t) KL."""

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """Settings.

        Attributes:
            capacity: the last target of KL, nats.
            capacity_start: the first.
            capacity_increase: nats that it rises by.
            capacity_every: steps between two rises.
            kp: Kp of the controller.
            ki: Ki, negative.
            floor: the lowest beta.
        """

        capacity: float = 18.0
        capacity_start: float = 0.5
        capacity_increase: float = 0.15
        capacity_every: int = 5000
        kp: float = 0.01
        ki: float = -0.001
        floor: float = 1.0

        def __post_init__(self) -> None:
            require_at_least(
                0,
                capacity=self.capacity,
                capacity_start=self.capacity_start,
                capacity_increase=self.capacity_increase,
                kp=self.kp,
                floor=self.floor,
            )
            require_at_least(1, capacity_every=self.capacity_every)
            require(self.ki <= 0, "ki", self.ki, "a negative number: a KL below its target must lower beta")

    def __init__(self, options: Any, problem: Problem) -> None:
        super().__init__(options, problem)
        self.controller = Controller(raw=options.floor)

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """beta(t) KL."""
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
        """The controller's memory."""
        return asdict(self.controller)

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.controller = Controller(**state)
