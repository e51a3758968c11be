"""Which direction of one set is which of another, by their displacements or by what they do to images.

    displacements   s_kl = cos(v_k, u_l)
    image changes   s_kl = mean over codes c of cos(G(c + v_k) - G(c), G(c + u_l) - G(c))

Pairs are one to one and maximise the sum of |s| (the Hungarian method); the sign says whether a pair runs the
same way. Image changes compare sets of different spaces too, as the images are the same.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.recovery import match
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions

__all__ = ["Matching", "image_changes", "match_changes", "match_displacements"]


@dataclass(frozen=True)
class Matching:
    """For each of K directions its partner in the other set.

    Attributes:
        partner: the other's index, or -1 for lack of one.
        similarity: |s| of the pair, 0 without a partner.
        sign: 1 where the pair runs the same way, else -1.
    """

    partner: tuple[int, ...]
    similarity: tuple[float, ...]
    sign: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean similarity over all K."""
        return sum(self.similarity) / len(self.similarity)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {**asdict(self), "mean": self.mean}


def match_displacements(first: Directions, second: Directions) -> Matching:
    """Match by the cosines of the displacements.

    Raises:
        InvalidArgumentError: the codes differ in width.
    """
    if first.code_dim != second.code_dim:
        raise InvalidArgumentError(
            f"directions of {first.code_dim} and {second.code_dim} numbers cannot be matched by their displacements"
        )
    return _matching(F.normalize(first.vectors.double(), dim=1) @ F.normalize(second.vectors.double(), dim=1).T)


def match_changes(first: Tensor, second: Tensor) -> Matching:
    """Match by image changes (K, N, ...) and (L, N, ...) of the same N codes.

    Raises:
        InvalidArgumentError: the changes are of other codes or other images.
    """
    if first.shape[1:] != second.shape[1:]:
        raise InvalidArgumentError(f"changes {tuple(first.shape)} and {tuple(second.shape)} are not of the same images")
    a, b = (F.normalize(changes.flatten(2), dim=2) for changes in (first, second))
    return _matching(torch.einsum("knf,lnf->kl", a, b).double() / first.shape[1])


@torch.no_grad()
def image_changes(
    generate: Generate,
    directions: Directions,
    codes: Tensor,
    *,
    layers: Sequence[int] | None = None,
    batch_size: int = 16,
) -> Tensor:
    """How images change by one standard deviation along each direction: (K, N, ...) on the CPU.

    Args:
        generate: codes to images or features (N, ...).
        directions: K directions.
        codes: (N, D) or (N, num_layers, D).
        layers: which layers move; all by default.
        batch_size: images at a time.
    """
    before = torch.cat([generate(batch) for batch in codes.split(batch_size)])
    moved = (directions.move(codes, index, 1.0, layers=layers) for index in range(directions.num_directions))
    return torch.stack([torch.cat([generate(b) for b in each.split(batch_size)]) - before for each in moved]).cpu()


def _matching(similarity: Tensor) -> Matching:
    partner = match(similarity.abs().T.numpy())
    pairs = [0.0 if other < 0 else float(similarity[index, other]) for index, other in enumerate(partner)]
    return Matching(partner, tuple(min(abs(value), 1.0) for value in pairs), tuple(-1 if v < 0 else 1 for v in pairs))
