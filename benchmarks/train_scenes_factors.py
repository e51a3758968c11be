"""Train the factor network that reads the six factors from scenes or pebbles, and test it on labeled ones.

Generated images are softer and noisier than rendered ones, and a network that has only seen clean renders mistakes
blur for a change of shape or orientation. So every training image is blurred by a Gaussian of random width and
gets noise of random strength, and the accuracy is reported for clean, blurred and noisy test images.

    python benchmarks/train_scenes_factors.py --resolution 32 --output stylegan2/assets/scenes_factors.safetensors
    python benchmarks/train_scenes_factors.py --data pebbles --output stylegan2/assets/pebbles_factors.safetensors
"""

import argparse
import json
import time
from pathlib import Path

import torch
from scenes_training import DATA, DrawnData, cosine, drawn_data
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.evaluation.factor_network import FactorNetwork, factor_loss
from vae.data import scenes

MAX_BLUR_PX = 1.2
MAX_NOISE = 0.15
TEST_CONDITIONS = {"clean": (0.0, 0.0), "blurred": (1.0, 0.0), "noisy": (0.0, 0.1)}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", default="scenes", choices=DATA)
    parser.add_argument("--resolution", type=int, default=32, choices=scenes.RESOLUTIONS)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--num-images", type=int, default=400_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-test", type=int, default=10_000)
    parser.add_argument("--table", type=Path, default=None, help="file that keeps the table of geometries")
    return parser.parse_args(argv)


def blurred(images: Tensor, sigma_px: Tensor) -> Tensor:
    """Blur images (N, C, H, W) by Gaussians of widths (N,), one per image; zero leaves an image unchanged."""
    offsets = torch.arange(-3, 4, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (offsets / sigma_px.clamp(min=1e-3)[:, None]).square())
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    n, channels = images.shape[:2]
    flat = kernels.repeat_interleave(channels, dim=0)
    x = F.pad(images, (3, 3, 3, 3), mode="replicate").reshape(1, n * channels, *(s + 6 for s in images.shape[2:]))
    x = F.conv2d(x, flat[:, None, :, None], groups=n * channels)
    return F.conv2d(x, flat[:, None, None, :], groups=n * channels).reshape(images.shape)


def degraded(images: Tensor, random: torch.Generator) -> Tensor:
    """A quarter of the images unchanged; the others blurred and with noise, both of random strength."""
    n = len(images)
    touched = (torch.rand(n, generator=random) < 0.75).float()
    images = blurred(images, MAX_BLUR_PX * torch.rand(n, generator=random) * touched)
    strength = MAX_NOISE * torch.rand(n, generator=random).square() * touched
    return images + strength[:, None, None, None] * torch.randn(images.shape, generator=random)


def train(options: argparse.Namespace, data: DrawnData) -> FactorNetwork:
    torch.manual_seed(options.seed)
    random = torch.Generator().manual_seed(options.seed)
    network = FactorNetwork(data.factors, options.resolution, options.width)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.lr)
    total, since = options.num_images // options.batch, time.monotonic()
    for step in range(total):
        values = data.uniform_values(options.batch, random)
        images = degraded(data.images(values).contiguous(), random)
        optimizer.param_groups[0]["lr"] = options.lr * cosine(step / total)
        loss = factor_loss(data.factors, network(images), data.to_index_units(values))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 500 == 499:
            speed = (step + 1) * options.batch / (time.monotonic() - since)
            print(
                f"{(step + 1) * options.batch} images, loss {float(loss.detach()):.3f}, {speed:.0f} images/s",
                flush=True,
            )
    return network.eval()


@torch.no_grad()
def test(network: FactorNetwork, data: DrawnData, num: int, seed: int) -> dict[str, dict[str, float]]:
    """Share of grid images whose most probable value is the true one, per condition and factor."""
    random = torch.Generator().manual_seed(seed)
    sizes = [factor.size for factor in data.factors]
    indices = torch.stack([torch.randint(size, (num,), generator=random) for size in sizes], dim=1)
    images = data.of_indices(indices)
    accuracy = {}
    for name, (sigma_px, noise) in TEST_CONDITIONS.items():
        hits = torch.zeros(len(sizes))
        for batch, truth in zip(images.split(250), indices.split(250), strict=True):
            shown = blurred(batch, torch.full((len(batch),), sigma_px))
            shown = shown + noise * torch.randn(shown.shape, generator=random)
            read = torch.stack([logits.argmax(dim=1) for logits in network(shown)], dim=1)
            hits += (read == truth).sum(dim=0)
        shares = (hits / num).tolist()
        accuracy[name] = {f.name: round(s, 4) for f, s in zip(data.factors, shares, strict=True)}
    return accuracy


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    torch.set_num_threads(1)
    data = drawn_data(options.data, options.resolution, options.table)
    network = train(options, data)
    accuracy = test(network, data, options.num_test, options.seed + 1)
    settings = {key: value for key, value in vars(options).items() if not isinstance(value, Path | None)}
    network.save(options.output, {"data": options.data, "settings": settings, "test_accuracy": accuracy})
    print(json.dumps(accuracy, indent=2))


if __name__ == "__main__":
    main()
