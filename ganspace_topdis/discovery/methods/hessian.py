"""The Hessian penalty: directions whose effects add up (Peebles et al. 2020, arXiv:2008.10599).

Let F(a) = f(c + sum_i a_i v_i) be the features as a function of K amounts, H the Hessian of one feature at a = 0.
Directions that act independently have H diagonal. For a vector r of random signs, r^T H r has the variance
2 sum_{i != j} H_ij^2 (their Eq. 5), and r^T H r is the second difference

    (F(e r) - 2 F(0) + F(-e r)) / e^2

up to O(e^2) (their Eq. 6). The loss is the variance over probes r, averaged over features and codes. V being a
whole orthonormal basis of the span, sum_ij H_ij^2 is the same for all V, so no V wins by doing nothing.

Deviations: they take the largest feature's variance, which few codes estimate badly; two probes are theirs, e is
0.1 standard deviations of the codes here; the loss is divided by the features' own variance, so that the learning
rate means the same for every generator.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ganspace_topdis.discovery.methods.base import Objective

__all__ = ["HessianPenalty"]

_NUM_PROBES = 2
_STEP_SIGMA = 0.1


class HessianPenalty(Objective):
    """One part; see `Objective`. The shift is not used: a second derivative is local."""

    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """The variance of the second differences over the probes."""
        axes = rotation @ self.span.axes
        signs = torch.randint(2, (_NUM_PROBES, len(codes), len(rotation)), generator=rng) * 2 - 1
        steps = _STEP_SIGMA * signs.to(axes) @ axes
        with torch.no_grad():
            middle = self.outputs(codes).flatten(1)
        curvatures = []
        for step in steps:
            ahead, behind = (self.outputs(codes + sign * step).flatten(1) for sign in (1, -1))
            curvatures.append((ahead - 2 * middle + behind) / _STEP_SIGMA**2)
        yield torch.stack(curvatures).var(0).mean() / middle.var(0).mean().clamp(min=torch.finfo(middle.dtype).tiny)
