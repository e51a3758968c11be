"""What TopDis is compared with: directions that cost nothing or almost nothing to find.

* random: a random orthonormal basis of the same span, TopDis's own start;
* span-axes: the axes of the span themselves, in the order of its spectrum;
* ganspace: the leading principal components of the codes (Harkonen et al. 2020, arXiv:2004.02546);
* ganspace-features: those of a layer's activations, regressed to the code, as the same paper does for spaces
  that are isotropic themselves;
* sefa: the leading right singular vectors of the stacked weights that read the code (Shen and Zhou 2021,
  arXiv:2007.06600);
* axes: the coordinate axes of the code, those of the largest variance; for style channels, whose variances do not
  compare, those that the span moves most.

All give `Directions`: one standard deviation of the codes along each, so that shifts and pictures compare.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ganspace_topdis.discovery.objective import to_directions
from ganspace_topdis.discovery.settings import Whitening
from ganspace_topdis.discovery.span import pca_span
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions

__all__ = ["coordinate_axes", "ganspace", "ganspace_of_features", "sefa", "unit_directions"]


def ganspace(codes: Tensor, num_directions: int, *, whitening: Whitening = "full") -> Directions:
    """The `num_directions` leading principal components of `codes` (n, D); see `discovery.span` for `whitening`.

    Raises:
        InvalidArgumentError: the codes vary along fewer axes.
    """
    span = pca_span(codes, size=num_directions, whitening=whitening)
    return to_directions(span, torch.eye(num_directions).to(span.axes))


@torch.no_grad()
def ganspace_of_features(
    features: Callable[[Tensor], Tensor],
    codes: Tensor,
    num_directions: int,
    *,
    num_codes: int = 2048,
    micro_batch: int = 64,
) -> Directions:
    """The directions u_k of the code that best explain the leading components of the activations.

    With x_jk the coordinates of code j's activations in their principal components, u minimises
    sum_j |c_j - mean - sum_k x_jk u_k|^2. The components are found incrementally, so that a batch of activations
    is in memory and not all.

    Args:
        features: codes (N, D) -> activations (N, ...).
        codes: (n, D); the first `num_codes` are used for the components, all for the length of a step.
        num_directions: K.
        num_codes: see `codes`.
        micro_batch: activations at a time, raised to 2 K, which a component analysis needs.
    """
    from sklearn.decomposition import IncrementalPCA

    used = codes[:num_codes]
    chunks = used.split(max(micro_batch, 2 * num_directions))
    if len(chunks) > 1 and len(chunks[-1]) < num_directions:
        chunks = (*chunks[:-2], torch.cat(chunks[-2:]))
    components = IncrementalPCA(n_components=_checked(num_directions, min(codes.shape[1], len(used))))
    for chunk in chunks:
        components.partial_fit(features(chunk).flatten(1).double().cpu().numpy())
    coordinates = torch.cat(
        [torch.from_numpy(components.transform(features(chunk).flatten(1).double().cpu().numpy())) for chunk in chunks]
    )
    centred = (used - used.mean(0)).double().cpu()
    vectors = torch.linalg.lstsq(coordinates, centred).solution
    return unit_directions(torch.nn.functional.normalize(vectors, dim=1).to(codes), codes)


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


def coordinate_axes(codes: Tensor, num_directions: int, *, importance: Tensor | None = None) -> Directions:
    """The coordinate axes along which `codes` (n, D) vary most, or those of the largest `importance` (D,)."""
    count = _checked(num_directions, codes.shape[1])
    order = codes.var(0) if importance is None else importance
    chosen = order.argsort(descending=True, stable=True)[:count]
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
