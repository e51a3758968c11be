"""Coordinates in which codes have unit variance, so that axes of different scales compare.

Full: with mean m and covariance U diag(L) U^T of the codes c, u = L^-1/2 U^T (c - m); every direction of u has
unit variance, and axes of negligible variance are left out.

By channels: u = (c - m) / d, each number over its own standard deviation, for codes of thousands of numbers that
are a function of few, as style channels are: their covariance has no inverse. Directions may then leave what the
codes fill. M rows Q chosen there are whitened among themselves: with C the covariance of Q u, the coordinates are
C^-1/2 Q u and codes move along the rows of C^1/2 Q, so that a unit is one standard deviation here too.
"""

import dataclasses

import torch
from torch import Tensor

from ganspace_topdis.discovery.settings import Whitening
from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["ByChannels", "Full", "principal_axes", "whiten"]

_NEGLIGIBLE_VARIANCE = 1e-6
"""Axes of the codes with less than this share of the largest variance are left out."""

_MOST_CODES = 2048
"""Codes that the covariance of channels is estimated on: it is never made whole."""


@dataclasses.dataclass(frozen=True, eq=False)
class Full:
    """u = projection (c - mean) with R coordinates; codes move along `axes` (R, D) by one standard deviation."""

    mean: Tensor
    projection: Tensor
    axes: Tensor
    variances: Tensor

    def pulled(self, gradients: Tensor) -> Tensor:
        """Gradients by the code (n, D) as gradients by u (n, R)."""
        return gradients @ self.axes.T

    def principal(self) -> tuple[Tensor, Tensor]:
        """Variances (R,) of the principal components, and their axes as rows in u."""
        return self.variances, torch.eye(len(self.axes)).to(self.axes)

    def chosen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The displacements (M, D) and projections (M, D) for orthonormal `rows` (M, R) in u."""
        return rows @ self.axes, rows @ self.projection


@dataclasses.dataclass(frozen=True, eq=False)
class ByChannels:
    """u = (c - mean) / deviations, `normal` being u of some codes; constant channels do not move."""

    mean: Tensor
    deviations: Tensor
    normal: Tensor

    def pulled(self, gradients: Tensor) -> Tensor:
        """Gradients by the code (n, D) as gradients by u (n, D)."""
        return gradients * self.deviations

    def principal(self) -> tuple[Tensor, Tensor]:
        """Variances of the principal components of u, and their axes as rows in u."""
        sums, axes = principal_axes(self.normal)
        return sums / (len(self.normal) - 1), axes.to(self.normal)

    def chosen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The displacements (M, D) and projections (M, D) for orthonormal `rows` (M, D) in u."""
        covariance = torch.cov((self.normal @ rows.T).double().T).reshape(len(rows), len(rows))
        variances, vectors = torch.linalg.eigh(covariance)
        deviations = variances.clamp(min=_NEGLIGIBLE_VARIANCE * variances[-1]).sqrt()
        root, inverse = ((vectors * scale) @ vectors.T for scale in (deviations, 1 / deviations))
        inverse_deviations = torch.where(self.deviations > 0, 1 / self.deviations, 0.0)
        return root.to(rows) @ rows * self.deviations, inverse.to(rows) @ rows * inverse_deviations


def whiten(kind: Whitening, codes: Tensor) -> Full | ByChannels:
    """The coordinates of that kind for `codes` (n, D).

    Raises:
        InvalidArgumentError: there are fewer than two codes, or all are equal.
    """
    if codes.ndim != 2 or len(codes) < 2:
        raise InvalidArgumentError(f"codes must be (n, D) with n >= 2, got {tuple(codes.shape)}")
    mean = codes.mean(0)
    if bool((codes == codes[0]).all()):
        raise InvalidArgumentError("the codes are all equal; sample_codes must give different codes")
    if kind == "channels":
        deviations = codes.std(0)
        rounding = 8 * torch.finfo(codes.dtype).eps * mean.abs()
        deviations = torch.where(deviations > rounding, deviations, 0.0)
        safe = torch.where(deviations > 0, deviations, 1.0)
        return ByChannels(mean, deviations, (codes[:_MOST_CODES] - mean) / safe * (deviations > 0))
    variances, vectors = torch.linalg.eigh(torch.cov(codes.double().T).reshape(codes.shape[1], codes.shape[1]))
    variances, vectors = variances.flip(0), signed(vectors.flip(1).T)
    kept = variances > _NEGLIGIBLE_VARIANCE * variances[0]
    variances, vectors = variances[kept], vectors[kept]
    scale = variances.sqrt()[:, None]
    return Full(mean, (vectors / scale).to(codes), (vectors * scale).to(codes), variances)


def principal_axes(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, largest first, and eigenvectors as rows, of rows^T rows; by the smaller of both Gram matrices."""
    wide = rows.double().cpu()
    if len(wide) >= wide.shape[1]:
        values, vectors = torch.linalg.eigh(wide.T @ wide)
        return values.flip(0).clamp(min=0), signed(vectors.flip(1).T)
    values, left = torch.linalg.eigh(wide @ wide.T)
    kept = values.flip(0) > 1e-12 * values[-1]
    values, left = values.flip(0)[kept], left.flip(1)[:, kept]
    return values, signed((left.T @ wide) / values.sqrt()[:, None])


def signed(rows: Tensor) -> Tensor:
    """Rows with their largest entry positive, so that an eigenvector's sign is no accident."""
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return rows * torch.where(largest < 0, -1.0, 1.0)
