"""A generator whose features are a sum over six rotated coordinates: the truth for methods that want no mixing."""

import torch
from torch import Tensor

SIZE = 6


def rotation() -> Tensor:
    matrix, _ = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(7)))
    return matrix


def sample_codes(num_codes: int, rng: torch.Generator) -> Tensor:
    return torch.randn(num_codes, SIZE, generator=rng)


def additive(codes: Tensor) -> Tensor:
    """(N, 6) -> (N, 32): sum over k of a_k sin(b_k x_k + c_k), x the codes seen through the rotation."""
    draws = torch.randn(3, SIZE, 32, generator=torch.Generator().manual_seed(8))
    amplitude, speed, phase = draws[0], 1 + 0.3 * draws[1], 3 * draws[2]
    x = (codes @ rotation().T)[:, :, None]
    return (amplitude * torch.sin(speed * x + phase)).sum(1)
