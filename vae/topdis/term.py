"""The TopDis term: decoded clouds before and after a shift of one latent shall have one topology (Balabin et al. 2024).

A latent and a sign are drawn, the batch's codes are shifted along that latent so that their law stays as it is
(`ganspace_topdis.latent.shift`), both sets of codes are decoded, and a divergence between the two clouds of images
is the loss. Rows whose shift leaves the law's support are left out of both.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.latent.shift import gaussian_shift
from vae.networks.autoencoder import AutoEncoder, Posterior
from vae.topdis.cloud_losses import cloud_loss
from vae.topdis.settings import Features, TopDisSettings

__all__ = ["FEATURES", "ShiftChoice", "TopDisTerm"]

_FEWEST_ROWS = 4
"""With fewer rows left after a shift, two clouds say nothing about topology."""
_POOLED_PX = 16

FEATURES: dict[Features, Callable[[Tensor], Tensor]] = {
    "pixels": torch.sigmoid,
    "logits": lambda logits: logits,
    "pooled": lambda logits: F.adaptive_avg_pool2d(logits.sigmoid(), _POOLED_PX),
}
"""What is compared, from logits (N, C, H, W)."""


@dataclass(frozen=True, kw_only=True)
class ShiftChoice:
    """The latent that a step shifts, and by how much (C with its sign)."""

    index: int
    amount: float


class TopDisTerm:
    """The loss; see the module.

    Args:
        settings: see `TopDisSettings`.
        features: logits (N, C, H, W) -> (N, ...), differentiable; that of the settings by default.
    """

    def __init__(self, settings: TopDisSettings, features: Callable[[Tensor], Tensor] | None = None) -> None:
        self.settings = settings
        self._features = FEATURES[settings.features] if features is None else features
        self._divergence = cloud_loss(settings.loss, settings.p)

    def choose(self, model: AutoEncoder, rng: np.random.Generator) -> ShiftChoice:
        """Draw the latent and the sign of a step."""
        law = None
        if self.settings.choice == "weighted":
            weights = model.latent_weights().double().cpu().numpy()
            law = weights / weights.sum() if weights.sum() > 0 else None
        index = int(rng.choice(model.num_latents, p=law))
        return ShiftChoice(index=index, amount=self.settings.shift * (1 if rng.integers(2) else -1))

    def __call__(
        self, model: AutoEncoder, posterior: Posterior, choice: ShiftChoice, *, decoded: Tensor | None = None
    ) -> Tensor:
        """The loss, unweighted, a scalar; zero where fewer than four rows can be shifted.

        Args:
            model: decodes.
            posterior: of the batch whose codes are shifted.
            choice: which latent, and how far.
            decoded: logits of the posterior's sample, where they are at hand: samples are not decoded again.
        """
        sampled = self.settings.codes == "sample"
        codes = (posterior.sample if sampled else posterior.mean)[: self.settings.points]
        shifted, kept = gaussian_shift(codes, choice.index, choice.amount)
        if len(shifted) < _FEWEST_ROWS:
            return 0 * codes.sum()
        if decoded is not None and sampled:
            before, after = decoded[: len(codes)][kept], model.decode(shifted).float()
        else:
            before, after = model.decode(torch.cat([codes[kept], shifted])).float().chunk(2)
        return self._divergence(self._features(before), self._features(after))
