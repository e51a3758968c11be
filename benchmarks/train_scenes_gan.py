"""Train a StyleGAN2 on scenes or pebbles, adversarially: images only, no labels.

    generator      softplus(-D(G(z)))                 discriminator   softplus(D(G(z))) + softplus(-D(x))
    every 16 discriminator steps   16 * gamma / 2 * E |dD/dx|^2          (R1, Mescheder et al. 2018)
    every 4 generator steps        4 * weight * E (|J^T y| - mean)^2     (path length, optional)

as in Karras et al. 2020 (arXiv:1912.04958). With `--loss relativistic`, as in Huang et al. 2024 (arXiv:2501.05441),

    generator      softplus(D(x) - D(G(z)))          discriminator   softplus(D(G(z)) - D(x))

and `--gamma-fakes` adds the penalty at generated images (R2). One batch of fakes serves both players of a step, noise
inputs are off, and the averaged weights are stored. Images are drawn from continuous factors during training.

    python benchmarks/train_scenes_gan.py runs/gan --num-images 600000
    python benchmarks/train_scenes_gan.py runs/pebbles --data pebbles --num-images 400000
    python benchmarks/train_scenes_gan.py runs/scenes64 --resolution 64 --channels 64 64 64 32 32 \
        --discriminator-width 32 --start stylegan2/assets/scenes.safetensors

`--start` begins with the generator of a smaller resolution: its images, enlarged, are the first ones.

The same command resumes where the last one stopped, bit for bit on one machine.
"""

import argparse
import copy
import math
import time
from pathlib import Path
from typing import Any

import torch
from scenes_discriminator import Discriminator, FeatureHeads
from scenes_training import DATA, DrawnData, Run, cosine, drawn_data, ema_update, picture_sheet, stop_requested
from torch import Tensor
from torch.nn.functional import softplus

import stylegan2
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from stylegan2.generator import Generator

LOSSES = ("non-saturating", "relativistic")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the run")
    parser.add_argument("--data", default="scenes", choices=DATA)
    parser.add_argument("--num-images", type=int, default=600_000, help="real images shown in all")
    parser.add_argument("--resolution", type=int, default=32, choices=(32, 64, 128))
    parser.add_argument("--channels", type=int, nargs="+", help="of the blocks, from 4 px (64, at full size 32)")
    parser.add_argument("--start", type=Path, help="generator of a smaller resolution to start from")
    parser.add_argument("--discriminator-width", type=int, default=64, help="channels at half size, doubling to 128")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--mapping-lr", type=float, default=5.0, help="the mapping network's, relative to --lr")
    parser.add_argument("--decay-from", type=float, default=0.7, help="share of the run after which rates fall")
    parser.add_argument("--loss", default=LOSSES[0], choices=LOSSES)
    parser.add_argument("--gamma", type=float, default=0.05, help="weight of R1")
    parser.add_argument("--gamma-fakes", type=float, default=0.0, help="weight of R2, the same at generated images")
    parser.add_argument("--gamma-final", type=float, default=1.0, help="both at the end, relative to the start")
    parser.add_argument("--style-mixing", type=float, default=0.0, help="probability of two styles in one image")
    parser.add_argument("--path-length", type=float, default=0.0, help="weight of the path length penalty")
    parser.add_argument("--average-images", type=float, default=5000, help="half-life of the averaged weights")
    parser.add_argument("--features", type=Path, default=None, help="factor network whose features are judged too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 in convolutions")
    parser.add_argument("--max-steps", type=int, help="stop after this many steps of this process")
    parser.add_argument("--max-minutes", type=float, help="stop after this much processor time of this process")
    return parser.parse_args(argv)


def start_from(generator: Generator, smaller: Generator) -> None:
    """Take mapping and blocks of `smaller`; the blocks above it add nothing to its images at first."""
    tensors = {name: tensor for name, tensor in smaller.state_dict().items() if "noise_const" not in name}
    generator.load_state_dict(tensors, strict=False)
    for resolution in generator.synthesis.resolutions:
        if resolution > smaller.img_resolution:
            torch.nn.init.zeros_(generator.synthesis.block(resolution).torgb.weight)


