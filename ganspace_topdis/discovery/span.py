"""The span that directions are looked for in: a few axes of the code space, whitened.

Codes c (D numbers) have coordinates u of unit variance (see `discovery.whitening`), and M orthonormal rows Q are
chosen there; y = Q u has unit variance in every direction. Three choices of Q:

* effect: leading eigenvectors of E[J^T J], J = d features / d u: what really moves the features;
* pca: the codes' leading principal components (GANSpace, Harkonen et al. 2020);
* identity: all of u, for generators with few latents.

E[J^T J] is estimated from vector-Jacobian products with Gaussian probes g, E[J^T g g^T J] = E[J^T J]: one
backward pass a code, no step size. The size of the span is read off the spectrum unless given: the axes that
each hold at least 1/400 of its sum.
"""

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from ganspace_topdis.discovery.settings import SpanKind, Whitening
from ganspace_topdis.discovery.whitening import ByChannels, Full, principal_axes, whiten
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import Generate
from ganspace_topdis.runs.distributed import by_rows
from ganspace_topdis.runs.progress import Progress

__all__ = ["Span", "effect_span", "find_span", "identity_span", "pca_span"]

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
        spectrum: (>= M,), what the axes were ordered by, as shares of its sum.
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
    """The span of that `kind` for `codes` (n, D); `size` None reads the size off the spectrum.

    Raises:
        InvalidArgumentError: the kind is unknown, or `size` is more than the codes' dimension.
    """
    if kind == "effect":
        return effect_span(
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
    raise InvalidArgumentError(f"span is {kind!r}, allowed are 'effect', 'pca' and 'identity'")


def pca_span(codes: Tensor, *, size: int | None = None, whitening: Whitening = "full") -> Span:
    """The leading principal components of `codes` (n, D)."""
    coordinates = whiten(whitening, codes)
    variances, rows = coordinates.principal()
    return _span(coordinates, rows[: _checked_size(size, variances)], variances)


def identity_span(codes: Tensor, *, size: int | None = None) -> Span:
    """All principal components of `codes` (n, D): no choice is made."""
    coordinates = whiten("full", codes)
    variances, rows = coordinates.principal()
    if size is not None and _checked_size(size, variances) < len(variances):
        raise InvalidArgumentError(
            f"the identity span has {len(variances)} axes and takes no fewer, got {size}; use span='pca'"
        )
    return _span(coordinates, rows, variances)


def effect_span(
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
    """The axes that move what `generate` gives the most, on average over `codes` (n, D).

    Args:
        generate: codes (N, D) -> features (N, ...), differentiable.
        codes: (n, D); all are used for the variances, the first `num_probes` for the effect.
        size: M; read off the spectrum by default.
        rng: for the Gaussian probes.
        whitening: the coordinates that effects are measured by.
        num_probes: how many backward passes.
        micro_batch: how many codes at a time.
        progress: called after every micro-batch with the number of backward passes done.
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
    """Gradients of <features, Gaussian probe> by the codes; the probes do not depend on `micro_batch`."""
    probes: tuple[Tensor, ...] = ()
    for place, chunk in enumerate(codes.split(micro_batch)):
        leaf = chunk.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            features = by_rows(generate, leaf)
            if place == 0:
                shape = (len(codes), *features.shape[1:])
                probes = torch.randn(shape, generator=rng, dtype=features.dtype).split(micro_batch)
            (gradients,) = torch.autograd.grad((features * probes[place].to(features.device)).sum(), leaf)
        yield gradients


def _span(coordinates: Full | ByChannels, rows: Tensor, spectrum: Tensor) -> Span:
    axes, projection = coordinates.chosen(rows)
    return Span(mean=coordinates.mean, axes=axes, projection=projection, spectrum=spectrum / spectrum.sum())


def _checked_size(size: int | None, spectrum: Tensor) -> int:
    available = int((spectrum > 0).sum())
    if size is None:
        return max(1, min(int((spectrum >= _SMALLEST_SHARE * spectrum.sum()).sum()), _LARGEST_SIZE))
    if not 1 <= size <= available:
        raise InvalidArgumentError(f"{size} directions were asked for, the span has 1 to {available}")
    return size
