"""The span that is searched for directions: a few whitened axes of the code space, by default the active subspace.

Codes c of D numbers have coordinates u of unit variance (see `discovery.whitening`). M orthonormal rows Q are chosen
in u; y = Q u has unit variance in every direction. There are three choices of Q:

* effect: the active subspace (Constantine and Gleich 2015, arXiv:1408.0545), the leading eigenvectors of E[J^T J] with
  J = d features / d u, which change the features most;
* pca: the leading principal components of the codes (GANSpace, Harkonen et al. 2020, arXiv:2004.02546);
* identity: all of u, for generators with few latents.

E[J^T J] is estimated from vector-Jacobian products with Gaussian probes g, E[J^T g g^T J] = E[J^T J]: one backward
pass per code and no step size. The default size of the span is the number of axes that each hold at least 1/400 of the
sum of the spectrum, at most 32.
"""

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from ganspace_topdis.discovery.settings import SpanKind, Whitening
from ganspace_topdis.discovery.whitening import DiagonalWhitening, FullWhitening, principal_axes, whiten
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.distributed import row_parallel
from ganspace_topdis.runs.progress import Progress

__all__ = ["Span", "active_subspace", "find_span", "identity_span", "pca_span", "to_directions"]

_SMALLEST_SHARE = 1 / 400
_LARGEST_SIZE = 32
_PROBED_TOGETHER = 64


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Span:
    """M axes in the space of codes of D numbers.

    Attributes:
        mean: (D,), the mean code.
        axes: (M, D), the displacement of a code by one standard deviation along each axis.
        projection: (M, D), y = projection @ (code - mean); projection @ axes.T is the identity.
        spectrum: (>= M,), the eigenvalues that order the axes, as shares of their sum; float64 on the CPU.
    """

    mean: Tensor
    axes: Tensor
    projection: Tensor
    spectrum: Tensor

    @property
    def size(self) -> int:
        """M."""
        return len(self.axes)


def find_span(
    kind: SpanKind,
    generate: Generate,
    codes: Tensor,
    *,
    size: int | None,
    rng: torch.Generator,
    whitening: Whitening = "full",
    num_probes: int = 1024,
    micro_batch: int = 64,
    progress: Progress | None = None,
) -> Span:
    """The span of that `kind` for `codes` (n, D).

    Args:
        kind: "effect", "pca" or "identity"; see the module.
        generate: codes (N, D) -> features (N, ...), differentiable; used by "effect" only.
        codes: (n, D).
        size: M; None reads it off the spectrum.
        rng: random generator for the probes of "effect".
        whitening: "full" or "channels"; see `discovery.whitening`.
        num_probes: number of backward passes of "effect".
        micro_batch: codes per backward pass of "effect".
        progress: called after every micro-batch of "effect".

    Raises:
        InvalidArgumentError: the kind is unknown, or `size` exceeds the dimension of the codes.
    """
    if kind == "effect":
        return active_subspace(
            generate,
            codes,
            size=size,
            rng=rng,
            whitening=whitening,
            num_probes=num_probes,
            micro_batch=micro_batch,
            progress=progress,
        )
    if kind == "pca":
        return pca_span(codes, size=size, whitening=whitening)
    if kind == "identity":
        return identity_span(codes, size=size)
    raise InvalidArgumentError(f"`span` is {kind!r}, allowed are 'effect', 'pca' and 'identity'", field="span")


def to_directions(span: Span, rotation: Tensor, **metadata: object) -> Directions:
    """The directions of the orthonormal rows of `rotation` (K, M) in the whitened coordinates of `span`."""
    scales, rotation = span.axes.norm(dim=1), rotation.to(span.axes)
    return Directions(
        vectors=(rotation @ span.axes).detach().float().cpu(),
        dual_vectors=(rotation @ span.projection).detach().float().cpu(),
        mean=span.mean.detach().float().cpu(),
        span=(span.axes / scales[:, None]).detach().float().cpu(),
        scales=scales.detach().float().cpu(),
        metadata=dict(metadata),
    )


