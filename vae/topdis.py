"""The TopDis loss: decoded clouds before and after a shift of one latent should have the same topology.

A latent and a sign are drawn, the batch's codes are shifted along that latent so that their distribution is preserved
(`ganspace_topdis.latent.shift`), both sets of codes are decoded, and a divergence between the two clouds of images is
the loss (Balabin et al. 2024). Rows that the shift would move outside the distribution's support are dropped from both.

The divergence is RTD, RTD as in the release (`released_rtd`), or a control without topology. x, y are (N, F); row k of
y is row k of x after the shift. The controls divide distances by s, the 0.9 quantile of the distances within x (without
gradient), as RTD does, so that the same weight suits all:

    l2       mean_k |x_k - y_k|^2 / s^2
    chamfer  1/2 mean_k min_l |x_k - y_l| / s + 1/2 mean_l min_k |x_k - y_l| / s
    mmd      mean k(x, x') + mean k(y, y') - 2 mean k(x, y),  k(a, b) = exp(-|a - b|^2 / (2 h^2)), h the median
             distance within x (Gretton et al. 2012, the biased estimate; no gradient through h)

The gradient of a step keeps the TopDis term from opposing other terms (Balabin et al. 2024):

    none            grad(reconstruction + penalty + topdis)
    reconstruction  grad(reconstruction) + grad(penalty) + g,  g = grad(topdis) made not to oppose the first
    all             grad(reconstruction + penalty) + g,        g = grad(topdis) made not to oppose the sum

Nothing is differentiated twice: terms that need not be kept apart are summed first.

The released code (version="released" in the settings; rtd_regularizer.py of each folder) differs in the clouds too:
they are of the other terms' batch, encoded once more with noise of their own, and every row is kept whose shifted
probability lies within (0, 1), however close to an end (`ganspace_topdis.latent.shift` has a margin by default).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.latent.gradients import orthogonalize_gradient
from ganspace_topdis.latent.shift import gaussian_shift, shift_values
from ganspace_topdis.topology import RTDLoss, rtd_lite
from ganspace_topdis.topology.barcode import cross_barcode
from ganspace_topdis.topology.distances import (
    as_point_pairs,
    interpolated_quantile,
    normalized_distances,
    require_finite,
)
from ganspace_topdis.topology.total_persistence import MIN_ROWS
from vae.networks.autoencoder import AutoEncoder, Posterior
from vae.settings import CloudLoss, Features, Orthogonalization, TopDisSettings

__all__ = [
    "FEATURES",
    "ShiftChoice",
    "StepGradient",
    "TopDisTerm",
    "chamfer_loss",
    "cloud_loss",
    "l2_loss",
    "mmd_loss",
    "released_rtd",
    "step_gradient",
]

_MIN_SCALE = 1e-5
"""Scale of a cloud whose points coincide."""
NUM_BARS = 50
"""Bars of each cross-barcode that count in the release."""
_POOLED_PX = 16

FEATURES: dict[Features, Callable[[Tensor], Tensor]] = {
    "pixels": torch.sigmoid,
    "logits": lambda logits: logits,
    "pooled": lambda logits: F.adaptive_avg_pool2d(logits.sigmoid(), _POOLED_PX),
}
"""What is compared, computed from logits (N, C, H, W)."""


@dataclass(frozen=True, kw_only=True)
class ShiftChoice:
    """The latent that a step shifts, and by how much (C with its sign)."""

    index: int
    amount: float


class TopDisTerm:
    """The TopDis loss; see the module.

    Args:
        settings: see `TopDisSettings`.
        features: logits (N, C, H, W) -> (N, ...), differentiable; by default those named in the settings.
    """

    def __init__(self, settings: TopDisSettings, features: Callable[[Tensor], Tensor] | None = None) -> None:
        self.settings = settings
        self._features = FEATURES[settings.features] if features is None else features
        self._divergence = cloud_loss(settings.loss, settings.p)

    def choose(self, num_latents: int, rng: np.random.Generator, weights: Sequence[float] | None = None) -> ShiftChoice:
        """Draw the latent, with `weights` in proportion to them, and the sign of a step."""
        probabilities = None if weights is None or sum(weights) <= 0 else np.asarray(weights) / np.sum(weights)
        index = int(rng.choice(num_latents, p=probabilities))
        return ShiftChoice(index=index, amount=self.settings.shift * (1 if rng.integers(2) else -1))

    def __call__(
        self, model: AutoEncoder, posterior: Posterior, choice: ShiftChoice, *, decoded: Tensor | None = None
    ) -> Tensor:
        """Return the unweighted loss, a scalar; zero if fewer than four rows can be shifted.

        Args:
            model: the autoencoder.
            posterior: posterior of the batch whose codes are shifted.
            choice: which latent, and how far.
            decoded: logits of the posterior's sample, if available, so that samples are not decoded again.
        """
        sampled = self.settings.codes == "sample"
        codes = (posterior.sample if sampled else posterior.mean)[: self.settings.points]
        if codes.device.type != "cpu" and isinstance(self._divergence, RTDLoss):
            return self._masked_loss(
                model, codes, choice, decoded[: len(codes)] if decoded is not None and sampled else None
            )
        shifted, kept = gaussian_shift(codes, choice.index, choice.amount, margin=self.settings.margin)
        if len(shifted) < MIN_ROWS:
            return 0 * codes.sum()
        if decoded is not None and sampled:
            before, after = decoded[: len(codes)][kept], model.decode(shifted).float()
        else:
            before, after = model.decode(torch.cat([codes[kept], shifted])).float().chunk(2)
        return self._divergence(self._features(before), self._features(after))

    def _masked_loss(self, model: AutoEncoder, codes: Tensor, choice: ShiftChoice, decoded: Tensor | None) -> Tensor:
        """Return the same with all rows and a mask: a device waits for the host at every tensor of unknown size."""
        moved, kept = shift_values(codes[:, choice.index], choice.amount, margin=self.settings.margin)
        shifted = codes.index_copy(1, torch.tensor([choice.index], device=codes.device), moved[:, None])
        if decoded is None:
            before, after = model.decode(torch.cat([codes, shifted])).float().chunk(2)
        else:
            before, after = decoded, model.decode(shifted).float()
        assert isinstance(self._divergence, RTDLoss)
        loss: Tensor = self._divergence(self._features(before), self._features(after), kept=kept)
        return loss.nan_to_num(0.0)


def cloud_loss(kind: CloudLoss, p: float = 1.0) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the divergence `kind` of two clouds (N, ...); `p` is the power of the bar lengths of "rtd"."""
    if kind == "rtd":
        return RTDLoss(p=p)
    if kind == "rtd-released":
        return partial(released_rtd, p=p)
    return {"rtd-lite": _rtd_lite, "l2": l2_loss, "chamfer": chamfer_loss, "mmd": mmd_loss}[kind]


