"""The interface of a training method, and the two terms that all methods share.

A training minimizes reconstruction + penalty (+ TopDis). A method supplies the penalty; if it trains a discriminator
or moves a controller, it does so in `after_step` and returns everything that the next steps depend on from `state`, so
that a resumed run takes the same steps.

    reconstruction  summed over pixels and channels, averaged over the batch
        bernoulli   - sum x log p + (1 - x) log(1 - p),  p = sigmoid(logits), also for colors in [0, 1]
        gaussian    sum (x - sigmoid(logits))^2
    KL(q(z|x) || N(0, 1)) = 1/2 sum_j (mean_j^2 + var_j - log var_j - 1)          (Kingma and Welling 2014)
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from vae.flat_adam import FlatAdam
from vae.networks.autoencoder import AutoEncoder, Posterior
from vae.settings import Likelihood

__all__ = ["DataSpec", "Method", "Penalty", "StepContext", "gaussian_kl", "reconstruction_loss"]


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What a method may depend on besides its options.

    Attributes:
        num_images: N, the size of the data set.
        image_shape: (H, W, C).
        num_latents: D.
        learning_rate: the autoencoder's.
        device: device of the training.
    """

    num_images: int
    image_shape: tuple[int, int, int]
    num_latents: int
    learning_rate: float
    device: torch.device


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """The scalar that a method adds to the reconstruction.

    Attributes:
        loss: the part that `ramp_steps` ramps, by default all of it.
        constant: the part that is added at full weight from the start.
        report: unweighted parts for the log.
    """

    loss: Tensor
    constant: Tensor | float = 0.0
    report: Mapping[str, Tensor | float] = field(default_factory=dict)

    def total(self, ramp: float = 1.0) -> Tensor:
        """Return the penalty with the ramped part times `ramp`."""
        ramped = self.loss if ramp == 1 else ramp * self.loss
        return ramped + self.constant if isinstance(self.constant, Tensor) or self.constant else ramped


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """The state of a training right after the autoencoder's step.

    Attributes:
        model: the autoencoder after the step; its parameters' `grad` is the gradient of the step.
        optimizer: the autoencoder's.
        posterior: posterior of the batch before the step, detached.
        images: the batch, (B, C, H, W).
        second_posterior: returns the posterior of another batch, detached.
        generator: random generator on the device.
        max_grad_norm: the autoencoder's gradient is clipped to this norm.
    """

    model: AutoEncoder
    optimizer: FlatAdam
    posterior: Posterior
    images: Tensor
    second_posterior: Callable[[], Posterior]
    generator: torch.Generator
    max_grad_norm: float | None


class Method(ABC):
    """A training method.

    Args:
        options: an instance of its class in `vae.method_options.METHOD_OPTIONS`.
        spec: the data and the training.
    """

    max_grad_norm: ClassVar[float | None] = None
    """Maximum norm of the autoencoder's gradient where the training settings leave it open."""

    def __init__(self, options: Any, spec: DataSpec) -> None:
        self.options, self.spec = options, spec

    @abstractmethod
    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """Return the penalty after `step` steps; scalars, averaged over the batch."""

    def after_step(self, context: StepContext) -> dict[str, Tensor | float]:
        """Do the method's own work after the autoencoder's step; return further values for the log."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what the next steps depend on: tensors, numbers and containers of them."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:  # noqa: B027 (most methods have no state)
        """Restore what `state` returned."""


def reconstruction_loss(logits: Tensor, images: Tensor, likelihood: Likelihood = "bernoulli") -> Tensor:
    """Return the reconstruction term, a scalar, of logits and images (B, C, H, W)."""
    if likelihood == "bernoulli":
        total: Tensor = _CrossEntropy.apply(logits, images)
        return total / len(images)
    return F.mse_loss(logits.sigmoid(), images, reduction="sum") / len(images)


def gaussian_kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return the KL divergence of each latent from N(0, 1), averaged over the batch, nats: (B, D), (B, D) -> (D,)."""
    kl: Tensor = _GaussianKL.apply(mean, logvar)
    return kl


class _OfInputs(torch.autograd.Function):
    """A function whose derivatives are computed from its inputs."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)


class _CrossEntropy(_OfInputs):
    """sum log(1 + exp(l)) - x l over logits l and targets x; its derivative is sigmoid(l) - x."""

    @staticmethod
    def forward(logits: Tensor, images: Tensor) -> Tensor:
        return torch.addcmul(F.softplus(logits), logits, images, value=-1).sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        logits, images = ctx.saved_tensors
        return (logits.sigmoid() - images) * grad, None


class _GaussianKL(_OfInputs):
    """See `gaussian_kl`; the derivatives are mean / B and (exp(logvar) - 1) / (2 B)."""

    @staticmethod
    def forward(mean: Tensor, logvar: Tensor) -> Tensor:
        return 0.5 * (torch.addcmul(logvar.exp() - logvar, mean, mean).mean(dim=0) - 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        mean, logvar = ctx.saved_tensors
        share = grad / len(mean)
        return mean * share, logvar.expm1() * (0.5 * share)
