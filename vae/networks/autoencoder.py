"""An autoencoder with a diagonal Gaussian code: what every method trains, and what a trained run gives back.

    mean, logvar = model.encode(images)          images (B, C, H, W) in [0, 1]
    logits = model.decode(code)                  sigmoid(logits) are the images' Bernoulli means

Higgins et al. 2017; the architectures are in `vae.networks.convolutional` and `vae.networks.fully_connected`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganspace_topdis.runs.distributed import by_rows

__all__ = ["AutoEncoder", "Posterior"]


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """q(z | x) of a batch and one draw from it: three tensors (B, D)."""

    mean: Tensor
    logvar: Tensor
    sample: Tensor

    def detach(self) -> "Posterior":
        """The same values without their graph."""
        return Posterior(mean=self.mean.detach(), logvar=self.logvar.detach(), sample=self.sample.detach())


class AutoEncoder(nn.Module):
    """Encoder and decoder; in a run of several processes each computes its rows of a batch.

    Args:
        encoder: images (B, C, H, W) -> (B, 2 D), means and then logarithms of variances.
        decoder: codes (B, D) -> logits (B, C, H, W).
        num_latents: D.
        image_shape: (H, W, C), as a `DataSet` says it.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, *, num_latents: int, image_shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.num_latents, self.image_shape = num_latents, image_shape

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of q(z | x), (B, D) each, of images (B, C, H, W) in [0, 1]."""
        mean, logvar = by_rows(self.encoder, images).chunk(2, dim=1)
        return mean, logvar

    def decode(self, codes: Tensor) -> Tensor:
        """Logits (B, C, H, W) of codes (B, D)."""
        return by_rows(self.decoder, codes)

    def forward(self, images: Tensor) -> Tensor:
        """The images' reconstructions from the posterior means, in [0, 1]."""
        return self.decode(self.encode(images)[0]).sigmoid()

    def posterior(self, images: Tensor, generator: torch.Generator) -> Posterior:
        """q(z | x) in float32 and a draw from it, sample = mean + exp(logvar / 2) * noise."""
        mean, logvar = (part.float() for part in self.encode(images))
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return Posterior(mean=mean, logvar=logvar, sample=mean + (0.5 * logvar).exp() * noise)

    def latent_weights(self) -> Tensor:
        """How strongly the decoder reads each latent: the norm of its column in the decoder's first layer, (D,)."""
        first = next(module for module in self.decoder.modules() if isinstance(module, nn.Linear | nn.Conv2d))
        return first.weight.detach().flatten(2 if first.weight.ndim > 2 else 1).transpose(0, 1).flatten(1).norm(dim=1)
