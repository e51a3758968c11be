"""What a method is: a penalty on the posterior, and perhaps work of its own after each step.

The training minimises reconstruction + penalty (+ TopDis). A method that trains a discriminator or moves a
controller does so in `after_step`, and gives out what that depends on as `state`, so that a resumed run takes
the same steps. One file a method; `vae.objectives.methods` is the table of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from vae.networks.autoencoder import AutoEncoder, Posterior

__all__ = ["Objective", "Penalty", "Problem", "StepDone"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What methods need to know of the data and the training.

    Attributes:
        num_images: N, images in the data set.
        image_shape: (H, W, C).
        num_latents: D.
        learning_rate: of the autoencoder.
        device: where the work is done.
    """

    num_images: int
    image_shape: tuple[int, int, int]
    num_latents: int
    learning_rate: float
    device: torch.device


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """The number that a method adds to the reconstruction, and its parts, unweighted, for the log."""

    loss: Tensor
    report: Mapping[str, Tensor | float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """What a method finds after the autoencoder's step.

    Attributes:
        step: steps taken before this one.
        model: the autoencoder, moved by the step; its parameters' `grad` is the gradient that moved it.
        optimizer: the autoencoder's.
        posterior: of the step's batch, before the step, without graph.
        images: the step's batch, (B, C, H, W).
        second_posterior: gives that of another batch, without graph.
        generator: for draws on the device.
        max_grad_norm: gradients of the autoencoder are clipped to this norm.
    """

    step: int
    model: AutoEncoder
    optimizer: torch.optim.Optimizer
    posterior: Posterior
    images: Tensor
    second_posterior: Callable[[], Posterior]
    generator: torch.Generator
    max_grad_norm: float | None


class Objective(ABC):
    """A method. `Options` are its settings, all with defaults; the subclass's file says what they mean."""

    Options: ClassVar[type]
    max_grad_norm: ClassVar[float | None] = None
    """The autoencoder's gradient is clipped to this norm where the training does not say otherwise."""

    def __init__(self, options: Any, problem: Problem) -> None:
        self.options, self.problem = options, problem

    @abstractmethod
    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """What is added to the reconstruction after `step` steps; scalars, averaged over the batch."""

    def after_step(self, done: StepDone) -> dict[str, Tensor | float]:
        """Work of the method's own after the autoencoder's step; further values for the log."""
        return {}

    def state(self) -> dict[str, Any]:
        """What the coming steps depend on: tensors, numbers and containers of them."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:  # noqa: B027 (most methods have no state)
        """Go on from what `state` gave."""
