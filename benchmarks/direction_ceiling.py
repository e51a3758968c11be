"""How high the share of directions can get: the share itself as the objective, with the truth.

    python benchmarks/direction_ceiling.py                     # scenes: span, w and W+, seed 0
    python benchmarks/direction_ceiling.py --rung fitted --spaces span,w --seeds 0-2

Six directions start at the axes of the active subspace and are moved by Adam on what the factor network reads: the
share of the factor that each is matched to, at an amount that keeps that factor's change at 0.42. They may be

    span  an orthonormal basis of the active subspace
    w     unit vectors of the whole whitened w
    w+    one whitened vector per layer, of unit norm together
    s     a number per style channel, in the coordinates of `discovery.whitening`

and are scored as in `topdis-gan bench directions`, on codes that the objective has not seen. No method without the
truth can be expected to find better ones in that space, where Adam does not.
"""

import argparse
import sys
import time

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.discovery.active_subspace import Span
from ganspace_topdis.discovery.whitening import whiten
from ganspace_topdis.evaluation.factor_network import Readings, change, read_logits
from ganspace_topdis.evaluation.rescoring import LARGEST_EXTENT, OWN_CHANGE, Rescoring
from ganspace_topdis.latent.directions import Directions
from stylegan2.bench.rungs import RUNGS, Network, rung_named
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.settings import WHITENING, parse_numbers

SPACES = ("span", "w", "w+", "s")
NUM_DIRECTIONS = 6


class Ceiling:
    """The directions of one space, moved by the truth.

    Args:
        rung: the generator.
        space: one of `SPACES`.
        seed: of span and codes.
        batch_size: codes per step.
    """

    def __init__(self, rung: Network, space: str, seed: int, batch_size: int) -> None:
        self.rung, self.kind, self.batch_size = rung, space, batch_size
        self.space = rung.space_named("w" if space == "span" else space)
        self.rng = torch.Generator().manual_seed(seed)
        whitening = WHITENING[self.space.name]
        settings = DiscoverySettings(
            steps=0, seed=seed, num_directions=NUM_DIRECTIONS, whitening=whitening, search_in="span"
        )
        self.span: Span = Discovery(self.space.features, self.space.sample_codes, settings).span
        with torch.no_grad():
            self.coordinates = whiten(whitening, self.draw(10_000))
            start = self.coordinates.located(self.span.axes)
        free = torch.eye(NUM_DIRECTIONS) if space == "span" else start
        self.free = free.clone().requires_grad_(True)
        found = self.rescored(seed)
        self.factors = [found.direction.index(index) for index in range(NUM_DIRECTIONS)]
        self.extents = torch.tensor(found.extent).float()
        self.unit = self._unit()

    def vectors(self) -> Tensor:
        """(K, D), displacements of one standard deviation."""
        if self.kind == "span":
            rotation, triangle = torch.linalg.qr(self.free.T)
            return (rotation * triangle.diagonal().sign()).T @ self.span.axes
        return self.coordinates.chosen(F.normalize(self.free, dim=1))[0]

    def read(self, codes: Tensor) -> Readings:
        network = self.rung.factor_network
        return read_logits(network.factors, network(self.space.images(codes)))

    @torch.no_grad()
    def draw(self, num: int) -> Tensor:
        return self.space.sample_codes(num, self.rng)

    @torch.no_grad()
    def _unit(self) -> Tensor:
        readings = self.read(self.draw(1000))
        return change(readings, readings.select(torch.arange(1000).roll(1))).mean(0)

    def step(self) -> Tensor:
        """The loss of a batch: the mean over directions of 1 - share; the extents follow the factors' changes."""
        codes = self.draw(self.batch_size)
        with torch.no_grad():
            start = self.read(codes)
        losses = []
        for index, vector in enumerate(self.vectors()):
            sign = 1 if torch.rand((), generator=self.rng) < 0.5 else -1
            steps = sign * self.extents[index] * (0.25 + 0.75 * torch.rand(len(codes), 1, generator=self.rng))
            changes = change(self.read(codes + steps * vector), start).mean(0) / self.unit
            own = changes[self.factors[index]]
            losses.append(1 - own / changes.sum())
            factor = (OWN_CHANGE / max(float(own.detach()), 1e-3)) ** 0.1
            self.extents[index] = (self.extents[index] * factor).clamp(0.25, LARGEST_EXTENT)
        return torch.stack(losses).mean()

    @torch.no_grad()
    def rescored(self, seed: int) -> Rescoring:
        """What the directions change, on codes of the benchmark."""
        vectors = self.vectors()
        nothing = torch.zeros_like(vectors)
        directions = Directions(
            vectors=vectors, dual_vectors=nothing, mean=nothing[0], span=vectors, scales=torch.ones(len(vectors))
        )
        return self.rung.rescore(directions, seed)

    def optimize(self, num_steps: int, learning_rate: float) -> None:
        optimizer = torch.optim.Adam([self.free], lr=learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
        for _ in range(num_steps):
            optimizer.zero_grad()
            self.step().backward()
            optimizer.step()
            schedule.step()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rung", default="scenes", choices=RUNGS[1:])
    parser.add_argument("--spaces", default=",".join(SPACES))
    parser.add_argument("--seeds", type=parse_numbers, default=(0,))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=0.03)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    rung = rung_named(options.rung)
    assert isinstance(rung, Network)
    print("| space | seed | share | own change: mean | weakest | seconds |\n|---|---|---|---|---|---|")
    for seed in options.seeds:
        for space in options.spaces.split(","):
            since = time.process_time()
            with frozen_weights():
                ceiling = Ceiling(rung, space, seed, options.batch)
                ceiling.optimize(options.steps, options.learning_rate)
                found = ceiling.rescored(seed)
            shares = ", ".join(f"{n} {s:.2f}" for n, s in zip(found.factors, found.share, strict=True))
            print(shares, file=sys.stderr, flush=True)
            own, spent = found.own_change, time.process_time() - since
            row = (
                space,
                seed,
                f"{found.mean_share:.3f}",
                f"{sum(own) / len(own):.2f}",
                f"{min(own):.2f}",
                f"{spent:.0f}",
            )
            print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
