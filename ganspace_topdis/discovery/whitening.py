"""Coordinates in which codes have unit variance, so that axes of different scales are comparable.

Full whitening: with the mean m and the covariance U diag(L) U^T of the codes c, u = L^-1/2 U^T (c - m). Every direction
of u has unit variance; axes of negligible variance are left out.

Layer whitening ("layers") is for codes of W+ (Abdal et al. 2019, arXiv:1904.03189): L vectors, one per layer of the
generator, one after the other, all equal where a code is drawn. Each vector has the coordinates u_l of the full
whitening, and u = (u_1, ..., u_L) / L^1/2. So the same unit vector in every layer moves all layers by one standard
deviation, and a direction is free to differ between layers.

Channel whitening ("channels") is for codes of thousands of numbers that are functions of few latents, such as style
channels (StyleSpace, Wu et al. 2021, arXiv:2011.12799), whose covariance is singular. Each is divided by its standard
deviation, v = (c - m) / d. With U the R axes of any variance of v, as rows, and diag(L) their variances, u = W^-1 v and

    W = U^T diag(L)^1/2 U + l^1/2 (I - U^T U),    l = mean of L.

So within the support, which is what the latents reach, a unit is one standard deviation, and out of it a unit changes
the channels as much, in the mean.

Covariances are decomposed in float64 on the CPU, because not every device has float64. `variances` stay there.
"""

import dataclasses

import torch
from torch import Tensor

from ganspace_topdis.discovery.settings import Whitening
from ganspace_topdis.errors import InvalidArgumentError

__all__ = [
    "ChannelWhitening",
    "FullWhitening",
    "LayerWhitening",
    "principal_axes",
    "signed",
    "whiten",
]

_NEGLIGIBLE_VARIANCE = 1e-6
"""Axes of the codes with less than this fraction of the largest variance are left out."""

_MOST_CODES = 2048
"""Number of codes that show the support of channels, whose covariance is never computed in full."""


