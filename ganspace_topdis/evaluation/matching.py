"""Comparison of sets of directions: recovery of known ones, matching of two sets, and agreement between seeds.

A similarity s_kl of direction k of one set and direction l of another is

    displacements   s_kl = cos(v_k, u_l)
    image changes   s_kl = mean over codes c of cos(G(c + v_k) - G(c), G(c + u_l) - G(c))

Pairs are one to one and maximize the sum of |s| (Hungarian method, Kuhn 1955). A direction has neither sign nor length
here; the sign of a pair tells whether both run the same way. Image changes also compare sets of different spaces.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions

__all__ = [
    "Matching",
    "Recovery",
    "agreement",
    "agreement_of_each",
    "coordinate_recovery",
    "effect_sizes",
    "image_changes",
    "match",
    "match_changes",
    "match_displacements",
    "recovery",
]


@dataclass(frozen=True)
class Recovery:
    """How well directions recover L true ones.

    Attributes:
        cosines: |cos| of each true direction with its match, or 0 without a match.
        matched: the index of the match of each true direction, or -1.
        mean: mean of `cosines`.
        worst: smallest of `cosines`.
    """

    cosines: tuple[float, ...]
    matched: tuple[int, ...]
    mean: float
    worst: float

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)


def recovery(found: Tensor, true: Tensor) -> Recovery:
    """Match directions `found` (K, D) to the `true` ones (L, D) by |cos|.

    Raises:
        InvalidArgumentError: the sets differ in D, a direction is zero or not finite, or there is no true one.

    >>> recovery(torch.tensor([[0.0, -2.0], [1.0, 0.0]]), torch.eye(2)).cosines
    (1.0, 1.0)
    """
    if found.ndim != 2 or true.ndim != 2 or found.shape[1] != true.shape[1]:
        raise InvalidArgumentError(f"directions {tuple(found.shape)} and {tuple(true.shape)} must be (K, D) and (L, D)")
    if len(true) == 0:
        raise InvalidArgumentError("there are no true directions to recover; give one or more")
    a, b = _units(true), _units(found)
    cosines = (a @ b.T).abs().clamp(max=1).numpy()
    matched = match(cosines.T)
    best = [float(cosines[k, i]) if i >= 0 else 0.0 for k, i in enumerate(matched)]
    return Recovery(tuple(best), matched, float(np.mean(best)), min(best))


def coordinate_recovery(coordinates: Tensor, true: Tensor) -> Recovery:
    """Match `coordinates` (n, K) of n codes to the `true` ones (n, L) by |correlation|.

    For generators whose factors are a known function of another code than the one that is searched, such as z of a
    StyleGAN2 whose w is searched.

    Raises:
        InvalidArgumentError: the arrays differ in n, or a coordinate is constant or not finite.

    >>> t = torch.linspace(-1, 1, 5)
    >>> coordinate_recovery(torch.stack([t**2, -t], dim=1), t[:, None]).matched
    (1,)
    """
    if coordinates.ndim != 2 or true.ndim != 2 or len(coordinates) != len(true):
        raise InvalidArgumentError(
            f"coordinates {tuple(coordinates.shape)} and {tuple(true.shape)} must be (n, K) and (n, L)"
        )
    return recovery(_centered(coordinates), _centered(true))


def _centered(coordinates: Tensor) -> Tensor:
    """A row for each of the coordinates (n, K), with mean 0."""
    exact = coordinates.detach().cpu().double()
    if (exact.max(dim=0).values == exact.min(dim=0).values).any():
        raise InvalidArgumentError("a coordinate is the same for all codes; leave it out")
    return (exact - exact.mean(0)).T


def match(scores: Any) -> tuple[int, ...]:
    """The row of each column of `scores` (K, L) in the one-to-one matching with the largest sum, or -1."""
    from scipy.optimize import linear_sum_assignment

    if isinstance(scores, Tensor):
        scores = scores.detach().cpu()
    rows, columns = linear_sum_assignment(-np.asarray(scores, dtype=np.float64))
    matched = np.full(np.shape(scores)[1], -1)
    matched[columns] = rows
    return tuple(int(row) for row in matched)


def _units(directions: Tensor) -> Tensor:
    rows = directions.detach().cpu().double()
    norms = rows.norm(dim=1, keepdim=True)
    if not torch.isfinite(rows).all() or (norms == 0).any():
        raise InvalidArgumentError("directions must be finite and different from zero")
    return rows / norms


@dataclass(frozen=True)
class Matching:
    """The partners of K directions in another set.

    Attributes:
        partner: the index of each partner, or -1 without one.
        similarity: |s| of each pair, in [0, 1], or 0 without a partner.
        sign: 1 if the pair runs the same way, else -1.
    """

    partner: tuple[int, ...]
    similarity: tuple[float, ...]
    sign: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean similarity over the directions that have a partner; 0 without any."""
        matched = [value for value, partner in zip(self.similarity, self.partner, strict=True) if partner >= 0]
        return sum(matched) / len(matched) if matched else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {**asdict(self), "mean": self.mean}


