"""Everything that is measured of one network on one data set; no files.

encode the grid once -> draw the metrics' samples from it -> scores, latents, reconstruction error
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.progress import ProgressReporter
from vae.data.dataset import DataSet
from vae.evaluation.encoding import Encoded, encode, encode_grid
from vae.evaluation.latents import Latent, describe_latents
from vae.evaluation.metrics import groups_for
from vae.evaluation.reconstruction import reconstruction_errors
from vae.evaluation.scores import NUM_TEST, NUM_TRAIN, Samples, score_all
from vae.networks.autoencoder import AutoEncoder

__all__ = ["EvaluationSettings", "Measured", "draw_samples", "measure"]

_FEWEST_IMAGES = 50


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What is measured, and on how much.

    Attributes:
        metrics: groups of `vae.evaluation.metrics`; None for all that the data set allows.
        max_images: the grid is thinned to so many images; None encodes all of it.
        num_reconstructed: images for the reconstruction error.
        seed: of all draws.

    Raises:
        InvalidArgumentError: a number is out of range, or a metric is unknown.
    """

    metrics: tuple[str, ...] | None = None
    max_images: int | None = None
    num_reconstructed: int = 5_000
    seed: int = 0

    def __post_init__(self) -> None:
        groups_for(self.metrics, has_factors=True)
        if self.max_images is not None and self.max_images < _FEWEST_IMAGES:
            raise InvalidArgumentError(f"--max-images is {self.max_images}, but must be at least {_FEWEST_IMAGES}")
        if self.num_reconstructed < 1:
            raise InvalidArgumentError(f"--num-reconstructed is {self.num_reconstructed}, but must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was found.

    Attributes:
        scores: metric -> number.
        latents: in order of falling KL divergence.
        grid_sizes: values of each factor in the encoded grid; () where the factors are unknown.
        train: the 10,000 points that the metrics learnt from.
        duration_s: part of the work -> seconds.
    """

    scores: dict[str, float]
    latents: list[Latent]
    grid_sizes: tuple[int, ...]
    train: Encoded
    duration_s: dict[str, float]


def measure(model: AutoEncoder, data: DataSet, settings: EvaluationSettings, *, jobs: int | None = None) -> Measured:
    """Measure `model` on `data`.

    Factors are drawn independently and uniformly, also for a data set whose training draws are correlated.

    Args:
        model: in evaluation mode, on its device.
        data: the data set.
        settings: what to measure.
        jobs: threads for the boosted trees; one a processor by default. It does not change the results.

    Raises:
        InvalidArgumentError: a metric needs factors that `data` does not have, or the codes are not finite.
    """
    groups = groups_for(settings.metrics, has_factors=bool(data.factors))
    rng = np.random.default_rng(settings.seed)
    clock = _Clock()
    samples = draw_samples(model, data, groups, settings, rng)
    clock.stop("encoding")
    with ProgressReporter("metrics") as progress:
        scores = score_all(samples, groups, seed=settings.seed, jobs=jobs, progress=progress)
    clock.stop("metrics")
    latents = describe_latents(samples.train, [factor.name for factor in data.factors])
    clock.stop("latents")
    indices = _uniform_indices(data, settings.num_reconstructed, rng)
    scores |= reconstruction_errors(model, data, indices)
    scores["kl"] = sum(latent.kl for latent in latents)
    scores["live_latents"] = float(sum(latent.live for latent in latents))
    clock.stop("reconstruction")
    sizes = () if samples.grid is None else samples.grid.sizes
    return Measured(scores=scores, latents=latents, grid_sizes=sizes, train=samples.train, duration_s=clock.durations_s)


def draw_samples(
    model: AutoEncoder,
    data: DataSet,
    groups: Sequence[str],
    settings: EvaluationSettings,
    rng: np.random.Generator,
) -> Samples:
    """Encode what the metrics need: the grid, and samples looked up in it or, where it is thinned, encoded besides."""
    with ProgressReporter("encoding") as progress:
        if not data.factors:
            sample = _encode_some(model, data, data.sample(NUM_TRAIN + NUM_TEST, rng))
            return _split(sample, None)
        grid = encode_grid(model, data, max_images=settings.max_images, progress=progress)
        if grid.sizes == data.factor_sizes:
            return _split(grid.take(rng.integers(len(grid.means), size=NUM_TRAIN + NUM_TEST)), grid)
        return _split(_encode_some(model, data, _uniform_indices(data, NUM_TRAIN + NUM_TEST, rng)), grid)


def _encode_some(model: AutoEncoder, data: DataSet, indices: Any) -> Encoded:
    means, logvars = encode(model, data, indices)
    codes = data.codes(indices) if data.factors else np.zeros((len(indices), 0), np.int64)
    return Encoded(means=means, logvars=logvars, codes=codes)


def _split(sample: Encoded, grid: Encoded | None) -> Samples:
    rows = np.arange(NUM_TRAIN + NUM_TEST)
    return Samples(train=sample.take(rows[:NUM_TRAIN]), test=sample.take(rows[NUM_TRAIN:]), grid=grid)


def _uniform_indices(data: DataSet, num: int, rng: np.random.Generator) -> Any:
    if not data.factors:
        return data.sample(num, rng)
    return data.indices(rng.integers(data.factor_sizes, size=(num, len(data.factors))), rng)


class _Clock:
    """Seconds between calls of `stop`."""

    def __init__(self) -> None:
        self.durations_s: dict[str, float] = {}
        self._start_s = time.perf_counter()

    def stop(self, name: str) -> None:
        now_s = time.perf_counter()
        self.durations_s[name] = round(now_s - self._start_s, 3)
        self._start_s = now_s
