"""Directions of a hand-written generator: any differentiable function from codes to images works.

    python examples/hand_built_generator.py          # writes hand_built.png

No latent controls one thing alone here: the directions that do are hidden by a rotation.
"""

import torch
from torch import Tensor

from ganspace_topdis import discover_directions
from ganspace_topdis.traversal.walks import walk

ROTATION = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
SIDE = torch.linspace(-1, 1, 32)


def generate(codes: Tensor) -> Tensor:
    """Codes (N, 3) to images (N, 3, 32, 32) in [-1, 1]: a disc, its place, size and color behind a rotation."""
    place, size, color = torch.special.ndtr(codes @ ROTATION.T)[:, :, None, None].unbind(1)
    distance = torch.sqrt((SIDE - place + 0.5) ** 2 + SIDE[:, None] ** 2)
    disc = torch.sigmoid(12 * (0.25 + 0.4 * size - distance))
    return 2 * torch.stack([disc * color, 0.2 + 0.5 * disc, disc * (1 - color)], dim=1) - 1


def sample_codes(num_codes: int, rng: torch.Generator) -> Tensor:
    """Codes (n, 3), standard normal."""
    return torch.randn(num_codes, 3, generator=rng)


def main(steps: int = 150) -> None:
    """Find the three directions; print |cos| to the true ones; draw them."""
    directions = discover_directions(generate, sample_codes, span="identity", steps=steps)
    print((directions.vectors / directions.vectors.norm(dim=1, keepdim=True) @ ROTATION.T).abs().round(decimals=2))
    print(walk(generate, torch.zeros(1, 3), directions).save("hand_built.png"))


if __name__ == "__main__":
    main()