class Players:
    """Generator, discriminator and all that one step of the game changes."""

    def __init__(self, options: argparse.Namespace, data: DrawnData) -> None:
        self.options, self.data = options, data
        torch.manual_seed(options.seed)
        self.generator = Generator(
            z_dim=64,
            w_dim=64,
            img_resolution=options.resolution,
            num_mapping_layers=4,
            channels=options.channels or (64,) * (options.resolution.bit_length() - 3) + (32,),
        ).to(options.device)
        if options.start is not None:
            start_from(self.generator, stylegan2.load(options.start))
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.discriminator = Discriminator(options.resolution, options.discriminator_width).to(options.device)
        self.heads = None
        if options.features is not None:
            frozen = FactorNetwork.load(options.features, options.device)
            self.heads = FeatureHeads(frozen.body).to(options.device)
        judges = list(self.discriminator.parameters()) + list(self.heads.parameters() if self.heads else [])
        groups = [
            {"params": list(self.generator.synthesis.parameters()), "scale": 1.0},
            {"params": list(self.generator.mapping.parameters()), "scale": options.mapping_lr},
        ]
        self.optimizer_g = torch.optim.Adam(groups, lr=options.lr, betas=(0.0, 0.99), eps=1e-8)
        self.optimizer_d = torch.optim.Adam([{"params": judges, "scale": 1.0}], betas=(0.0, 0.99), eps=1e-8)
        self.random = torch.Generator().manual_seed(options.seed)
        self.path_mean = torch.zeros((), device=options.device)
        self.steps = 0

    @property
    def images_seen(self) -> int:
        return self.steps * self.options.batch

    def step(self) -> dict[str, float]:
        self._set_rates()
        figures = {}
        reals = self.data.draw(self.options.batch, self.random).to(self.options.device)
        fakes = self._synthesize(self._styles())
        figures |= self._discriminator_step(reals, fakes.detach())
        if self.steps % 16 == 0:
            figures |= self._penalty_step(reals, fakes.detach())
        self.discriminator.requires_grad_(False)
        loss = sum(softplus(-logits).mean() for logits in self._margins(fakes, reals))
        self.optimizer_g.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer_g.step()
        if self.options.path_length > 0 and self.steps % 4 == 0:
            figures |= self._path_length_step()
        self.discriminator.requires_grad_(True)
        self.steps += 1
        half_life = min(self.options.average_images, 0.05 * self.images_seen)
        ema_update(self.average, self.generator, beta=0.5 ** (self.options.batch / max(half_life, 1e-8)))
        return figures | {"loss_g": float(loss.detach())}

    @property
    def _progress(self) -> float:
        return self.images_seen / self.options.num_images

    def _set_rates(self) -> None:
        progress, start = self._progress, self.options.decay_from
        factor = 1.0 if progress < start else cosine((progress - start) / (1 - start), warmup=0.0)
        for group in [*self.optimizer_g.param_groups, *self.optimizer_d.param_groups]:
            group["lr"] = self.options.lr * group["scale"] * factor

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.options.device.split(":")[0], torch.bfloat16, enabled=not self.options.float32)

    def _codes(self) -> Tensor:
        shape = (self.options.batch, self.generator.z_dim)
        return torch.randn(shape, generator=self.random).to(self.options.device)

    def _styles(self) -> Tensor:
        ws = self.generator.mapping(self._codes())
        if self.options.style_mixing > 0 and torch.rand((), generator=self.random) < self.options.style_mixing:
            cut = int(torch.randint(1, self.generator.num_ws, (), generator=self.random))
            ws = torch.cat([ws[:, :cut], self.generator.mapping(self._codes())[:, cut:]], dim=1)
        return ws

    def _synthesize(self, ws: Tensor) -> Tensor:
        with self._autocast():
            return self.generator.synthesis(ws, noise_mode="none").float()

    def _judge(self, images: Tensor) -> list[Tensor]:
        with self._autocast():
            logits = [self.discriminator(images).float()]
            if self.heads is not None:
                logits += list(self.heads(images).float().unbind(dim=1))
        return logits

    def _margins(self, images: Tensor, others: Tensor) -> list[Tensor]:
        """Logits of images, less those of others with the relativistic loss."""
        logits = self._judge(images)
        if self.options.loss != "relativistic":
            return logits
        return [ours - theirs for ours, theirs in zip(logits, self._judge(others), strict=True)]

    def _discriminator_step(self, reals: Tensor, fakes: Tensor) -> dict[str, float]:
        if self.options.loss == "relativistic":
            parts = [softplus(-logits).mean() for logits in self._margins(reals, fakes)]
        else:
            batches = zip(self._judge(fakes), self._judge(reals), strict=True)
            parts = [softplus(fake).mean() + softplus(-real).mean() for fake, real in batches]
        self.optimizer_d.zero_grad(set_to_none=True)
        sum(parts).backward()
        self.optimizer_d.step()
        heads = {"loss_heads": float(sum(parts[1:]).detach()) / len(parts[1:])} if parts[1:] else {}
        return {"loss_d": float(parts[0].detach())} | heads

    def _penalty_step(self, reals: Tensor, fakes: Tensor) -> dict[str, float]:
        """R1, and R2 where it has a weight; both fall by a constant factor per image."""
        figures = {}
        self.optimizer_d.zero_grad(set_to_none=True)
        for name, images, gamma in (("r1", reals, self.options.gamma), ("r2", fakes, self.options.gamma_fakes)):
            if gamma:
                leaf = images.detach().requires_grad_(True)
                (gradient,) = torch.autograd.grad(self.discriminator(leaf).sum(), leaf, create_graph=True)
                penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
                (penalty * (16 * gamma * self.options.gamma_final**self._progress / 2)).backward()
                figures[name] = float(penalty.detach())
        self.optimizer_d.step()
        return figures

    def _path_length_step(self) -> dict[str, float]:
        ws = self.generator.mapping(self._codes()[: max(1, self.options.batch // 2)])
        images = self.generator.synthesis(ws, noise_mode="none")
        noise = torch.randn(images.shape, generator=self.random).to(images) / images.shape[-1]
        (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
        lengths = gradient.square().sum(dim=2).mean(dim=1).sqrt()
        self.path_mean = self.path_mean.lerp(lengths.mean().detach(), 0.01)
        penalty = (lengths - self.path_mean).square().mean()
        self.optimizer_g.zero_grad(set_to_none=True)
        (penalty * (4 * self.options.path_length)).backward()
        self.optimizer_g.step()
        return {"path_length": float(lengths.mean().detach())}

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name).state_dict() for name in self._stateful()} | {
            "random": self.random.get_state(),
            "path_mean": self.path_mean,
            "steps": self.steps,
        }

    def load(self, state: dict[str, Any]) -> None:
        for name in self._stateful():
            getattr(self, name).load_state_dict(state[name])
        self.random.set_state(state["random"].cpu())
        self.path_mean, self.steps = state["path_mean"].to(self.options.device), state["steps"]

    def _stateful(self) -> list[str]:
        names = ["generator", "average", "discriminator", "optimizer_g", "optimizer_d"]
        return [*names, "heads"] if self.heads is not None else names


@torch.no_grad()
def write_pictures(players: Players, path: Path) -> None:
    """Images of the averaged weights for fixed codes, 8 rows of 16."""
    z = torch.randn(128, players.generator.z_dim, generator=torch.Generator().manual_seed(12345))
    ws = players.average.mapping(z.to(players.options.device))
    images = players.average.synthesis(ws, noise_mode="none").cpu()
    picture_sheet(list(images.split(16)), path)


def train(players: Players, run: Run) -> None:
    """Play until the last image, a signal, or one of the limits of this process; then save."""
    options, first, since = players.options, players.steps, time.monotonic()
    max_steps = math.inf if options.max_steps is None else options.max_steps
    max_seconds = math.inf if options.max_minutes is None else time.process_time() + 60 * options.max_minutes
    sums: dict[str, list[float]] = {}
    with stop_requested() as stop:
        while players.images_seen < options.num_images and not stop:
            if players.steps - first >= max_steps or time.process_time() >= max_seconds:
                break
            for name, value in players.step().items():
                sums.setdefault(name, []).append(value)
            if players.steps % 500 == 0:
                means = {name: round(sum(values) / len(values), 4) for name, values in sums.items()}
                speed = len(sums["loss_g"]) * options.batch / (time.monotonic() - since)
                run.log(images=players.images_seen, **means, images_per_s=round(speed, 1))
                sums, since = {}, time.monotonic()
            if run.save_is_due:
                run.save(players.state())
                write_pictures(players, run.folder / f"samples_{players.images_seen // 1000:04d}k.png")
    run.save(players.state())
    write_pictures(players, run.folder / f"samples_{players.images_seen // 1000:04d}k.png")


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    torch.set_num_threads(1)
    run = Run(options.folder, save_every_s=300)
    run.record_settings(options)
    players = Players(options, drawn_data(options.data, options.resolution, options.folder / "table.bin"))
    state = run.load()
    if state is not None:
        players.load(state)
    train(players, run)


if __name__ == "__main__":
    main()
