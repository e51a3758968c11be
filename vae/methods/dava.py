"""DAVA: reconstruction + gamma (KL - C)^4, where a discriminator controls C and drives an adversary (Estermann 2023).

A discriminator D separates decoded reconstructions (target 1) from decoded codes whose latents were each resampled
from the batch (target 0). The better it does, the more strongly both networks are trained against it; while it does no
better than chance, the target C of the KL divergence grows. After the step on reconstruction + penalty, with the
accuracy a of D on the batch and the strength s = max(100 (a - 1/2), 0):

    D        cross-entropy with smoothed targets 1 - smoothing U and smoothing U, summed over the batch
    C        counter +B/2 if a <= 0.501, -B/2 if a > 0.51; C = min(capacity, capacity counter / horizon)
    encoder  encoder_weight s CE(D(reconstruction), 0), summed over the batch
    decoder  decoder_weight min(s, 1) CE(D(shuffled), 1), summed over the batch
    a second step of both networks on these gradients, the encoder's clipped

Where the published training script (github.com/besterma/dava, dava/train_dava.py) is unusual, this module follows it,
because its figures were produced that way: KL is the MEAN over latents, so C = 8 with ten latents allows 80 nats; the
counter, and C with it, may become negative; an image counts as recognized from a probability of 0.6; D is trained on
two half batches, whose batch normalization is their own, and applied as an adversary with its running statistics; and
the second step adds the adversarial gradients to those of the first (`carry_gradients`; otherwise the second step uses
the adversarial gradients alone). With one numerical difference: the script decodes the shuffled codes once more for the
decoder's loss, with the same result.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganspace_topdis.errors import InvalidArgumentError
from vae.method_options import DAVAOptions, ImageDiscriminator
from vae.methods.method import DataSpec, Method, Penalty, StepContext, gaussian_kl
from vae.networks.autoencoder import Posterior

__all__ = ["DAVA", "image_discriminator", "resample_latents", "smoothed_targets", "update_counter"]

_RECOGNIZED = 0.6
_CHANCE, _BETTER = 0.501, 0.51
_LAST_PX = 4
_WIDTHS = {"narrow": (1, 1, 2, 2, 8), "wide": (1, 2, 4, 8, 16)}


class DAVA(Method):
    """DAVA: reconstruction + gamma (KL - C)^4, and the adversary."""

    max_grad_norm = 1.0
    options: DAVAOptions

    def __init__(self, options: DAVAOptions, spec: DataSpec) -> None:
        super().__init__(options, spec)
        self.counter = 0
        self.discriminator = image_discriminator(
            spec.image_shape, network=options.discriminator_network, width=options.discriminator_width
        )
        self.discriminator.to(spec.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._parameters = list(self.discriminator.parameters())
        self._optimizer = torch.optim.Adam(self._parameters, lr=spec.learning_rate, fused=True)

    @property
    def capacity(self) -> float:
        """C, nats per latent."""
        options = self.options
        return min(options.capacity, options.capacity * self.counter / options.horizon)

    def penalty(self, posterior: Posterior, step: int) -> Penalty:
        """Return gamma (KL - C)^4, KL being the mean over latents."""
        kl = gaussian_kl(posterior.mean, posterior.logvar)
        loss = self.options.gamma * (kl.mean() - self.capacity) ** 4
        return Penalty(loss=loss, report={"kl": kl.sum(), "capacity": self.capacity})

    def after_step(self, context: StepContext) -> dict[str, Tensor | float]:
        """Train the discriminator, update C, and train both networks against the discriminator."""
        codes = context.model.posterior(context.images, context.generator).sample
        shuffled = resample_latents(codes.detach(), context.generator)
        decoded = context.model.decode(torch.cat([codes, shuffled])).float().sigmoid()
        accuracy, loss = self._train_discriminator(decoded.detach(), context)
        self.counter = update_counter(self.counter, accuracy, len(codes))
        self._step_against(decoded, max(100 * (accuracy - 0.5), 0.0), context)
        return {"discriminator_accuracy": accuracy, "discriminator_loss": loss}

    def _train_discriminator(self, decoded: Tensor, context: StepContext) -> tuple[float, Tensor]:
        """Train D for one step on images (2 B, C, H, W), reconstructions first; return its prior accuracy and loss."""
        num = len(decoded) // 2
        logits = self._logits_by_halves(decoded)
        targets = smoothed_targets(num, self.options.smoothing, context.generator)
        loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        _assign(self._parameters, torch.autograd.grad(loss, self._parameters))
        _clip(self._parameters, context.max_grad_norm)
        self._optimizer.step()
        recognized = logits.detach().sigmoid() >= _RECOGNIZED
        correct = recognized[:num].sum() + (~recognized[num:]).sum()
        return correct.item() / (2 * num), loss.detach() / (2 * num)

    def _logits_by_halves(self, decoded: Tensor) -> Tensor:
        """Apply D in training mode to two batches, each with half of the reconstructions and half of the others."""
        self.discriminator.train()
        num = len(decoded) // 2
        middle = num // 2
        rows = torch.arange(len(decoded), device=decoded.device)
        halves = [rows % num < middle, rows % num >= middle]
        logits = decoded.new_empty(len(decoded), 1)
        for half in halves:
            logits = logits.masked_scatter(half[:, None], self.discriminator(decoded[half]))
        return logits

    def _step_against(self, decoded: Tensor, strength: float, context: StepContext) -> None:
        encoder, decoder = list(context.model.encoder.parameters()), list(context.model.decoder.parameters())
        if not self.options.carry_gradients:
            if not strength:
                return
            context.optimizer.zero_grad()
        if strength:
            self.discriminator.eval()
            real, fake = self.discriminator(decoded).chunk(2)
            fooled = self.options.encoder_weight * strength * _cross_entropy(real, 0.0)
            better = self.options.decoder_weight * min(strength, 1.0) * _cross_entropy(fake, 1.0)
            _add(encoder, torch.autograd.grad(fooled, encoder, retain_graph=True))
            _add(decoder, torch.autograd.grad(better, decoder))
        _clip(encoder, context.max_grad_norm)
        context.optimizer.step()

    def state(self) -> dict[str, Any]:
        """Return the discriminator, its optimizer, and the counter behind C."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "counter": self.counter,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.discriminator.load_state_dict(state["discriminator"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.counter = state["counter"]


