"""Measure one network on one data set, without touching files.

encode the grid once -> draw the metrics' samples from it -> scores, latents, reconstruction error
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganspace_topdis.runs.progress import ProgressReporter
from vae.data.dataset import DataSet
from vae.evaluation.encoding import Encoded, encode, encode_grid, reconstruction_errors
from vae.evaluation.metrics import EvaluationSettings, groups_for
from vae.evaluation.scores import NUM_TEST, NUM_TRAIN, Latent, Samples, describe_latents, score_all
from vae.networks.autoencoder import AutoEncoder

__all__ = ["Measurement", "draw_samples", "measure"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The results of `measure`.

    Attributes:
        scores: metric -> number.
        latents: in order of decreasing KL divergence.
        grid_sizes: number of values of each factor in the encoded grid; () if the factors are unknown.
        train: the 10,000 points that the metrics were fitted on.
        duration_s: stage -> seconds.
    """

    scores: dict[str, float]
    latents: list[Latent]
    grid_sizes: tuple[int, ...]
    train: Encoded
    duration_s: dict[str, float]


def measure(model: AutoEncoder, data: DataSet, settings: EvaluationSettings, *, jobs: int | None = None) -> Measurement:
    """Measure `model` on `data`.

    Factors are drawn independently and uniformly, even for a correlated data set.

    Args:
        model: in evaluation mode, on its device.
        data: the data set.
        settings: what to measure.
        jobs: threads of the boosted trees, by default one per processor; the results do not depend on it.

    Raises:
        InvalidArgumentError: a metric needs factors that `data` lacks, or the codes are not finite.
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
    return Measurement(
        scores=scores, latents=latents, grid_sizes=sizes, train=samples.train, duration_s=clock.durations_s
    )


def draw_samples(
    model: AutoEncoder,
    data: DataSet,
    groups: Sequence[str],
    settings: EvaluationSettings,
    rng: np.random.Generator,
) -> Samples:
    """Encode the grid, and samples: looked up in the grid, or encoded separately if the grid is thinned."""
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
    """Records the seconds between calls of `stop`."""

    def __init__(self) -> None:
        self.durations_s: dict[str, float] = {}
        self._start_s = time.perf_counter()

    def stop(self, name: str) -> None:
        now_s = time.perf_counter()
        self.durations_s[name] = round(now_s - self._start_s, 3)
        self._start_s = now_s
