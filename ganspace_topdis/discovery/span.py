"""The span that directions are looked for in: a few axes of the code space, whitened.

Codes c (D numbers) with mean m and covariance U diag(L) U^T are whitened, u = L^-1/2 U^T (c - m), and M
orthonormal rows Q are chosen there; y = Q u has unit variance in every direction. Three choices of Q:

* effect: leading eigenvectors of E[J^T J], J = d features / d u: what really moves the features;
* pca: the codes' leading principal components (GANSpace, Harkonen et al. 2020);
* identity: all of u, for generators with few latents.

E[J^T J] is estimated from vector-Jacobian products with Gaussian probes g, E[J^T g g^T J] = E[J^T J]: one
backward pass a code, no step size. The size of the span is read off the spectrum unless given: the axes that
each hold at least 1/400 of its sum.
"""

import dataclasses
from typing import Literal

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import Generate

__all__ = ["Span", "SpanKind", "effect_span", "find_span", "identity_span", "pca_span"]

SpanKind = Literal["effect", "pca", "identity"]

_SMALLEST_SHARE = 1 / 400
_LARGEST_SIZE = 32
_NEGLIGIBLE_VARIANCE = 1e-6
"""Principal components of the codes with less than this share of the largest variance are left out."""


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
    num_probes: int = 1024,
    micro_batch: int = 64,
) -> Span:
    """The span of that `kind` for `codes` (n, D); `size` None reads the size off the spectrum.

    Raises:
        InvalidArgumentError: the kind is unknown, or `size` is more than the codes' dimension.
    """
    if kind == "effect":
        return effect_span(generate, codes, size=size, rng=rng, num_probes=num_probes, micro_batch=micro_batch)
    if kind == "pca":
        return pca_span(codes, size=size)
    if kind == "identity":
        return identity_span(codes, size=size)
    raise InvalidArgumentError(f"span is {kind!r}, allowed are 'effect', 'pca' and 'identity'")


def pca_span(codes: Tensor, *, size: int | None = None) -> Span:
    """The leading principal components of `codes` (n, D)."""
    mean, whiten, colour, variances = _whitening(codes)
    size = _checked_size(size, variances)
    return Span(mean=mean, axes=colour[:size], projection=whiten[:size], spectrum=variances / variances.sum())


def identity_span(codes: Tensor, *, size: int | None = None) -> Span:
    """All principal components of `codes` (n, D): no choice is made."""
    mean, whiten, colour, variances = _whitening(codes)
    if size is not None and _checked_size(size, variances) < len(variances):
        raise InvalidArgumentError(
            f"the identity span has {len(variances)} axes and takes no fewer, got {size}; use span='pca'"
        )
    return Span(mean=mean, axes=colour, projection=whiten, spectrum=variances / variances.sum())


def effect_span(
    generate: Generate,
    codes: Tensor,
    *,
    size: int | None = None,
    rng: torch.Generator,
    num_probes: int = 1024,
    micro_batch: int = 64,
) -> Span:
    """The axes that move what `generate` gives the most, on average over `codes` (n, D).

    Args:
        generate: codes (N, D) -> features (N, ...), differentiable.
        codes: (n, D); all are used for the covariance, the first `num_probes` for the effect.
        size: M; read off the spectrum by default.
        rng: for the Gaussian probes.
        num_probes: how many backward passes.
        micro_batch: how many codes at a time.
    """
    mean, whiten, colour, _ = _whitening(codes)
    total = torch.zeros(len(colour), len(colour), dtype=torch.float64)
    for chunk in codes[:num_probes].split(micro_batch):
        leaf = chunk.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            features = generate(leaf)
            probe = torch.randn(features.shape, generator=rng, dtype=features.dtype).to(features.device)
            (pulled,) = torch.autograd.grad((features * probe).sum(), leaf)
        whitened = (pulled @ colour.T).double().cpu()
        total += whitened.T @ whitened
    effects, vectors = torch.linalg.eigh(total)
    effects, rotation = effects.flip(0).clamp(min=0), _signed(vectors.flip(1).T).to(codes)
    size = _checked_size(size, effects)
    chosen = rotation[:size]
    return Span(mean=mean, axes=chosen @ colour, projection=chosen @ whiten, spectrum=effects / effects.sum())


def _whitening(codes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean (D,), whitening (R, D), colouring (R, D) and variances (R,), in the order of the variances."""
    if codes.ndim != 2 or len(codes) < 2:
        raise InvalidArgumentError(f"codes must be (n, D) with n >= 2, got {tuple(codes.shape)}")
    mean = codes.mean(0)
    variances, vectors = torch.linalg.eigh(torch.cov(codes.double().T).reshape(codes.shape[1], codes.shape[1]))
    variances, vectors = variances.flip(0), _signed(vectors.flip(1).T)
    kept = variances > _NEGLIGIBLE_VARIANCE * variances[0]
    if variances[0] <= 0:
        raise InvalidArgumentError("the codes are all equal; sample_codes must give different codes")
    variances, vectors = variances[kept], vectors[kept]
    deviations = variances.sqrt()[:, None]
    return mean, (vectors / deviations).to(codes), (vectors * deviations).to(codes), variances


def _signed(rows: Tensor) -> Tensor:
    """Rows with their largest entry positive, so that an eigenvector's sign is no accident."""
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return rows * torch.where(largest < 0, -1.0, 1.0)


def _checked_size(size: int | None, spectrum: Tensor) -> int:
    available = int((spectrum > 0).sum())
    if size is None:
        return max(1, min(int((spectrum >= _SMALLEST_SHARE * spectrum.sum()).sum()), _LARGEST_SIZE))
    if not 1 <= size <= available:
        raise InvalidArgumentError(f"{size} directions were asked for, the span has 1 to {available}")
    return size
