"""How high the share of directions can get: the share itself as the objective, with the truth.

    python benchmarks/directions.py scenes --methods ceiling-span,ceiling-w,ceiling-w+,ceiling-s

Six directions start at the axes of the active subspace and are moved by Adam on what the factor network reads: the
share of the factor that each is matched to, at an amount that keeps that factor's change at 0.42. They may be

    ceiling-span  an orthonormal basis of the active subspace
    ceiling-w     unit vectors of the whole whitened w
    ceiling-w+    one whitened vector per layer, of unit norm together
    ceiling-s     a number per style channel, in the coordinates of `discovery.whitening`

and are scored on codes that the objective has not seen. No method without the truth can be expected to find better ones
in that space, where Adam does not.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.discovery.active_subspace import Span
from ganspace_topdis.discovery.whitening import whiten
from ganspace_topdis.evaluation.factor_network import Readings, change, read_logits
from ganspace_topdis.evaluation.rescoring import LARGEST_EXTENT, OWN_CHANGE, Rescoring
from ganspace_topdis.latent.directions import Directions
from stylegan2.bench.rungs import Network
from stylegan2.settings import WHITENING

CEILINGS = {"ceiling-span": "span", "ceiling-w": "w", "ceiling-w+": "w+", "ceiling-s": "s"}
"""The spaces that directions may be in, by the name of the row."""

NUM_DIRECTIONS, NUM_STEPS, BATCH_SIZE, LEARNING_RATE = 6, 200, 16, 0.03


class Ceiling:
    """The directions of one space, moved by the truth.

    Args:
        rung: the generator.
        space: one of the values of `CEILINGS`.
        seed: of span and codes.
        batch_size: codes per step.
    """

    def __init__(self, rung: Network, space: str, seed: int, batch_size: int = BATCH_SIZE) -> None:
        self.rung, self.kind, self.seed, self.batch_size = rung, space, seed, batch_size
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
        found = self.rescored()
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

    def directions(self) -> Directions:
        """The directions as they are."""
        return self.rung.directions_of(self.vectors().detach(), self.seed)

    def rescored(self) -> Rescoring:
        """What the directions change, on codes of the benchmark."""
        return self.rung.rescore(self.directions(), self.seed)

    def optimize(self, num_steps: int = NUM_STEPS, learning_rate: float = LEARNING_RATE) -> None:
        optimizer = torch.optim.Adam([self.free], lr=learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
        for _ in range(num_steps):
            optimizer.zero_grad()
            self.step().backward()
            optimizer.step()
            schedule.step()