def match_displacements(first: Directions, second: Directions) -> Matching:
    """Match two sets by the cosines of their displacements.

    Raises:
        InvalidArgumentError: the sets belong to codes of different widths.
    """
    if first.code_dim != second.code_dim:
        raise InvalidArgumentError(
            f"directions of codes of {first.code_dim} and {second.code_dim} numbers have no common displacements; "
            "match them by their image changes"
        )
    return _matching(F.normalize(first.vectors.double(), dim=1) @ F.normalize(second.vectors.double(), dim=1).T)


def match_changes(first: Tensor, second: Tensor) -> Matching:
    """Match two sets by their image changes (K, N, ...) and (L, N, ...) for the same N codes.

    Raises:
        InvalidArgumentError: the changes differ in N or in the shape of the images, or are not finite.
    """
    if first.shape[1:] != second.shape[1:]:
        raise InvalidArgumentError(f"changes {tuple(first.shape)} and {tuple(second.shape)} are not of the same images")
    if not (torch.isfinite(first).all() and torch.isfinite(second).all()):
        raise InvalidArgumentError("changes are not finite; check the images")
    a, b = (F.normalize(changes.flatten(2).to(_precise(changes)), dim=2) for changes in (first, second))
    return _matching(torch.einsum("knf,lnf->kl", a, b).cpu().double() / first.shape[1])


def _precise(values: Tensor) -> torch.dtype:
    """The type of the values, but not half: there, what keeps `normalize` from dividing by 0 is itself 0."""
    return torch.float32 if values.dtype == torch.half else values.dtype


@torch.no_grad()
def image_changes(
    generate: Generate,
    directions: Directions,
    codes: Tensor,
    *,
    layers: Sequence[int] | None = None,
    batch_size: int = 16,
) -> Tensor:
    """The changes (K, N, ...), on the CPU, of images by one standard deviation along each direction.

    Args:
        generate: codes -> images or features (N, ...).
        directions: K directions.
        codes: (N, D) or (N, num_layers, D).
        layers: indices of the layers that move; all by default.
        batch_size: images at a time.
    """
    directions = directions.in_sigmas()
    before = torch.cat([generate(batch) for batch in codes.split(batch_size)])
    moved = (directions.move(codes, index, 1.0, layers=layers) for index in range(directions.num_directions))
    return torch.stack([torch.cat([generate(b) for b in each.split(batch_size)]) - before for each in moved]).cpu()


def _matching(similarity: Tensor) -> Matching:
    partner = match(similarity.abs().T.numpy())
    pairs = [0.0 if other < 0 else float(similarity[index, other]) for index, other in enumerate(partner)]
    return Matching(partner, tuple(min(abs(value), 1.0) for value in pairs), tuple(-1 if v < 0 else 1 for v in pairs))


def agreement(sets: Sequence[Directions]) -> float:
    """Mean |cos| of matched directions over all pairs of sets, in [0, 1]; 1 if all seeds find the same directions.

    Of sets of different sizes the directions without a partner do not count.

    Raises:
        InvalidArgumentError: there are fewer than two sets, or sets of different code widths.
    """
    if len(sets) < 2:
        raise InvalidArgumentError(f"agreement needs the directions of at least two seeds, got {len(sets)}")
    pairs = [(a.vectors, b.vectors) for a, b in combinations(sets, 2)]
    means = [sum(recovery(a, b).cosines) / min(len(a), len(b)) for a, b in pairs]
    return sum(means) / len(means)


def agreement_of_each(directions: Directions, others: Sequence[Directions]) -> tuple[float | None, ...]:
    """The |cos| of each of K directions with its match in another set, averaged over the `others` in which it has one.

    None for a direction without a match, as some of K are in smaller sets.

    Raises:
        InvalidArgumentError: `others` is empty, or sets have different code widths.
    """
    if not others:
        raise InvalidArgumentError("agreement needs the directions of at least one other seed")
    found = [recovery(other.vectors, directions.vectors) for other in others]
    matched = [[each.cosines[k] for each in found if each.matched[k] >= 0] for k in range(directions.num_directions)]
    return tuple(sum(cosines) / len(cosines) if cosines else None for cosines in matched)


@torch.no_grad()
def effect_sizes(
    features: Callable[[Tensor], Tensor],
    directions: Directions,
    codes: Tensor,
    *,
    amount_sigma: float = 1.0,
    batch_size: int = 64,
) -> tuple[float, ...]:
    """The mean effect size of each of K directions per standard deviation, in units of the features.

    The effect size is the root mean square change || f(c + v) - f(c) || / sqrt(number of entries).

    Args:
        features: codes -> images or activations (N, ...).
        directions: K directions.
        codes: (N, D) or (N, num_layers, D).
        amount_sigma: length of the shift, standard deviations, not 0.
        batch_size: codes at a time.
    """
    batches, directions = codes.split(batch_size), directions.in_sigmas()
    base = [features(batch).flatten(1) for batch in batches]
    sizes = []
    for index in range(directions.num_directions):
        moved = (features(directions.move(batch, index, amount_sigma)).flatten(1) for batch in batches)
        steps = [(a - b).square().mean(dim=1).sqrt() for a, b in zip(moved, base, strict=True)]
        sizes.append(float(torch.cat(steps).mean()) / abs(amount_sigma))
    return tuple(sizes)