def pca_span(codes: Tensor, *, size: int | None = None, whitening: Whitening = "full") -> Span:
    """The leading principal components of `codes` (n, D)."""
    coordinates = whiten(whitening, codes)
    variances, rows = coordinates.principal()
    return _span(coordinates, rows[: _checked_size(size, variances)], variances)


def identity_span(codes: Tensor, *, size: int | None = None) -> Span:
    """All principal components of `codes` (n, D).

    Raises:
        InvalidArgumentError: `size` is not the number of components.
    """
    coordinates = whiten("full", codes)
    variances, rows = coordinates.principal()
    if size is not None and _checked_size(size, variances) < len(variances):
        raise InvalidArgumentError(
            f"the identity span has {len(variances)} axes, but `num_directions` is {size}; use the pca `span`",
            field="num_directions",
        )
    return _span(coordinates, rows, variances)


def active_subspace(
    generate: Generate,
    codes: Tensor,
    *,
    size: int | None = None,
    rng: torch.Generator,
    whitening: Whitening = "full",
    num_probes: int = 1024,
    micro_batch: int = 64,
    progress: Progress | None = None,
) -> Span:
    """The axes along which the outputs of `generate` change most, on average over `codes` (n, D).

    Args:
        generate: codes (N, D) -> features (N, ...), differentiable.
        codes: (n, D); all are used for the variances, the first `num_probes` for the gradients.
        size: M; read off the spectrum by default.
        rng: random generator for the Gaussian probes.
        whitening: the coordinates u of the gradients, "full" or "channels".
        num_probes: number of backward passes.
        micro_batch: codes per backward pass.
        progress: called after every micro-batch with the number of codes done.

    Raises:
        InvalidArgumentError: `size` exceeds the number of axes that change the outputs.
    """
    coordinates = whiten(whitening, codes)
    pulled: list[Tensor] = []
    for group in codes[:num_probes].split(_PROBED_TOGETHER):
        for gradients in _probed(generate, group, rng, micro_batch):
            pulled.append(coordinates.pulled(gradients).cpu())
            if progress is not None:
                progress(sum(map(len, pulled)), min(num_probes, len(codes)))
    effects, rows = principal_axes(torch.cat(pulled))
    return _span(coordinates, rows[: _checked_size(size, effects)].to(codes), effects)


def _probed(generate: Generate, codes: Tensor, rng: torch.Generator, micro_batch: int) -> Iterator[Tensor]:
    """Yields gradients of <features, Gaussian probe> by the codes; the probes do not depend on `micro_batch`."""
    probes: tuple[Tensor, ...] = ()
    for place, chunk in enumerate(codes.split(micro_batch)):
        leaf = chunk.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            features = row_parallel(generate, leaf)
            if place == 0:
                shape = (len(codes), *features.shape[1:])
                probes = torch.randn(shape, generator=rng, dtype=features.dtype).split(micro_batch)
            (gradients,) = torch.autograd.grad((features * probes[place].to(features.device)).sum(), leaf)
        yield gradients


def _span(coordinates: FullWhitening | DiagonalWhitening, rows: Tensor, spectrum: Tensor) -> Span:
    axes, projection = coordinates.chosen(rows)
    return Span(mean=coordinates.mean, axes=axes, projection=projection, spectrum=spectrum / spectrum.sum())


def _checked_size(size: int | None, spectrum: Tensor) -> int:
    available = int((spectrum > 0).sum())
    if size is None:
        return max(1, min(int((spectrum >= _SMALLEST_SHARE * spectrum.sum()).sum()), _LARGEST_SIZE))
    if not 1 <= size <= available:
        raise InvalidArgumentError(
            f"`num_directions` is {size}, allowed are 1 to {available} in this span", field="num_directions"
        )
    return size
