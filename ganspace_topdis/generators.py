"""What every part asks of a generator: two plain functions, so that any generator will do."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Generate", "SampleCodes"]

Generate = Callable[[Tensor], Tensor]
"""Codes (N, D), or (N, num_layers, D), to images (N, C, H, W), nominally in [-1, 1], or features (N, ...)."""

SampleCodes = Callable[[int, torch.Generator], Tensor]
"""A number n and a random generator to codes (n, D)."""
