"""The span that is searched for directions: a few whitened axes of the code space, by default the active subspace.

Codes c of D numbers have coordinates u of unit variance (see `discovery.whitening`). M orthonormal rows Q are chosen
in u; y = Q u has unit variance in every direction. There are three choices of Q:

* effect: the active subspace (Constantine and Gleich 2015, arXiv:1408.0545), the leading eigenvectors of E[J^T J] with
  J = d features / d u, which change the features most;
* pca: the leading principal components of the codes (GANSpace, Harkonen et al. 2020, arXiv:2004.02546);
* identity: all of u, for generators with few latents.

A search in the whole code takes all eigenvectors of E[J^T J] as its axes, so that E[J^T J] is diagonal there, with the
spectrum on its diagonal; it starts at the axes of the span. For codes of W+ the span is that of codes that are equal in
all layers, and the whole code has a vector per layer; for the channels of S the span is that of what codes reach, and
the whole code has all channels. With fewer probes than coordinates, the axes are as many as the probes: the others were
not seen to change anything. In W+ and S those that span what codes reach are added, so that a search can start at any
directions of w.

E[J^T J] is estimated from vector-Jacobian products with Gaussian probes g, E[J^T g g^T J] = E[J^T J]: one backward
pass per code and no step size. The default size of the span is the number of axes that each hold at least 1/400 of the
sum of the spectrum, at most 32.
"""

import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ganspace_topdis.discovery.settings import SearchRange, SpanKind, Whitening
from ganspace_topdis.discovery.whitening import (
    ChannelWhitening,
    FullWhitening,
    LayerWhitening,
    principal_axes,
    whiten,
)
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.distributed import row_parallel
from ganspace_topdis.runs.progress import Progress

__all__ = [
    "LARGEST_SIZE",
    "Span",
    "active_subspace",
    "effects_of_numbers",
    "find_span",
    "identity_span",
    "pca_span",
    "to_directions",
]

Coordinates = FullWhitening | LayerWhitening | ChannelWhitening

_SMALLEST_SHARE = 1 / 400
_NEGLIGIBLE = 1e-6
_PROBED_TOGETHER = 64
LARGEST_SIZE = 32
"""Most directions of a span whose size is read off its spectrum."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Span:
    """M axes in the space of codes of D numbers.

    Attributes:
        mean: (D,), the mean code.
        axes: (M, D), the displacement of a code by one standard deviation along each axis.
        projection: (M, D), y = projection @ (code - mean); projection @ axes.T is the identity.
        spectrum: (>= M,), the eigenvalues that order the axes, as shares of their sum; float64 on the CPU.
        start: (K, M), the K axes where a search starts, unit vectors in the coordinates of the M axes; those of the
            identity unless the whole code is searched.
        whole: the whole code with its start at these axes, where it is searched afterwards.
        shared: (M, R), an orthonormal basis, in the coordinates of the axes of the whole code, of the shifts that move
            all layers alike in W+, or stay within what w reaches in S; None elsewhere.
    """

    mean: Tensor
    axes: Tensor
    projection: Tensor
    spectrum: Tensor
    start: Tensor
    whole: "Span | None" = None
    shared: Tensor | None = None

    @property
    def size(self) -> int:
        """M."""
        return len(self.axes)

    @property
    def num_directions(self) -> int:
        """K."""
        return len(self.start)


def find_span(
    kind: SpanKind,
    generate: Generate,
    codes: Tensor,
    *,
    size: int | None,
    rng: torch.Generator,
    whitening: Whitening = "full",
    search_in: SearchRange = "span",
    num_probes: int = 1024,
    micro_batch: int = 64,
    progress: Progress | None = None,
) -> Span:
    """The span of that `kind` for `codes` (n, D), the whole code with a start at its axes, or both.

    Args:
        kind: "effect", "pca" or "identity"; see the module.
        generate: codes (N, D) -> features (N, ...), differentiable; used by "effect" and by the whole code.
        codes: (n, D).
        size: number of directions; None reads it off the spectrum.
        rng: random generator for the probes.
        whitening: "full", "layers" or "channels"; see `discovery.whitening`.
        search_in: "span", "whole" for all eigenvectors of E[J^T J], or "both" for the span with its `whole`.
        num_probes: number of backward passes.
        micro_batch: codes per backward pass.
        progress: called after every micro-batch.

    Raises:
        InvalidArgumentError: the kind is unknown, or `size` exceeds the dimension of the codes.
    """
    if kind not in ("effect", "pca", "identity"):
        raise InvalidArgumentError(f"`span` is {kind!r}, allowed are 'effect', 'pca' and 'identity'", field="span")
    coordinates = whiten(whitening, codes)
    if kind == "effect" or search_in != "span":
        pulled = _pulled(coordinates.pulled, generate, codes[:num_probes], rng, micro_batch, progress)
    if kind == "effect":
        spectrum, rows = _shared_axes(coordinates, pulled)
        rows = rows.to(codes)
    else:
        spectrum, rows = coordinates.principal()
    if kind == "identity":
        _require_all(size, spectrum)
    rows = rows if kind == "identity" else rows[: _checked_size(size, spectrum)]
    span = _span(coordinates, rows, spectrum)
    if search_in == "span":
        return span
    whole = _whole(coordinates, pulled, rows)
    return whole if search_in == "whole" else dataclasses.replace(span, whole=whole)


def to_directions(span: Span, rotation: Tensor, **metadata: object) -> Directions:
    """The directions of the unit rows of `rotation` (K, M) in the whitened coordinates of `span`.

    Directions in the whole code span less than its axes do, so their span is their own.
    """
    rotation = rotation.to(span.axes)
    vectors = rotation @ span.axes
    axes = span.axes if span.num_directions == span.size else vectors
    scales = axes.norm(dim=1)
    return Directions(
        vectors=vectors.detach().float().cpu(),
        dual_vectors=(rotation @ span.projection).detach().float().cpu(),
        mean=span.mean.detach().float().cpu(),
        span=(axes / scales[:, None]).detach().float().cpu(),
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
    _require_all(size, variances)
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
        whitening: the coordinates u of the gradients, "full", "layers" or "channels".
        num_probes: number of backward passes.
        micro_batch: codes per backward pass.
        progress: called after every micro-batch with the number of codes done.

    Raises:
        InvalidArgumentError: `size` exceeds the number of axes that change the outputs.
    """
    return find_span(
        "effect",
        generate,
        codes,
        size=size,
        rng=rng,
        whitening=whitening,
        num_probes=num_probes,
        micro_batch=micro_batch,
        progress=progress,
    )


