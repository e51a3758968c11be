"""LatentCLR with global directions: a direction changes all images alike (Yuksel et al. 2021, arXiv:2104.00820).

Direction k changes the features of code n by d_kn = f(c_n + a v_k) - f(c_n). Changes of one direction attract and
those of different directions repel each other (their Eq. 4, after NT-Xent of Chen et al. 2020):

    l_kn = -log( sum_{m != n} exp(cos(d_kn, d_km) / t)  /  sum_{l != k, m} exp(cos(d_kn, d_lm) / t) )

averaged over k and n, with their t = 0.5. Deviations: V is orthonormal in whitened coordinates (theirs are free
unit vectors), and the sign of a is drawn for each direction in each step.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery.methods.base import Objective

__all__ = ["Contrastive", "contrastive_loss"]

_TEMPERATURE = 0.5


class Contrastive(Objective):
    """One part; see `Objective`. Memory holds the features of N codes for every direction."""

    def losses(self, rotation: Tensor, codes: Tensor, shift: float, rng: torch.Generator) -> Iterator[Tensor]:
        """The contrastive loss of the changes along all directions."""
        signs = torch.randint(2, (len(rotation), 1), generator=rng) * 2 - 1
        steps = shift * signs.to(rotation) * (rotation @ self.span.axes)
        moved = (codes + steps[:, None]).flatten(0, 1)
        with torch.no_grad():
            before = self.outputs(codes).flatten(1)
        after = self.outputs(moved).flatten(1)
        yield contrastive_loss(after.unflatten(0, (len(rotation), len(codes))) - before)


def contrastive_loss(changes: Tensor) -> Tensor:
    """The loss of `changes` (K, N, F): direction, code, feature; K and N at least 2.

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
