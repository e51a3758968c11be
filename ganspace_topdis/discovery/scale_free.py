"""The losses of a search in the whole code: they depend on what a shift changes, not on how much.

Outside a span of leading axes a loss is lowered by changing nothing, so every term is invariant to the size of a
change. With v_i unit vectors of the whitened code, f the features, d_i = f(c + a_i v_i) - f(c) the change of a code by
direction i, and effect_i the mean of |d_i| over the mean distance of two random codes' features, a step lowers

    mean_i  D_i  +  w_o sum_{j != i} cos_A(v_i, v_j)^2  +  w_p mean_{j != i} overlap(d_i, d_j)  +  least-effect term

* D is the method's: log RTD_i - b log effect_i for TopDis (Balabin et al. 2024);
* cos_A is the cosine in the inner product A = E[J^T J], J = d f / d code: directions should have different effects.
  A is diagonal in the axes of the search (`discovery.active_subspace`);
* overlap is the cosine of |d_i| and |d_j|, mean over codes: directions should change different features;
* the least-effect term, 10 (1 - effect_i / (|a_i| m))^2 below m per standard deviation, keeps directions from fading.

A step draws one amount a_i for each direction, of random sign and size, and moves all codes of the step by it (the
reconstructor's term draws one for each code). The same losses without the last three terms serve a basis of the
span where a method is defined by `changes` alone.
"""

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery.active_subspace import Span
from ganspace_topdis.discovery.equal_effect import mean_distance, profile
from ganspace_topdis.discovery.losses import SearchLoss, contrastive_loss, divergences_of, topdis_divergence
from ganspace_topdis.discovery.reconstructor_loss import ReconstructorLoss
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.generators import Generate

__all__ = ["ScaleFreeLoss", "effect_cosines", "mean_overlap", "sparsity_of"]

_LEAST_EFFECT_WEIGHT = 10.0
_HESSIAN_STEP_SIGMA = 0.5
_NUM_PROBES = 2


