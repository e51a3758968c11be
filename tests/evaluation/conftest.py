"""An exact generator and its exact reader: three factors of different kinds, written into single pixels."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from ganspace_topdis.evaluation.factor_network import Readings
from ganspace_topdis.factors import Factor
from ganspace_topdis.latent.directions import Directions

FACTORS = (Factor("scale", 8), Factor("hue", 10, "circular"), Factor("shape", 2, "categorical"))


def directions_from(vectors: Tensor) -> Directions:
    """Unit directions of an isotropic space."""
    dim = vectors.shape[1]
    return Directions(
        vectors=vectors, dual_vectors=vectors, mean=torch.zeros(dim), span=torch.eye(dim), scales=torch.ones(dim)
    )


@dataclass(frozen=True)
class Toy:
    """Codes (N, 3), isotropic, seen through a rotation whose rows are the true directions."""

    rotation: Tensor
    factors: tuple[Factor, ...] = FACTORS

    def generate(self, codes: Tensor) -> Tensor:
        images = torch.zeros(len(codes), 1, 2, 2)
        images.view(len(codes), 4)[:, :3] = torch.special.ndtr(codes @ self.rotation.T)
        return images

    def read(self, images: Tensor) -> Readings:
        level, turn, share = images.flatten(1)[:, :3].unbind(1)
        angle = torch.remainder(1.5 * math.pi * turn + math.pi, 2 * math.pi) - math.pi
        values = (level, angle, torch.stack([share, 1 - share], dim=1))
        return Readings(self.factors, values)


@pytest.fixture
def toy() -> Toy:
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(4)))[0]
    return Toy(rotation)


@pytest.fixture
def codes() -> Tensor:
    return torch.randn(200, 3, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def true_directions(toy: Toy) -> Directions:
    return directions_from(toy.rotation)
