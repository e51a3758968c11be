"""A small convolutional network from images to numbers, and its training on drawn batches.

The reconstructor and the published protocol share it; images larger than 32 px are pooled to 32 first.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["pooled", "small_encoder", "train"]

_SIDE = 32


def small_encoder(in_channels: int, num_outputs: int, side: int, width: int, seed: int) -> nn.Sequential:
    """Strided 3 x 3 convolutions down to 4 x 4 or less and a hidden layer, initialised from `seed`."""
    layers: list[nn.Module] = []
    channels, features = in_channels, width
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        while side > 4:
            layers += [nn.Conv2d(channels, features, 3, stride=2, padding=1), nn.SiLU()]
            channels, features, side = features, min(2 * features, 4 * width), (side + 1) // 2
        hidden = nn.Linear(channels * side * side, 4 * width)
        return nn.Sequential(*layers, nn.Flatten(), hidden, nn.SiLU(), nn.Linear(4 * width, num_outputs))


def pooled(images: Tensor) -> Tensor:
    """Images (N, C, H, W) averaged down to 32 x 32 px if they are larger or not square."""
    height, width = images.shape[-2:]
    return nn.functional.adaptive_avg_pool2d(images, _SIDE) if width > _SIDE or width != height else images


def train(
    network: nn.Module,
    draw: Callable[[int], tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    num_steps: int,
    learning_rate: float,
) -> None:
    """Adam with a one-cycle rate on `loss(network(x), y)`, where `draw(step)` gives the batch (x, y)."""
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=num_steps)
    for step in range(num_steps):
        inputs, targets = draw(step)
        value = loss(network(inputs), targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