class ScaleFreeLoss(SearchLoss):
    """Yields one loss, see the module; memory holds the features of N codes for every direction of a step.

    The methods' D:

    * topdis: log RTD_i - effect_power log effect_i;
    * hessian: log of the variance of second differences (Peebles et al. 2020, see `losses.HessianPenalty`; here with a
      step of half a standard deviation), less twice the mean of log (effect_i / |a_i|)^2, as a mixed derivative scales
      with the effects of both directions;
    * sparsity: log of the mean of |d_i|_1 / |d_i|_2 (after the L1 penalty of the Jacobian, Rhodes and Lee 2021,
      arXiv:2106.02923, which is not invariant to scale);
    * contrastive: `losses.contrastive_loss` of the changes (Yuksel et al. 2021);
    * reconstructor: the error of a network (Voynov and Babenko 2020, see `reconstructor_loss`);
    * overlap: nothing but the overlap.
    """

    own_learning_rate = ReconstructorLoss.own_learning_rate

    def __init__(self, outputs: Generate, span: Span, settings: DiscoverySettings) -> None:
        super().__init__(outputs, span, settings)
        whole = settings.search_in == "whole"
        self.orthogonality = settings.orthogonality if whole else 0.0
        self.least_effect = settings.least_effect if whole else 0.0
        self.overlap = settings.overlap if whole else float(settings.method == "overlap")
        self.spread = settings.shift_spread if whole else 0.0
        self.spectrum = span.spectrum[: span.size].to(span.axes.device, span.axes.dtype) if whole else None
        self.divergence = topdis_divergence(settings)
        self.reconstructor = ReconstructorLoss(outputs, span, settings) if settings.method == "reconstructor" else None

    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """Yields the sum of the terms for the directions drawn in this step."""
        chosen = torch.randperm(len(rotation), generator=rng)[: self.settings.directions_per_step]
        amounts = self._amounts(len(chosen), shift, rng).to(rotation)
        shifts = self._shifted(rotation[chosen.to(rotation.device)], codes, amounts)
        loss = self._criterion(shifts, rng)
        if self.orthogonality:
            loss = loss + self.orthogonality * self._similarity(rotation)
        if self.overlap and len(chosen) > 1:
            loss = loss + self.overlap * mean_overlap(shifts.changes)
        if self.least_effect:
            missing = F.relu(1 - shifts.per_sigma / self.least_effect)
            loss = loss + _LEAST_EFFECT_WEIGHT * missing.square().mean()
        if self.reconstructor is not None:
            loss = loss + next(self.reconstructor.losses(rotation, codes, shift, rng))
        yield loss

    def _amounts(self, count: int, shift: float, rng: torch.Generator) -> Tensor:
        """(count,) shifts of random sign, whose size varies around `shift`: one per direction, for all codes."""
        signs = torch.randint(2, (count,), generator=rng) * 2 - 1
        return shift * signs * (1 + self.spread * (2 * torch.rand(count, generator=rng) - 1))

    def _shifted(self, rows: Tensor, codes: Tensor, amounts: Tensor) -> "_Shifts":
        """The features of `codes` (N, D) before and after the shifts by `amounts` (k,) along `rows` (k, M)."""
        steps = amounts[:, None] * (rows @ self.span.axes)
        with torch.no_grad():
            before = self.outputs(codes).flatten(1)
        moved = (codes + steps[:, None]).flatten(0, 1)
        after = self.outputs(moved).flatten(1).unflatten(0, (len(rows), len(codes)))
        effects = (after - before).norm(dim=2).mean(1) / mean_distance(before)
        effects = effects.clamp(min=_tiny(effects))
        return _Shifts(rows=rows, codes=codes, before=before, after=after, amounts=amounts, effects=effects)

    def _criterion(self, shifts: "_Shifts", rng: torch.Generator) -> Tensor:
        """The mean of D over the directions, a scalar."""
        method = self.settings.method
        if method == "topdis":
            divergences = divergences_of(self.divergence, shifts.before, shifts.after)
            divergences = divergences.clamp(min=_tiny(divergences))
            return (divergences.log() - self.settings.effect_power * shifts.effects.log()).mean()
        if method == "hessian":
            return self._curvature(shifts, rng).log() - 4 * shifts.per_sigma.log().mean()
        if method == "sparsity":
            return sparsity_of(shifts.changes).log()
        if method == "contrastive":
            return contrastive_loss(shifts.changes)
        assert method in ("overlap", "reconstructor"), f"{method} has no term here"
        return shifts.effects.new_zeros(())

    def _curvature(self, shifts: "_Shifts", rng: torch.Generator) -> Tensor:
        """The variance of second differences over random signs, in squared distances of two random codes."""
        size = (_NUM_PROBES, len(shifts.codes), len(shifts.rows))
        signs = (torch.randint(2, size, generator=rng) * 2 - 1).to(shifts.rows)
        curvatures = []
        for step in _HESSIAN_STEP_SIGMA * signs @ (shifts.rows @ self.span.axes):
            ahead, behind = (self.outputs(shifts.codes + sign * step).flatten(1) for sign in (1, -1))
            curvatures.append((ahead - 2 * shifts.before + behind) / _HESSIAN_STEP_SIGMA**2)
        variance = torch.stack(curvatures).var(0).mean() / mean_distance(shifts.before).square()
        return variance.clamp(min=_tiny(variance))

    def _similarity(self, rotation: Tensor) -> Tensor:
        """The mean over directions of the sum of cos_A^2 with the others."""
        assert self.spectrum is not None, "the inner product is known in the whole code"
        return effect_cosines(rotation, self.spectrum).square().sum() / len(rotation) - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Shifts:
    """The shifts of one step: k unit vectors, N codes, features of F numbers.

    Attributes:
        rows: (k, M), the unit vectors.
        codes: (N, D).
        before: (N, F), the features before a shift.
        after: (k, N, F), those after it.
        amounts: (k,), standard deviations.
        effects: (k,), see the module.
    """

    rows: Tensor
    codes: Tensor
    before: Tensor
    after: Tensor
    amounts: Tensor
    effects: Tensor

    @property
    def changes(self) -> Tensor:
        """(k, N, F)."""
        return self.after - self.before

    @property
    def per_sigma(self) -> Tensor:
        """(k,), effects per standard deviation."""
        return self.effects / self.amounts.abs()


def effect_cosines(rotation: Tensor, spectrum: Tensor) -> Tensor:
    """The cosines (K, K) of the rows (K, M) in the inner product diag(`spectrum`), (M,).

    >>> effect_cosines(torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([1.0, 0.0]))
    tensor([[1., 1.],
            [1., 1.]])
    """
    units = F.normalize(rotation * spectrum.clamp(min=0).sqrt(), dim=1)
    return units @ units.T


def mean_overlap(changes: Tensor) -> Tensor:
    """The mean cosine of |change| between different directions, for `changes` (K, N, F) with K >= 2; a scalar.

    >>> apart = torch.eye(2)[:, None].expand(2, 3, 2)
    >>> mean_overlap(apart).item(), round(mean_overlap(torch.ones(2, 3, 2)).item(), 4)
    (0.0, 1.0)
    """
    count, num_codes, _ = changes.shape
    units = profile(changes).transpose(0, 1)
    cosines = units @ units.transpose(1, 2)
    others = 1 - torch.eye(count).to(cosines)
    return (cosines * others).sum() / (count * (count - 1) * num_codes)


def sparsity_of(changes: Tensor) -> Tensor:
    """The mean L1 over L2 norm of `changes` (K, N, F), over F^1/2: 1 for equal changes of all features; a scalar."""
    sizes = changes.norm(dim=2)
    return (changes.abs().sum(2) / sizes.clamp(min=_tiny(sizes))).mean() / changes.shape[2] ** 0.5


def _tiny(values: Tensor) -> float:
    return torch.finfo(values.dtype).tiny
