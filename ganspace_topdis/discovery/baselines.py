"""Baselines of the search: directions in closed form, at almost no cost.

* random: a random orthonormal basis of the span (`Discovery.random_rotation`);
* span-axes: the axes of the span, in the order of its spectrum;
* ganspace: the leading principal components of the codes (Harkonen et al. 2020, arXiv:2004.02546);
* ganspace-features: the principal components of a layer's activations, regressed to the code, as in the same paper for
  isotropic spaces;
* ica: independent components of the codes (Hyvarinen 1999), in the span of the leading principal components;
* sefa: the leading right singular vectors of the stacked weights that multiply the code (Shen and Zhou 2021,
  arXiv:2007.06600);
* axes: the coordinate axes of the code with the largest variance; for style channels, whose variances are not
  comparable, those whose change changes the features most (`active_subspace.effects_of_numbers`).

All return `Directions` with a length of one standard deviation of the codes, so that shifts and pictures are
comparable.
"""

from collections.abc import Callable
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganspace_topdis.discovery.active_subspace import pca_span, to_directions
from ganspace_topdis.discovery.parametrization import random_rotation
from ganspace_topdis.discovery.settings import Whitening
from ganspace_topdis.discovery.whitening import signed
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.directions import Directions

__all__ = ["coordinate_axes", "ganspace", "ganspace_of_features", "ica", "sefa", "unit_directions"]


def ganspace(codes: Tensor, num_directions: int, *, whitening: Whitening = "full") -> Directions:
    """The `num_directions` leading principal components of `codes` (n, D); see `discovery.whitening`.

    Raises:
        InvalidArgumentError: the codes have fewer components.
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

    With x_jk the coordinates of the activations of code j in their principal components, u minimizes
    sum_j |c_j - mean - sum_k x_jk u_k|^2. The components are computed incrementally, so that memory holds one batch of
    activations.

    Args:
        features: codes (N, D) -> activations (N, ...).
        codes: (n, D); the first `num_codes` are used for the components, all for the standard deviations.
        num_directions: K.
        num_codes: number of codes for the components.
        micro_batch: codes per batch, at least 2 K for the component analysis.

    Raises:
        InvalidArgumentError: there are fewer than K components.
    """
    from sklearn.decomposition import IncrementalPCA

    used = codes[:num_codes]
    chunks = used.split(max(micro_batch, 2 * num_directions))
    if len(chunks) > 1 and len(chunks[-1]) < num_directions:
        chunks = (*chunks[:-2], torch.cat(chunks[-2:]))
    arrays = (_as_array(features(chunk)) for chunk in chunks)
    first = next(arrays)
    components = IncrementalPCA(n_components=_checked(num_directions, min(codes.shape[1], len(used), first.shape[1])))
    for array in chain([first], arrays):
        components.partial_fit(array)
    coordinates = torch.cat([torch.from_numpy(components.transform(_as_array(features(chunk)))) for chunk in chunks])
    centered = (used - used.mean(0)).cpu().double()
    vectors = torch.linalg.lstsq(coordinates, centered).solution
    return unit_directions(torch.nn.functional.normalize(vectors, dim=1).to(codes), codes)


def ica(
    codes: Tensor,
    num_directions: int,
    *,
    whitening: Whitening = "full",
    seed: int = 0,
    num_iterations: int = 500,
    tolerance: float = 1e-6,
) -> Directions:
    """FastICA with symmetric decorrelation and the contrast log cosh (Hyvarinen 1999, IEEE TNN 10(3), Eqs. 20 and 26).

    With y the whitened leading components, g = tanh and W orthonormal, all rows are updated together,

        W <- orthonormalize( E[g(W y) y^T] - diag(E[g'(W y)]) W ),

    until none turns by more than `tolerance`, in 1 - |cos|. Directions are ordered by the standard deviation of the
    codes along them. Components of normal codes, such as z, are arbitrary.

    Args:
        codes: (n, D).
        num_directions: K, the number of principal components and of directions.
        whitening: see `discovery.whitening`.
        seed: of the random rotation where the iteration starts.
        num_iterations: largest number of updates.
        tolerance: see above.

    Raises:
        InvalidArgumentError: the codes have fewer components.
    """
    span = pca_span(codes, size=num_directions, whitening=whitening)
    y = ((codes - span.mean) @ span.projection.T).cpu().double()
    rotation = random_rotation(num_directions, torch.Generator().manual_seed(seed)).double()
    for _ in range(num_iterations):
        slopes = torch.tanh(y @ rotation.T)
        target = slopes.T @ y / len(y) - (1 - slopes.square()).mean(0)[:, None] * rotation
        left, _, right = torch.linalg.svd(target)
        earlier, rotation = rotation, left @ right
        if (1 - (earlier * rotation).sum(1).abs()).max() < tolerance:
            break
    directions = to_directions(span, signed(rotation).to(span.axes))
    return directions.select(directions.vectors.norm(dim=1).argsort(descending=True, stable=True).tolist())


def sefa(weight: Tensor, codes: Tensor, num_directions: int) -> Directions:
    """Closed-form factorization: the leading right singular vectors of `weight` (rows, D), with normalized rows.

    Args:
        weight: (rows, D), all weights that multiply the code, stacked; for StyleGAN2 the style affines of the
            convolutions.
        codes: (n, D), for the standard deviations.
        num_directions: K <= D.

    Raises:
        InvalidArgumentError: K is not from 1 to the number of singular vectors.
    """
    rows = weight.cpu().double()
    rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-30)
    _, _, vectors = torch.linalg.svd(rows, full_matrices=False)
    return unit_directions(vectors[: _checked(num_directions, len(vectors))].to(codes), codes)


def coordinate_axes(codes: Tensor, num_directions: int, *, importance: Tensor | None = None) -> Directions:
    """The coordinate axes with the largest variance of `codes` (n, D), or with the largest `importance` (D,)."""
    count = _checked(num_directions, codes.shape[1])
    order = codes.var(0) if importance is None else importance
    chosen = order.argsort(descending=True, stable=True)[:count]
    return unit_directions(torch.eye(codes.shape[1]).to(codes)[chosen], codes)


def unit_directions(vectors: Tensor, codes: Tensor) -> Directions:
    """Directions along the unit `vectors` (K, D), each one standard deviation of `codes` (n, D) long."""
    deviations = ((codes - codes.mean(0)) @ vectors.T).std(0)[:, None]
    return Directions(
        vectors=(vectors * deviations).float().cpu(),
        dual_vectors=(vectors / deviations.clamp(min=1e-30)).float().cpu(),
        mean=codes.mean(0).float().cpu(),
        span=vectors.float().cpu(),
        scales=deviations[:, 0].float().cpu(),
    )


def _as_array(activations: Tensor) -> NDArray[np.float64]:
    """Activations (N, ...) as (N, F); widened on the CPU, because not every device has float64."""
    rows: NDArray[np.float64] = activations.flatten(1).cpu().double().numpy()
    return rows


def _checked(num_directions: int, available: int) -> int:
    if not 1 <= num_directions <= available:
        raise InvalidArgumentError(
            f"`num_directions` is {num_directions}, allowed are 1 to {available}", field="num_directions"
        )
    return num_directions