@dataclasses.dataclass(frozen=True, eq=False)
class FullWhitening:
    """u = projection (c - mean) with R coordinates; codes move along `axes` (R, D) by one standard deviation."""

    mean: Tensor
    projection: Tensor
    axes: Tensor
    variances: Tensor

    def pulled(self, gradients: Tensor) -> Tensor:
        """Gradients with respect to u (n, R), from those with respect to the code (n, D)."""
        return gradients @ self.axes.T

    def principal(self) -> tuple[Tensor, Tensor]:
        """Variances (R,) of the principal components, and their axes as rows in u."""
        return self.variances, torch.eye(len(self.axes)).to(self.axes)

    def chosen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The displacements (M, D) and projections (M, D) for orthonormal `rows` (M, R) in u."""
        return rows @ self.axes, rows @ self.projection

    def located(self, displacements: Tensor) -> Tensor:
        """The rows (M, R) in u of displacements (M, D) of a code."""
        return displacements @ self.projection.T


@dataclasses.dataclass(frozen=True, eq=False)
class LayerWhitening:
    """u = (u_1, ..., u_L) / L^1/2 with u_l of `layer`, the whitening of one of the `num_layers` equal vectors."""

    layer: FullWhitening
    num_layers: int

    @property
    def mean(self) -> Tensor:
        """(D,), the mean code."""
        return self.layer.mean.repeat(self.num_layers)

    def pulled(self, gradients: Tensor) -> Tensor:
        """Gradients with respect to u (n, L R), from those with respect to the code (n, D)."""
        return (self._split(gradients) @ self.layer.axes.T).flatten(1) * self.num_layers**0.5

    def principal(self) -> tuple[Tensor, Tensor]:
        """Variances (R,) of the principal components, and their axes as rows (R, L R) in u."""
        variances, rows = self.layer.principal()
        return variances, self.repeated(rows)

    def repeated(self, rows: Tensor) -> Tensor:
        """The rows (M, L R) in u that move every layer along `rows` (M, R)."""
        return rows.repeat(1, self.num_layers) / self.num_layers**0.5

    @property
    def alike(self) -> Tensor:
        """(R, L R), orthonormal rows in u of what moves all layers alike."""
        return self.repeated(torch.eye(len(self.layer.axes)).to(self.layer.axes))

    def shared(self, pulled: Tensor) -> Tensor:
        """Gradients (n, R) with respect to moving all layers together, from those with respect to u (n, L R).

        Of rows in u these are the parts that move all layers alike.
        """
        return self._split(pulled).sum(1) / self.num_layers**0.5

    def chosen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The displacements (M, D) and projections (M, D) for orthonormal `rows` (M, L R) in u."""
        root = self.num_layers**0.5
        parts = self._split(rows)
        return (parts @ self.layer.axes).flatten(1) * root, (parts @ self.layer.projection).flatten(1) / root

    def located(self, displacements: Tensor) -> Tensor:
        """The rows (M, L R) in u of displacements (M, D) of a code."""
        return (self._split(displacements) @ self.layer.projection.T).flatten(1) / self.num_layers**0.5

    def _split(self, rows: Tensor) -> Tensor:
        return rows.unflatten(1, (self.num_layers, -1))


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelWhitening:
    """u = W^-1 (c - mean) / deviations, with `support` (R, D) the rows U and `variances` (R,) L, see the module.

    Constant channels, of deviation 0, do not move.
    """

    mean: Tensor
    deviations: Tensor
    support: Tensor
    variances: Tensor

    def pulled(self, gradients: Tensor) -> Tensor:
        """Gradients with respect to u (n, D), from those with respect to the code (n, D)."""
        return self._stretched(gradients * self.deviations, 0.5)

    def principal(self) -> tuple[Tensor, Tensor]:
        """Variances (R,) of the principal components of the divided codes, and their axes as rows (R, D) in u."""
        return self.variances, self.support

    @property
    def alike(self) -> Tensor:
        """(R, D), orthonormal rows in u of what stays within the support."""
        return self.support

    def repeated(self, rows: Tensor) -> Tensor:
        """The rows (M, D) in u of `rows` (M, R) of the support."""
        return rows @ self.support.to(rows)

    def shared(self, pulled: Tensor) -> Tensor:
        """Gradients (n, R) with respect to moves within the support, from those with respect to u (n, D).

        Of rows in u these are the parts within the support.
        """
        return pulled @ self.support.to(pulled).T

    def chosen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The displacements (M, D) and projections (M, D) for orthonormal `rows` (M, D) in u."""
        return self._stretched(rows, 0.5) * self.deviations, self._stretched(rows, -0.5) * self._inverse

    def located(self, displacements: Tensor) -> Tensor:
        """The rows (M, D) in u of displacements (M, D) of a code."""
        return self._stretched(displacements * self._inverse, -0.5)

    @property
    def _inverse(self) -> Tensor:
        return torch.where(self.deviations > 0, 1 / self.deviations, 0.0)

    def _stretched(self, rows: Tensor, power: float) -> Tensor:
        """The rows times W^(2 power), which is symmetric."""
        outside = float(self.variances.mean()) ** power
        return outside * rows + self.repeated(self.shared(rows) * (self.variances**power - outside).to(rows))


def whiten(kind: Whitening, codes: Tensor) -> FullWhitening | LayerWhitening | ChannelWhitening:
    """The whitening of that kind, "full", "layers" or "channels", for `codes` (n, D).

    Raises:
        InvalidArgumentError: there are fewer than two codes, or all are equal.
    """
    if codes.ndim != 2 or len(codes) < 2:
        raise InvalidArgumentError(f"codes must be (n, D) with n >= 2, got {tuple(codes.shape)}")
    if bool((codes == codes[0]).all()):
        raise InvalidArgumentError("the codes are all equal; sample_codes must give different codes")
    if kind == "channels":
        return _by_channel(codes)
    if kind == "layers":
        width = _layer_width(codes)
        return LayerWhitening(_fully(codes[:, :width]), codes.shape[1] // width)
    return _fully(codes)


def _layer_width(codes: Tensor) -> int:
    """The smallest width of which all codes are repetitions."""
    total = codes.shape[1]
    for width in (each for each in range(1, total) if total % each == 0):
        vectors = codes.unflatten(1, (-1, width))
        if bool((vectors[:2] == vectors[:2, :1]).all()) and bool((vectors == vectors[:, :1]).all()):
            return width
    return total


def _by_channel(codes: Tensor) -> ChannelWhitening:
    mean, deviations = codes.mean(0), codes.std(0)
    rounding = 8 * torch.finfo(codes.dtype).eps * mean.abs()
    deviations = torch.where(deviations > rounding, deviations, 0.0)
    scale = torch.where(deviations > 0, 1 / deviations, 0.0)
    sums, axes = principal_axes((codes[:_MOST_CODES] - mean) * scale)
    reached = axes[sums > _NEGLIGIBLE_VARIANCE * sums[0]].to(codes)
    within = torch.cat([(part - mean) * scale @ reached.T for part in codes.split(_MOST_CODES)])
    axis = _fully(within)
    units = axis.axes / axis.variances.sqrt()[:, None].to(codes)
    return ChannelWhitening(mean, deviations, signed(units @ reached), axis.variances)


def _fully(codes: Tensor) -> FullWhitening:
    mean = codes.mean(0)
    variances, vectors = torch.linalg.eigh(torch.cov(codes.cpu().double().T).reshape(codes.shape[1], codes.shape[1]))
    variances, vectors = variances.flip(0), signed(vectors.flip(1).T)
    kept = variances > _NEGLIGIBLE_VARIANCE * variances[0]
    variances, vectors = variances[kept], vectors[kept]
    scale = variances.sqrt()[:, None]
    return FullWhitening(mean, (vectors / scale).to(codes), (vectors * scale).to(codes), variances)


def principal_axes(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, largest first, and eigenvectors as rows, of rows^T rows; from the smaller Gram matrix."""
    wide = rows.cpu().double()
    if len(wide) >= wide.shape[1]:
        values, vectors = torch.linalg.eigh(wide.T @ wide)
        return values.flip(0).clamp(min=0), signed(vectors.flip(1).T)
    values, left = torch.linalg.eigh(wide @ wide.T)
    kept = values.flip(0) > 1e-12 * values[-1]
    values, left = values.flip(0)[kept], left.flip(1)[:, kept]
    return values, signed((left.T @ wide) / values.sqrt()[:, None])


def signed(rows: Tensor) -> Tensor:
    """The rows, with the sign that makes their largest entry positive, so that eigenvectors are deterministic."""
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return rows * torch.where(largest < 0, -1.0, 1.0)
