"""An autoencoder with a diagonal Gaussian posterior: what every method trains, and what a trained run loads.

    mean, logvar = model.encode(images)          images (B, C, H, W) in [0, 1]
    logits = model.decode(codes)                 sigmoid(logits) are the Bernoulli means of the images

Kingma and Welling 2014. The architectures are in `vae.networks.architectures`. `compile_model` sets the precision and
compiles both functions; the result depends on neither beyond rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, get_args

import torch
import torch._functorch.config
from torch import Tensor, nn

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.distributed import row_parallel
from vae.settings import Compile, Precision

__all__ = ["AutoEncoder", "Posterior", "compile_model"]


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """q(z | x) of a batch and one sample of it: three tensors (B, D)."""

    mean: Tensor
    logvar: Tensor
    sample: Tensor

    def detach(self) -> "Posterior":
        """Return the same values, detached from the graph."""
        return Posterior(mean=self.mean.detach(), logvar=self.logvar.detach(), sample=self.sample.detach())

    def resampled(self, generator: torch.Generator) -> "Posterior":
        """Return the same distribution with another sample, mean + exp(logvar / 2) * noise."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        sample = torch.addcmul(self.mean, (0.5 * self.logvar).exp(), noise)
        return Posterior(mean=self.mean, logvar=self.logvar, sample=sample)


class AutoEncoder(nn.Module):
    """An encoder and a decoder. In a distributed run each process computes its rows of a batch.

    Args:
        encoder: images (B, C, H, W) -> (B, 2 D), means followed by log-variances.
        decoder: codes (B, D) -> logits (B, C, H, W).
        num_latents: D.
        image_shape: (H, W, C), as in `DataSet.image_shape`.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, *, num_latents: int, image_shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.num_latents, self.image_shape = num_latents, image_shape

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z | x), (B, D) each, of images (B, C, H, W) in [0, 1]."""
        mean, logvar = row_parallel(self.encoder, images).chunk(2, dim=1)
        return mean, logvar

    def decode(self, codes: Tensor) -> Tensor:
        """Return logits (B, C, H, W) of codes (B, D)."""
        return row_parallel(self.decoder, codes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the reconstructions of images from the posterior means, in [0, 1]."""
        return self.decode(self.encode(images)[0]).sigmoid()

    def posterior(self, images: Tensor, generator: torch.Generator) -> Posterior:
        """Return q(z | x) in float32 with a sample, mean + exp(logvar / 2) * noise."""
        mean, logvar = (part.float() for part in self.encode(images))
        return Posterior(mean=mean, logvar=logvar, sample=mean).resampled(generator)

    def latent_weights(self) -> Tensor:
        """Return how strongly the decoder uses each latent: the norm of its column in the first layer, (D,)."""
        first = next(module for module in self.decoder.modules() if isinstance(module, nn.Linear | nn.Conv2d))
        return first.weight.detach().flatten(2 if first.weight.ndim > 2 else 1).transpose(0, 1).flatten(1).norm(dim=1)


def compile_model(
    model: AutoEncoder, *, device: torch.device, precision: Precision, compiled: Compile = "none"
) -> None:
    """Move `model` to `device`, channels last, and wrap its `encode` and `decode`; parameters stay as they are.

    Args:
        model: the autoencoder.
        device: where it is moved.
        precision: "bf16" runs both functions under autocast.
        compiled: mode of `torch.compile`; "cuda-graphs" asks it for CUDA graphs.

    Raises:
        InvalidArgumentError: `compiled` is unknown, or CUDA graphs are requested without a CUDA device.
    """
    if compiled not in get_args(Compile):
        raise InvalidArgumentError(
            f"`compiled` is {compiled!r}, but must be one of {', '.join(get_args(Compile))}", field="compiled"
        )
    if compiled == "cuda-graphs" and device.type != "cuda":
        raise InvalidArgumentError(
            "`compiled` is 'cuda-graphs', which needs a CUDA device; choose default or none", field="compiled"
        )
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compiled != "none":
        torch._functorch.config.donated_buffer = False  # a step differentiates some of its terms separately
    for name in ("encode", "decode"):
        function = getattr(model, name)
        if compiled != "none":
            function = torch.compile(function, mode="reduce-overhead" if compiled == "cuda-graphs" else None)
        setattr(model, name, _autocast(function, device) if precision == "bf16" else function)


def _autocast(function: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    @wraps(function)
    def run(*arguments: Any) -> Any:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return function(*arguments)

    return run
