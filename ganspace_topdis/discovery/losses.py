"""The losses of a search in a span: TopDis, the Hessian penalty and the contrastive loss.

A search moves an orthonormal matrix V (K, M) whose rows v_i are unit vectors in the whitened coordinates of a span
(`discovery.active_subspace`). f maps codes to features. The fourth loss, with a network of its own, is in
`discovery.reconstructor_loss`; those of a search in the whole code are in `discovery.scale_free`.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganspace_topdis.discovery.active_subspace import Span
from ganspace_topdis.discovery.equal_effect import mean_distance
from ganspace_topdis.discovery.settings import DiscoverySettings, ShiftKind
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.shift import shift_values
from ganspace_topdis.topology.rtd import RTDLoss
from ganspace_topdis.topology.rtd_lite import rtd_lite
from ganspace_topdis.topology.total_persistence import MIN_ROWS

__all__ = [
    "ContrastiveLoss",
    "HessianPenalty",
    "SearchLoss",
    "Shifted",
    "TopDisLoss",
    "contrastive_loss",
    "divergences_of",
    "shift_codes",
    "shift_codes_together",
    "topdis_divergence",
]

_NUM_PROBES = 2
_STEP_SIGMA = 0.1
_TEMPERATURE = 0.5


class SearchLoss(nn.Module, abc.ABC):
    """Base class of the losses. The mean of the yielded losses is minimized.

    The graph of one loss can be freed before the next is computed, so memory is that of one loss. The parameters of
    the module, a network that is trained along, are optimized together with V.

    Args:
        outputs: codes (N, D), for any N -> images or features (N, ...), differentiable.
        span: the span of V, M axes.
        settings: see `DiscoverySettings`.

    Attributes:
        own_learning_rate: learning rate of the parameters of the module, if it has any.
        micro_batch: codes whose graph fits into the memory, set by the search.
    """

    own_learning_rate: float = 0.0
    micro_batch: int = 1

    def __init__(self, outputs: Generate, span: Span, settings: DiscoverySettings) -> None:
        super().__init__()
        self.outputs, self.span, self.settings = outputs, span, settings

    @abc.abstractmethod
    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """Yields the losses of one step: scalars, or vectors of which entries that were not computed are NaN.

        Args:
            rotation: V (K, M).
            codes: (N, D), newly drawn.
            shift: length of the shift in this step (see `DiscoverySettings.shift`).
            rng: random generator for signs, choices and probes.
        """

    def drawn(self, rotation: Tensor, rng: torch.Generator) -> Tensor:
        """The indices of the rows of V (K, M) that a step shifts: all, or `directions_per_step` of them at random."""
        most = self.settings.directions_per_step
        if len(rotation) <= most:
            return torch.arange(len(rotation), device=rotation.device)
        return torch.randperm(len(rotation), generator=rng)[:most].to(rotation.device)


class TopDisLoss(SearchLoss):
    """Divergence between the topology of features before and after a shift (Balabin et al. 2024).

        L(V) = mean over directions i of TopDis(f(c), f(c shifted along v_i)),

    with a batch of codes c and TopDis the loss of `topology.RTDLoss`. With `per_effect` each term is divided by the
    effect of its shift, the mean distance that features move over the mean distance between random codes' features.
    Yields one loss per direction. On a device, where launches cost most, yields vectors, of as many directions as fit
    into the memory together. Deviations: the paper shows its search on StyleGAN by pictures only; the span, the shift
    in standard deviations and the normalization are this project's.
    """

    def __init__(self, outputs: Generate, span: Span, settings: DiscoverySettings) -> None:
        super().__init__(outputs, span, settings)
        self.divergence = topdis_divergence(settings)

    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """Yields the divergence for each of the directions drawn in this step."""
        settings = self.settings
        with torch.no_grad():
            before = self.outputs(codes).flatten(1)
        chosen = torch.randperm(len(rotation), generator=rng)[: settings.directions_per_step]
        amounts = shift * (2 * torch.randint(2, (len(chosen),), generator=rng) - 1)
        if codes.device.type != "cpu" and settings.divergence == "rtd" and not settings.per_effect:
            yield from self._together(rotation, codes, before, chosen, amounts)
            return
        distance = mean_distance(before)
        for index, amount in zip(chosen.tolist(), amounts.tolist(), strict=True):
            shifted = shift_codes(self.span, rotation[index], codes, amount, settings.shift_kind)
            if len(shifted.codes) < MIN_ROWS:
                continue
            after = self.outputs(shifted.codes).flatten(1)
            unshifted = shifted.rows_of(before)
            loss = self.divergence(unshifted, after)
            if settings.per_effect:
                moved = (after - unshifted).norm(dim=1).mean()
                loss = loss * distance / moved.clamp(min=torch.finfo(moved.dtype).tiny)
            yield loss

    def _together(
        self, rotation: Tensor, codes: Tensor, before: Tensor, chosen: Tensor, amounts: Tensor
    ) -> Iterator[Tensor]:
        """Yields the same for groups of directions, with masks instead of clouds of a size that depends on values."""
        size = max(1, self.micro_batch // len(codes))
        chosen, amounts = chosen.to(codes.device), amounts.to(codes)
        for rows, own in zip(chosen.split(size), amounts.split(size), strict=True):
            shifted, kept = shift_codes_together(self.span, rotation[rows], codes, own, self.settings.shift_kind)
            after = self.outputs(shifted.flatten(0, 1)).flatten(1).unflatten(0, shifted.shape[:2])
            yield divergences_of(self.divergence, before, after, kept)


def divergences_of(
    divergence: Callable[..., Tensor], before: Tensor, after: Tensor, kept: Tensor | None = None
) -> Tensor:
    """The divergences (k,) of one cloud (N, F) and k clouds (k, N, F); `kept` (k, N) is a mask for RTD."""
    if isinstance(divergence, RTDLoss):
        return divergence(before.expand_as(after), after, batched=True, kept=kept)
    return torch.stack([divergence(before, own) for own in after])


def topdis_divergence(settings: DiscoverySettings) -> Callable[[Tensor, Tensor], Tensor]:
    """The divergence of two clouds (N, F) that `settings` name."""
    if settings.divergence == "rtd":
        return RTDLoss(p=settings.p, variant=settings.variant)
    return functools.partial(rtd_lite, variant=settings.variant)


@dataclasses.dataclass(frozen=True)
class Shifted:
    """Codes after a shift, (M, D), and the indices (M,) of the rows of the batch that they belong to; None for all."""

    codes: Tensor
    kept: Tensor | None

    def rows_of(self, features: Tensor) -> Tensor:
        """The rows (M, F) of `features` (N, F) that belong to `codes`."""
        return features if self.kept is None else features[self.kept]


def shift_codes(span: Span, direction: Tensor, codes: Tensor, amount: float, kind: ShiftKind) -> Shifted:
    """Shift `codes` (N, D) along the unit vector `direction` (M,) of `span`.

    Args:
        span: the span of the direction.
        direction: (M,), a unit vector in the whitened coordinates of the span; gradients flow to it.
        codes: (N, D).
        amount: C of the Gaussian-preserving shift, or a number of standard deviations; signed.
        kind: "gaussian" or "sigma".
    """
    vector = direction @ span.axes
    if kind == "sigma":
        return Shifted(codes + amount * vector, None)
    values = (codes - span.mean) @ (direction @ span.projection)
    moved, mask = shift_values(values, amount)
    kept = mask.nonzero()[:, 0]  # indices: a GPU waits for the host at every indexing by a mask
    return Shifted((codes + (moved - values)[:, None] * vector)[kept], kept)


def shift_codes_together(
    span: Span, directions: Tensor, codes: Tensor, amounts: Tensor, kind: ShiftKind
) -> tuple[Tensor, Tensor | None]:
    """Shift `codes` (N, D) along k unit vectors (k, M) by `amounts` (k,), as `shift_codes` does along one.

    Returns:
        The codes (k, N, D) and the mask (k, N) of the rows that have an image, None for all.
    """
    vectors = (directions @ span.axes)[:, None]
    if kind == "sigma":
        return codes + amounts[:, None, None] * vectors, None
    values = (codes - span.mean) @ (directions @ span.projection).mT
    moved, kept = shift_values(values, amounts)
    return codes + (moved - values).mT[:, :, None] * vectors, kept.mT


class HessianPenalty(SearchLoss):
    """The Hessian penalty: directions whose effects add up (Peebles et al. 2020, arXiv:2008.10599).

    Let F(a) = f(c + sum_i a_i v_i) be a feature as a function of K amounts and H its Hessian at a = 0. Directions that
    act independently have a diagonal H. For a vector r of random signs, r^T H r has the variance 2 sum_{i != j} H_ij^2
    (their Eq. 5), and it equals the second difference

        (F(e r) - 2 F(0) + F(-e r)) / e^2

    up to O(e^2) (their Eq. 6). The loss is the variance over the probes r, averaged over features and codes. V is a
    complete orthonormal basis of the span, so sum_ij H_ij^2 is equal for all V, and no V wins by having no effect.
    The shift is not used, because a second derivative is local. Yields one loss.

    Deviations: they take the maximum over the features, which few codes estimate badly; two probes are theirs, e is
    0.1 standard deviations of the codes here; the loss is divided by the variance of the features, so that the
    learning rate has the same meaning for every generator.
    """

    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """Yields the variance of the second differences over the probes."""
        axes = rotation[self.drawn(rotation, rng)] @ self.span.axes
        signs = torch.randint(2, (_NUM_PROBES, len(codes), len(axes)), generator=rng) * 2 - 1
        steps = _STEP_SIGMA * signs.to(axes) @ axes
        with torch.no_grad():
            middle = self.outputs(codes).flatten(1)
        curvatures = []
        for step in steps:
            ahead, behind = (self.outputs(codes + sign * step).flatten(1) for sign in (1, -1))
            curvatures.append((ahead - 2 * middle + behind) / _STEP_SIGMA**2)
        yield torch.stack(curvatures).var(0).mean() / middle.var(0).mean().clamp(min=torch.finfo(middle.dtype).tiny)


class ContrastiveLoss(SearchLoss):
    """LatentCLR with global directions (Yuksel et al. 2021, arXiv:2104.00820).

    Direction k changes the features of code n by d_kn = f(c_n + a v_k) - f(c_n). Changes by one direction attract and
    those by different directions repel each other (their Eq. 4, after NT-Xent of Chen et al. 2020):

        l_kn = -log( sum_{m != n} exp(cos(d_kn, d_km) / t)  /  sum_{l != k, m} exp(cos(d_kn, d_lm) / t) )

    averaged over k and n, with their t = 0.5. Yields one loss; memory holds the features of N codes for every
    direction. Deviations: V is orthonormal in whitened coordinates (theirs are free unit vectors), and the sign of a
    is drawn per direction and step.
    """

    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """Yields the contrastive loss of the changes along the directions drawn in this step."""
        axes = rotation[self.drawn(rotation, rng)] @ self.span.axes
        signs = torch.randint(2, (len(axes), 1), generator=rng) * 2 - 1
        steps = shift * signs.to(axes) * axes
        moved = (codes + steps[:, None]).flatten(0, 1)
        with torch.no_grad():
            before = self.outputs(codes).flatten(1)
        after = self.outputs(moved).flatten(1)
        yield contrastive_loss(after.unflatten(0, (len(axes), len(codes))) - before)


def contrastive_loss(changes: Tensor) -> Tensor:
    """The loss of `changes` (K, N, F) per direction, code and feature, with K >= 2 and N >= 2; a scalar.

    >>> apart = torch.eye(2)[:, None].expand(2, 3, 2)
    >>> bool(contrastive_loss(apart) < contrastive_loss(torch.ones(2, 3, 2)))
    True
    """
    count, num_codes, _ = changes.shape
    units = F.normalize(changes.flatten(0, 1), dim=1)
    similar = units @ units.T / _TEMPERATURE
    label = torch.arange(count, device=changes.device).repeat_interleave(num_codes)
    same = label[:, None] == label
    itself = torch.eye(len(units), dtype=torch.bool, device=changes.device)
    attracted = similar.masked_fill(~same | itself, -torch.inf).logsumexp(1)
    repelled = similar.masked_fill(same, -torch.inf).logsumexp(1)
    return (repelled - attracted).mean()