def _rtd_lite(x: Tensor, y: Tensor) -> Tensor:
    return rtd_lite(x, y, variant="minmax")


def released_rtd(x: Tensor, y: Tensor, *, p: float = 1, max_bars: int = NUM_BARS) -> Tensor:
    """Return the TopDis loss as its release computes it, a scalar, so that a study can have the published training.

    With A, B the normalized distances of x and y (see `ganspace_topdis.topology.rtd`), the corrected loss is half the
    sum of the bar lengths of four cross-barcodes. The release (github.com/nikitabalabin/TopDis, commit 2ca9d2e, rtd.py)
    deviates in two ways:

        max variant  as in the corrected loss
        min variant  births are read from min(A, B), but deaths from the second cloud's B (`DX_2`, lines 87 to 90 of
                     BetaTCVAE_TopDis), which is at least min(A, B): bars are too long, and the gradient of these
                     deaths goes to B alone
        both         only the 50 longest bars of each cross-barcode count (RTDRegularizer, `card`)

    A death edge on which outer and inner matrix agree is read from the outer one or the inner one, depending on the
    triangle that kills the bar; `cross_barcode` reports the triangle that the release's engine finds.

    Args:
        x: the cloud before the shift, (N, ...).
        y: the cloud after it; point i corresponds to point i of x.
        p: power of the bar lengths.
        max_bars: number of bars of each cross-barcode that count.

    Raises:
        InvalidArgumentError: the clouds do not fit each other, or a coordinate is not finite.

    >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    >>> round(float(released_rtd(square, 3 * square + 1)), 6)
    0.0
    """
    with torch.autocast(x.device.type, enabled=False):
        first, second = (normalized_distances(cloud) for cloud in as_point_pairs(x, y))
        require_finite(x=first.detach(), y=second.detach())
        smaller, larger = torch.minimum(first, second), torch.maximum(first, second)
        terms = [
            _longest_bars(first, smaller, second, p, max_bars),
            _longest_bars(second, smaller, second, p, max_bars),
            _longest_bars(larger, second, second, p, max_bars),
            _longest_bars(larger, first, first, p, max_bars),
        ]
        return torch.stack(terms).sum() / 2


