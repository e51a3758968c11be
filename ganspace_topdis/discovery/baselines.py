"""What TopDis is compared with: directions that cost nothing or almost nothing to find.

* random: a random orthonormal basis of the same span, TopDis's own start;
* span-axes: the axes of the span themselves, in the order of its spectrum;
* ganspace: the leading principal components of the codes (Harkonen et al. 2020);
* sefa: the leading right singular vectors of the stacked weights that read the code (Shen and Zhou 2021);
* axes: the coordinate axes of the code, those of the largest variance.

All give `Directions`: one standard deviation of the codes along each, so that shifts and pictures compare.
"""

import torch
from torch import Tensor

from ganspace_topdis.discovery.objective import to_directions
from ganspace_topdis.discovery.span import pca_span
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions

__all__ = ["coordinate_axes", "ganspace", "sefa", "unit_directions"]


def ganspace(codes: Tensor, num_directions: int) -> Directions:
    """The `num_directions` leading principal components of `codes` (n, D).

    Raises:
        InvalidArgumentError: the codes vary along fewer axes.
    """
    span = pca_span(codes, size=num_directions)
    return to_directions(span, torch.eye(num_directions).to(span.axes))


def sefa(weight: Tensor, codes: Tensor, num_directions: int) -> Directions:
    """Closed-form factorisation: the leading right singular vectors of `weight` (rows, D), rows normalised.

    Args:
        weight: all weights that read the code, stacked; for StyleGAN2 the style affines of the convolutions.
        codes: (n, D), for the length of a step.
        num_directions: K <= D.
    """
    rows = weight.double() / weight.double().norm(dim=1, keepdim=True).clamp(min=1e-30)
    _, _, vectors = torch.linalg.svd(rows, full_matrices=False)
    return unit_directions(vectors[: _checked(num_directions, len(vectors))].to(codes), codes)


def coordinate_axes(codes: Tensor, num_directions: int) -> Directions:
    """The coordinate axes along which `codes` (n, D) vary most, most first."""
    count = _checked(num_directions, codes.shape[1])
    chosen = codes.var(0).argsort(descending=True, stable=True)[:count]
    return unit_directions(torch.eye(codes.shape[1]).to(codes)[chosen], codes)


def unit_directions(vectors: Tensor, codes: Tensor) -> Directions:
    """Directions along the unit `vectors` (K, D), a step being one standard deviation of `codes` (n, D) along each."""
    deviations = ((codes - codes.mean(0)) @ vectors.T).std(0)[:, None]
    return Directions(
        vectors=(vectors * deviations).float().cpu(),
        readouts=(vectors / deviations.clamp(min=1e-30)).float().cpu(),
        mean=codes.mean(0).float().cpu(),
        span=vectors.float().cpu(),
        scales=deviations[:, 0].float().cpu(),
    )


def _checked(num_directions: int, available: int) -> int:
    if not 1 <= num_directions <= available:
        raise InvalidArgumentError(f"{num_directions} directions were asked for, there are 1 to {available}")
    return num_directions
