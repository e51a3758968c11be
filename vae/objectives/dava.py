"""DAVA: reconstruction + gamma (KL - C)^4, with C and an adversary moved by a discriminator (Estermann 2023).

A discriminator D tells decoded reconstructions (target 1) from decoded codes whose every latent was drawn from the
batch by itself (target 0). The better it does, the stronger both nets work against it; while it does no better than
chance, the target C of the KL grows. After the step on reconstruction + penalty, with a the accuracy of D on the
batch and strength s = max(100 (a - 1/2), 0):

    D        cross-entropy with smoothed targets 1 - smoothing U and smoothing U, summed over the batch
    C        counter +B where a <= 0.501, -B where a > 0.51, not below 0; C = min(capacity, capacity counter / horizon)
    encoder  encoder_weight s CE(D(reconstruction), 0)
    decoder  decoder_weight min(s, 1) CE(D(shuffled), 1)
    a second step of both nets on these gradients

Where the published training script does something unusual, we follow it, because its figures, and those of TopDis'
DAVA, were made so: KL is the MEAN over latents, so that C = 8 at ten latents allows 80 nats; an image counts as
recognised from a probability of 0.6 on; and the second step adds the adversary's gradients to those left over from
the first (`carry_gradients`; off, the second step knows the adversary alone). What the script leaves open to us: the
adversary's cross-entropies are means over the batch, the counter stays non-negative, and the nets that the second
part looks at are those after the first step.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vae.networks.autoencoder import Posterior
from vae.networks.discriminators import image_discriminator
from vae.objectives.objective import Objective, Penalty, Problem, StepDone
from vae.objectives.options import require, require_at_least
from vae.objectives.terms import gaussian_kl

__all__ = ["DAVA", "moved_counter", "resample_latents", "smoothed_targets"]

_RECOGNISED = 0.6
_CHANCE, _BETTER = 0.501, 0.51


def resample_latents(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Codes (B, D) whose every latent was drawn from the batch by itself, with replacement."""
    rows = torch.randint(len(codes), codes.shape, generator=generator, device=codes.device)
    return codes.gather(0, rows)


def smoothed_targets(num: int, smoothing: float, generator: torch.Generator) -> Tensor:
    """Targets (2 num, 1): `num` near 1, within `smoothing` of it, and `num` near 0."""
    noise = smoothing * torch.rand(2 * num, 1, generator=generator, device=generator.device)
    return torch.cat([1 - noise[:num], noise[num:]])


def moved_counter(counter: int, accuracy: float, batch_size: int) -> int:
    """The images that C has grown by, after a discriminator's accuracy on a batch.

    >>> [moved_counter(640, accuracy, 64) for accuracy in (0.5, 0.505, 0.7)]
    [704, 640, 576]
    """
    if accuracy <= _CHANCE:
        return counter + batch_size
    return counter if accuracy <= _BETTER else max(counter - batch_size, 0)


