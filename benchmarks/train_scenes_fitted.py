"""Fit a StyleGAN2 generator to the scene renderer: a network whose factors of variation are known exactly.

    minimize  E_z | G(z) - image(factors(z)) |_1,  at full size and at half size

where factors(z) is `vae.data.scenes_torch.CodeToFactors`. No adversary is needed, and every code's true factors
are known: the middle rung between a hand-built generator and one trained on images alone.

    python benchmarks/train_scenes_fitted.py runs/fitted --num-images 320000

The same command resumes where the last one stopped, bit for bit on one machine. The mapping network needs the
higher rate: at 10 times --lr the loss was 0.38 after 400,000 samples and most factors were missed, at 100 times
it was 0.15 after 300,000.
"""

import argparse
import copy
import time
from pathlib import Path
from typing import Any

import torch
from scenes_training import Run, cosine, ema_update, picture_sheet, stop_requested
from torch import Tensor, nn

from stylegan2.generator import Generator
from vae.data.scenes_torch import CodeToFactors, SceneTable

CONFIGURATION = {"z_dim": 64, "w_dim": 64, "img_resolution": 32, "num_mapping_layers": 4, "channels": (64,) * 4}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the run")
    parser.add_argument("--num-images", type=int, default=320_000, help="length of the run, in images")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--mapping-lr", type=float, default=100.0, help="the mapping network's, relative to --lr")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-steps", type=int, default=None, help="stop after this many steps of this process")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 in the synthesis network")
    return parser.parse_args(argv)


class Fit:
    """Generator, its average, optimizer and random state: one step at a time."""

    def __init__(self, options: argparse.Namespace, table: SceneTable) -> None:
        self.options, self.table = options, table
        torch.manual_seed(options.seed)
        self.generator = Generator(**CONFIGURATION)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.codes = CodeToFactors.random(self.generator.z_dim, options.seed)
        groups = [
            {"params": self.generator.synthesis.parameters(), "scale": 1.0},
            {"params": self.generator.mapping.parameters(), "scale": options.mapping_lr},
        ]
        self.optimizer = torch.optim.Adam(groups, lr=options.lr, betas=(0.9, 0.99), eps=1e-8)
        self.random = torch.Generator().manual_seed(options.seed)
        self.images_seen = 0

    def step(self) -> float:
        z = torch.randn(self.options.batch, self.generator.z_dim, generator=self.random)
        target = self.table.images(self.codes.values(z)).contiguous()
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.lr * group["scale"] * cosine(self.images_seen / self.options.num_images)
        ws = self.generator.mapping(z)
        with torch.autocast("cpu", torch.bfloat16, enabled=not self.options.float32):
            images = self.generator.synthesis(ws, noise_mode="none")
        loss = two_scale_l1(images.float() - target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.images_seen += len(z)
        ema_update(self.average, self.generator, beta=min(0.999, 1 - 10 / (10 + self.images_seen / len(z))))
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self.random.get_state(),
            "images_seen": self.images_seen,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.random.set_state(state["random"])
        self.images_seen = state["images_seen"]


def two_scale_l1(difference: Tensor) -> Tensor:
    """Mean absolute error of (N, 3, R, R) at full size plus that at half size."""
    return difference.abs().mean() + nn.functional.avg_pool2d(difference, 2).abs().mean()


@torch.no_grad()
def write_pictures(fit: Fit, path: Path) -> float:
    """Pairs of rows, truth over network, for fixed codes; returns the mean absolute error of 64 images."""
    z = torch.randn(64, fit.generator.z_dim, generator=torch.Generator().manual_seed(12345))
    truth = fit.table.images(fit.codes.values(z))
    made = fit.average.synthesis(fit.average.mapping(z), noise_mode="none")
    rows = [part for k in range(0, 64, 16) for part in (truth[k : k + 16], made[k : k + 16])]
    picture_sheet(rows, path)
    return float((made - truth).abs().mean())


def train(fit: Fit, run: Run, max_steps: int | None) -> None:
    total, steps, since, losses = fit.options.num_images, 0, time.monotonic(), []
    with stop_requested() as stop:
        while fit.images_seen < total and not stop and (max_steps is None or steps < max_steps):
            losses.append(fit.step())
            steps += 1
            if len(losses) == 500:
                speed = len(losses) * fit.options.batch / (time.monotonic() - since)
                run.log(images=fit.images_seen, loss=sum(losses) / len(losses), images_per_s=round(speed, 1))
                losses, since = [], time.monotonic()
            if run.save_is_due:
                run.save(fit.state())
                run.log(images=fit.images_seen, error=write_pictures(fit, run.folder / "samples.png"))
    run.save(fit.state())
    run.log(images=fit.images_seen, error=write_pictures(fit, run.folder / "samples.png"))


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    torch.set_num_threads(1)
    run = Run(options.folder)
    run.record_settings(options)
    table = SceneTable(CONFIGURATION["img_resolution"], cache=options.folder / "table.bin")
    fit = Fit(options, table)
    state = run.load()
    if state is not None:
        fit.load(state)
    train(fit, run, options.max_steps)


if __name__ == "__main__":
    main()