def _longest_bars(outer: Tensor, inner: Tensor, deaths_in: Tensor, p: float, max_bars: int) -> Tensor:
    """Return the sum over the longest bars of |death - birth|^p, with deaths within `inner` read from `deaths_in`."""
    bars = cross_barcode(outer.detach(), inner.detach())
    longest = np.argsort(-bars.lengths, kind="stable")[:max_bars]
    born, died, in_outer = (
        torch.from_numpy(array[longest]).to(outer.device)
        for array in (bars.birth_edges, bars.death_edges, bars.death_in_outer)
    )
    births = inner[born[:, 0], born[:, 1]]
    deaths = torch.where(in_outer, outer[died[:, 0], died[:, 1]], deaths_in[died[:, 0], died[:, 1]])
    return (deaths - births).abs().pow(p).sum()


def l2_loss(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean squared distance between corresponding points, over the squared scale of x."""
    x, y = x.flatten(1), y.flatten(1)
    return (x - y).square().sum(dim=1).mean() / _scale(x, 0.9) ** 2


def chamfer_loss(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean distance to the nearest point of the other cloud, over the scale of x; ignores correspondence."""
    x, y = x.flatten(1), y.flatten(1)
    distances = torch.cdist(x, y)
    return 0.5 * (distances.amin(dim=0).mean() + distances.amin(dim=1).mean()) / _scale(x, 0.9)


def mmd_loss(x: Tensor, y: Tensor) -> Tensor:
    """Return the squared maximum mean discrepancy with a Gaussian kernel; ignores correspondence."""
    x, y = x.flatten(1), y.flatten(1)
    width = 2 * _scale(x, 0.5) ** 2

    def similarity(a: Tensor, b: Tensor) -> Tensor:
        return (-torch.cdist(a, b).square() / width).exp().mean()

    return similarity(x, x) + similarity(y, y) - 2 * similarity(x, y)


def _scale(x: Tensor, quantile: float) -> Tensor:
    """Return a quantile of the distances within a cloud, without gradient."""
    return interpolated_quantile(torch.pdist(x.detach()), quantile).clamp(min=_MIN_SCALE)


@dataclass(frozen=True, kw_only=True)
class StepGradient:
    """The gradient of a step as one vector, and the parts that it is the sum of, by the name of their terms."""

    total: Tensor
    parts: dict[str, Tensor]

    def blame(self) -> str:
        """Return the first term whose gradient is not finite; that of topdis depends on those before it."""
        return next((name for name, part in self.parts.items() if not torch.isfinite(part).all()), "the sum")


def step_gradient(
    parameters: Sequence[Tensor],
    flatten: Callable[[Sequence[Tensor | None]], Tensor],
    *,
    reconstruction: Tensor,
    penalty: Tensor,
    topdis: Tensor | None,
    orthogonalize: Orthogonalization,
) -> StepGradient:
    """Return the gradient of a step with respect to `parameters`.

    Args:
        parameters: what is optimized.
        flatten: turns a gradient per parameter, None for zeros, into one vector (see `vae.flat_adam`).
        reconstruction, penalty, topdis: scalar terms, already weighted; `topdis` None for a step without it.
        orthogonalize: terms that the TopDis term must not oppose; see the module.
    """

    def gradient(loss: Tensor, *, keep: bool = False) -> Tensor:
        return flatten(torch.autograd.grad(loss, parameters, retain_graph=keep, allow_unused=True))

    if topdis is None:
        total = gradient(reconstruction + penalty)
        return StepGradient(total=total, parts={"reconstruction + penalty": total})
    if orthogonalize == "none":
        total = gradient(reconstruction + penalty + topdis)
        return StepGradient(total=total, parts={"reconstruction + penalty + topdis": total})
    if orthogonalize == "all":
        parts = {"reconstruction + penalty": gradient(reconstruction + penalty, keep=True)}
        total = first = parts["reconstruction + penalty"]
    else:
        first = gradient(reconstruction, keep=True)
        parts = {"reconstruction": first, "penalty": gradient(penalty, keep=True)}
        total = first + parts["penalty"]
    own = orthogonalize_gradient(gradient(topdis), first)
    return StepGradient(total=total + own, parts={**parts, "topdis": own})