def effects_of_numbers(
    generate: Generate, codes: Tensor, *, rng: torch.Generator, num_probes: int = 1024, micro_batch: int = 64
) -> Tensor:
    """(D,), the mean squared change of the outputs by one standard deviation of each number of `codes` (n, D)."""
    gradients = _pulled(lambda found: found, generate, codes[:num_probes], rng, micro_batch, None)
    return gradients.square().mean(0).to(codes) * codes.var(0)


def _pulled(
    pull: Callable[[Tensor], Tensor],
    generate: Generate,
    codes: Tensor,
    rng: torch.Generator,
    micro_batch: int,
    progress: Progress | None,
) -> Tensor:
    """Gradients of probed features with respect to u, one row per code (n, D), on the CPU."""
    pulled: list[Tensor] = []
    for group in codes.split(_PROBED_TOGETHER):
        for gradients in _probed(generate, group, rng, micro_batch):
            pulled.append(pull(gradients).cpu())
            if progress is not None:
                progress(sum(map(len, pulled)), len(codes))
    return torch.cat(pulled)


def _shared_axes(coordinates: Coordinates, pulled: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of E[J^T J], for codes of W+ and S those of what w reaches."""
    if isinstance(coordinates, FullWhitening):
        return principal_axes(pulled)
    effects, rows = principal_axes(coordinates.shared(pulled))
    return effects, coordinates.repeated(rows)


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


def _whole(coordinates: Coordinates, pulled: Tensor, start: Tensor) -> Span:
    """The whole code, from gradients `pulled` (n, .) with respect to u; it starts at the rows `start` (K, .) in u."""
    effects, rows = principal_axes(pulled)
    shared = None
    if isinstance(coordinates, LayerWhitening | ChannelWhitening):
        rows = _completed(rows, coordinates.alike.to(rows))
        effects = torch.cat([effects, effects.new_zeros(len(rows) - len(effects))])
        shared = torch.linalg.qr(coordinates.shared(rows.to(start)))[0]
    rows = rows.to(start)
    whole = _span(coordinates, rows, effects, start=torch.nn.functional.normalize(start @ rows.T, dim=1))
    return dataclasses.replace(whole, shared=shared)


def _completed(rows: Tensor, more: Tensor) -> Tensor:
    """Orthonormal `rows` with further ones, so that they span `more`, other orthonormal rows, too."""
    _, sizes, axes = torch.linalg.svd(more - more @ rows.T @ rows, full_matrices=False)
    return torch.cat([rows, axes[sizes > _NEGLIGIBLE]])


def _span(coordinates: Coordinates, rows: Tensor, spectrum: Tensor, start: Tensor | None = None) -> Span:
    axes, projection = coordinates.chosen(rows)
    return Span(
        mean=coordinates.mean,
        axes=axes,
        projection=projection,
        spectrum=spectrum / spectrum.sum(),
        start=torch.eye(len(rows)).to(axes) if start is None else start,
    )


def _require_all(size: int | None, variances: Tensor) -> None:
    """Refuse fewer directions than the identity span has axes."""
    if size is not None and _checked_size(size, variances) < len(variances):
        raise InvalidArgumentError(
            f"the identity span has {len(variances)} axes, but `num_directions` is {size}; use the pca `span`",
            field="num_directions",
        )


def _checked_size(size: int | None, spectrum: Tensor) -> int:
    available = int((spectrum > 0).sum())
    if size is None:
        return max(1, min(int((spectrum >= _SMALLEST_SHARE * spectrum.sum()).sum()), LARGEST_SIZE))
    if not 1 <= size <= available:
        raise InvalidArgumentError(
            f"`num_directions` is {size}, allowed are 1 to {available} in this span", field="num_directions"
        )
    return size