class DAVA(Objective):
    """Reconstruction + gamma (KL - C)^4, and the adversary."""

    max_grad_norm = 1.0

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """Settings.

        Attributes:
            gamma: weight of the fourth power.
            capacity: the highest C, nats a latent.
            horizon: images after which C is the highest, if D never does better than chance.
            encoder_weight: of the adversary in the encoder.
            decoder_weight: of the adversary in the decoder.
            smoothing: of the discriminator's targets.
            carry_gradients: whether the second step keeps the first one's gradients.
            discriminator_width: channels of the discriminator's first layer.
        """

        gamma: float = 500.0
        capacity: float = 8.0
        horizon: int = 12_800_000
        encoder_weight: float = 0.3
        decoder_weight: float = 0.001
        smoothing: float = 0.6
        carry_gradients: bool = True
        discriminator_width: int = 32

        def __post_init__(self) -> None:
            require_at_least(
                0,
                gamma=self.gamma,
                capacity=self.capacity,
                encoder_weight=self.encoder_weight,
                decoder_weight=self.decoder_weight,
            )
            require_at_least(1, horizon=self.horizon, discriminator_width=self.discriminator_width)
            require(0 <= self.smoothing < 1, "smoothing", self.smoothing, "0 or more and less than 1")

    def __init__(self, options: Any, problem: Problem) -> None:
        super().__init__(options, problem)
        self.counter = 0
        self.discriminator = image_discriminator(problem.image_shape, width=options.discriminator_width)
        self.discriminator.to(problem.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._parameters = list(self.discriminator.parameters())
        self._optimizer = torch.optim.Adam(self._parameters, lr=problem.learning_rate, fused=True)

    @property
    def capacity(self) -> float:
        """C, nats a latent."""
        options = self.options
        return min(options.capacity, options.capacity * self.counter / options.horizon)

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """gamma (KL - C)^4, KL being the mean over latents."""
        kl = gaussian_kl(posterior.mean, posterior.logvar)
        loss = self.options.gamma * (kl.mean() - self.capacity) ** 4
        return Penalty(loss=loss, report={"kl": kl.sum(), "capacity": self.capacity})

    def after_step(self, done: StepDone) -> dict[str, Tensor | float]:
        """Train the discriminator, move C, and step both nets against the discriminator."""
        codes = done.model.posterior(done.images, done.generator).sample
        shuffled = resample_latents(codes.detach(), done.generator)
        decoded = done.model.decode(torch.cat([codes, shuffled])).float().sigmoid()
        accuracy, loss = self._train_discriminator(decoded.detach(), done)
        self.counter = moved_counter(self.counter, accuracy, len(codes))
        self._step_against(decoded, max(100 * (accuracy - 0.5), 0.0), done)
        return {"discriminator_accuracy": accuracy, "discriminator_loss": loss}

    def _train_discriminator(self, decoded: Tensor, done: StepDone) -> tuple[float, Tensor]:
        """One step of D on decoded images (2 B, C, H, W), reconstructions first; its accuracy before, and loss."""
        num = len(decoded) // 2
        logits = self.discriminator(decoded)
        targets = smoothed_targets(num, self.options.smoothing, done.generator)
        loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        _assign(self._parameters, torch.autograd.grad(loss, self._parameters))
        _clip(self._parameters, done.max_grad_norm)
        self._optimizer.step()
        recognised = logits.detach().sigmoid() > _RECOGNISED
        right = recognised[:num].sum() + (~recognised[num:]).sum()
        return right.item() / (2 * num), loss.detach() / (2 * num)

    def _step_against(self, decoded: Tensor, strength: float, done: StepDone) -> None:
        encoder, decoder = list(done.model.encoder.parameters()), list(done.model.decoder.parameters())
        if not self.options.carry_gradients:
            if not strength:
                return
            done.optimizer.zero_grad()
        if strength:
            real, fake = self.discriminator(decoded).chunk(2)
            fooled = self.options.encoder_weight * strength * _cross_entropy(real, 0.0)
            better = self.options.decoder_weight * min(strength, 1.0) * _cross_entropy(fake, 1.0)
            _add(encoder, torch.autograd.grad(fooled, encoder, retain_graph=True))
            _add(decoder, torch.autograd.grad(better, decoder))
        _clip([*encoder, *decoder], done.max_grad_norm)
        done.optimizer.step()

    def state(self) -> dict[str, Any]:
        """The discriminator, its optimiser, and the counter behind C."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "counter": self.counter,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.discriminator.load_state_dict(state["discriminator"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.counter = state["counter"]


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _assign(parameters: list[torch.nn.Parameter], gradients: tuple[Tensor, ...]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def _add(parameters: list[torch.nn.Parameter], gradients: tuple[Tensor, ...]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _clip(parameters: list[torch.nn.Parameter], max_norm: float | None) -> None:
    if max_norm is not None:
        torch.nn.utils.clip_grad_norm_(parameters, max_norm)
