"""The two terms that every method has: reconstruction and KL divergence, per image.

reconstruction  summed over pixels and channels, averaged over the batch
    bernoulli   - sum x log p + (1 - x) log(1 - p),  p = sigmoid(logits), also for colours in [0, 1]
    gaussian    sum (x - sigmoid(logits))^2
KL(q(z|x) || N(0, 1)) = 1/2 sum_j (mean_j^2 + var_j - log var_j - 1)          (Kingma and Welling 2014)
"""

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

__all__ = ["Likelihood", "gaussian_kl", "reconstruction_loss"]

Likelihood = Literal["bernoulli", "gaussian"]


def reconstruction_loss(logits: Tensor, images: Tensor, likelihood: Likelihood = "bernoulli") -> Tensor:
    """The reconstruction term of logits and images (B, C, H, W); a scalar."""
    if likelihood == "bernoulli":
        return F.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
    return F.mse_loss(logits.sigmoid(), images, reduction="sum") / len(images)


def gaussian_kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL divergence from N(0, 1) of each latent, averaged over the batch, nats: (B, D), (B, D) -> (D,)."""
    return 0.5 * (mean.square() + logvar.exp() - logvar - 1).mean(dim=0)
