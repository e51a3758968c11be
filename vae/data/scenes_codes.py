"""A known function from Gaussian codes to scenes: the truth behind a generator fitted to the renderer.

    y = R z / rms(z),  u = Phi(y),  factor values = u stretched to the factors' ranges

R holds the first six rows of a random rotation and Phi is the standard normal distribution function, so that
factors are independent and (nearly, for codes of 64 numbers) uniform, and hues wrap around at infinity, where
nothing jumps. The code is divided by its root mean square because StyleGAN2's mapping network does so first.
"""

from typing import Any

import torch
from torch import Tensor

from vae.data.scenes import FACTORS
from vae.data.scenes_table import uniform_to_values

__all__ = ["CodeToFactors"]


class CodeToFactors:
    """Codes (N, z_dim) -> factor values (N, 6), in the units of `scenes.draw_values`.

    Attributes:
        rotation: (6, z_dim), orthonormal rows; row k is the direction of z that factor k follows.

    >>> codes = CodeToFactors.random(z_dim=16, seed=0)
    >>> codes.values(torch.zeros(1, 16)).tolist()
    [[0.5, 0.5, 0.5, 1.0, 2.0, 0.0]]
    """

    def __init__(self, rotation: Tensor) -> None:
        assert rotation.ndim == 2, rotation.shape
        assert len(rotation) == len(FACTORS), rotation.shape
        self.rotation = rotation

    @classmethod
    def random(cls, z_dim: int, seed: int) -> "CodeToFactors":
        """The function whose rotation is drawn with `seed`."""
        square = torch.randn(z_dim, z_dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        q, r = torch.linalg.qr(square)
        return cls((q * r.diagonal().sign()).T[: len(FACTORS)].float().contiguous())

    def uniform(self, z: Tensor) -> Tensor:
        """Coordinates (N, 6) in (0, 1), one a factor."""
        y = z @ self.rotation.to(z).T
        return torch.special.ndtr(y * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8))

    def values(self, z: Tensor) -> Tensor:
        """Factor values (N, 6)."""
        return uniform_to_values(self.uniform(z))

    def to_metadata(self) -> dict[str, Any]:
        """The function as JSON values, to be kept beside the weights of a generator."""
        return {"factors": [factor.name for factor in FACTORS], "rotation": self.rotation.tolist()}

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> "CodeToFactors":
        """The inverse of `to_metadata`."""
        return cls(torch.tensor(metadata["rotation"]))