def image_discriminator(
    image_shape: tuple[int, int, int], *, network: ImageDiscriminator = "narrow", width: int = 32
) -> nn.Sequential:
    """Return DAVA's discriminator: images (B, C, H, W) -> one logit (B, 1), high for reconstructions.

    Convolutions (k4 s2 p1) down to 4 pixels, each followed by ReLU and instance normalization without parameters; then
    a linear layer with ReLU and batch normalization, and the output. At 64 pixels, with w for `width`:

        narrow  w, w, 2w, 2w - 8w: disentanglement_lib's encoder (dava/models.py 59 to 89 of the release, run with
                --disc_instance_norm as in its README; also TopDis on color sets and 3D Faces)
        wide    w, 2w, 4w, 8w - 16w: TopDis on dSprites (DAVA_TopDis/dava/models.py 82 to 99 and 165 to 177, where the
                linear layer is written as a convolution)

    Smaller images skip the first stages, larger ones repeat the first.

    Raises:
        InvalidArgumentError: a side of the images is shorter than 4 px.
    """
    height, side, num_channels = image_shape
    if min(height, side) < _LAST_PX:
        raise InvalidArgumentError(
            f"dava's discriminator takes images of at least {_LAST_PX} px, these have {height} x {side}; "
            "choose another `method`",
            field="method",
        )
    *widths, hidden = (factor * width for factor in _WIDTHS[network])
    num_stages = max((min(height, side) // _LAST_PX).bit_length() - 1, 1)
    channels = [num_channels, *(widths[max(index, 0)] for index in range(len(widths) - num_stages, len(widths)))]
    layers: list[nn.Module] = []
    for ins, outs in pairwise(channels):
        layers += [nn.Conv2d(ins, outs, 4, stride=2, padding=1), nn.ReLU(), nn.InstanceNorm2d(outs)]
    num_flat = channels[-1] * (height >> num_stages) * (side >> num_stages)
    dense = [nn.Linear(num_flat, hidden), nn.ReLU(), nn.BatchNorm1d(hidden)]
    return nn.Sequential(*layers, nn.Flatten(), *dense, nn.Linear(hidden, 1))


def resample_latents(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Resample each latent of codes (B, D) from the batch, independently of the others, with replacement."""
    rows = torch.randint(len(codes), codes.shape, generator=generator, device=codes.device)
    return codes.gather(0, rows)


def smoothed_targets(num: int, smoothing: float, generator: torch.Generator) -> Tensor:
    """Return targets (2 num, 1): `num` within `smoothing` of 1, then `num` within `smoothing` of 0."""
    noise = smoothing * torch.rand(2 * num, 1, generator=generator, device=generator.device)
    return torch.cat([1 - noise[:num], noise[num:]])


def update_counter(counter: int, accuracy: float, batch_size: int) -> int:
    """Return the number of images behind C after a batch on which the discriminator had `accuracy`.

    >>> [update_counter(640, accuracy, 64) for accuracy in (0.5, 0.505, 0.7)]
    [672, 640, 608]
    """
    if accuracy <= _CHANCE:
        return counter + batch_size // 2
    return counter if accuracy <= _BETTER else counter - batch_size // 2


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target), reduction="sum")


def _assign(parameters: list[nn.Parameter], gradients: tuple[Tensor, ...]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def _add(parameters: list[nn.Parameter], gradients: tuple[Tensor, ...]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _clip(parameters: list[nn.Parameter], max_norm: float | None) -> None:
    if max_norm is not None:
        nn.utils.clip_grad_norm_(parameters, max_norm)
