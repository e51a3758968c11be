"""All metrics of one network, and a summary of each latent, computed from its codes.

Sample sizes are those of the literature (Locatello et al. 2019): factors are drawn uniformly and independently, with
replacement, 10,000 points to fit on and 5,000 to score on. Metrics that draw batches of their own (FactorVAE,
beta-VAE, sampled MIG) look up the encoded grid.
"""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics import mig_sampled
from ganspace_topdis.metrics.estimators import discretize, entropy, mutual_information_matrix
from ganspace_topdis.metrics.groups import METRICS, Sample
from ganspace_topdis.runs.progress import Progress
from vae.encoding import Encoded, kl_of_latents

__all__ = [
    "LIVE_KL",
    "LIVE_STD",
    "NUM_TEST",
    "NUM_TRAIN",
    "Latent",
    "Samples",
    "describe_latents",
    "information_shares",
    "score_all",
]

NUM_TRAIN, NUM_TEST = 10_000, 5_000
_MAX_COMPONENTS = 20_000
LIVE_STD = 0.05
"""Threshold on the mean codes at which Locatello et al. 2019 prune latents for the FactorVAE score."""
LIVE_KL = 0.1
"""Nats; a latent below it carries almost no information, however its mean codes vary."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The codes that the metrics are computed from.

    Attributes:
        train: points to fit on.
        test: points to score on.
        grid: the grid of factor combinations; None if the factors are unknown.
    """

    train: Encoded
    test: Encoded
    grid: Encoded | None


def score_all(
    samples: Samples,
    groups: Collection[str],
    *,
    seed: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
    optional: bool = False,
) -> dict[str, float]:
    """Compute the scores, by metric, of all groups (see `vae.evaluation.metrics`) except "reconstruction".

    Args:
        samples: the codes.
        groups: the metric groups.
        seed: seed of the metrics' own draws.
        jobs: threads for DCI.
        progress: called with the number of groups done and in total.
        optional: leave out, with a warning, the groups that are undefined for these codes and factors.

    Raises:
        InvalidArgumentError: codes are not finite, or too few factors vary; with `optional` only the former.
    """
    sample = _as_sample(samples, seed, jobs)
    runs = {group.name: partial(group.run, sample) for group in METRICS} | {
        "mig-sampled": partial(_mig_sampled, samples, seed)
    }
    chosen = {name: run for name, run in runs.items() if name in groups}
    scores: dict[str, float] = {}
    for number, (name, run) in enumerate(chosen.items(), start=1):
        try:
            scores |= run()
        except InvalidArgumentError as error:
            if not optional or not np.isfinite(samples.train.means).all():
                raise InvalidArgumentError(f"{name}: {error}") from error
            warnings.warn(f"{name} is left out: {error}", stacklevel=2)
        if progress is not None:
            progress(number, len(chosen))
    return scores


def information_shares(encoded: Encoded) -> NDArray[np.float64]:
    """Return I(latent; factor) / H(factor) of discretized codes, (D, K); 0 for a factor that does not vary."""
    information = mutual_information_matrix(discretize(encoded.means), encoded.codes)
    entropies = np.array([entropy(column) for column in encoded.codes.T])
    return np.divide(information, entropies, out=np.zeros_like(information), where=entropies > 0)


def _as_sample(samples: Samples, seed: int, jobs: int | None) -> Sample:
    train, test, grid = samples.train, samples.test, samples.grid
    return Sample(
        codes=train.means,
        factors=train.codes,
        split=(train.means, train.codes, test.means, test.codes),
        everything=(train.means, train.codes) if grid is None else (grid.means, grid.sizes),
        seed=seed,
        jobs=jobs,
    )


def _mig_sampled(samples: Samples, seed: int) -> dict[str, float]:
    grid = samples.grid
    assert grid is not None, "groups_for rejects supervised metrics without factors"
    score = mig_sampled(grid.means, grid.logvars, grid.sizes, max_components=_MAX_COMPONENTS, seed=seed)
    return {"mig_sampled": score}


@dataclass(frozen=True, kw_only=True)
class Latent:
    """Summary of one latent.

    Attributes:
        index: its index.
        std: standard deviation of its mean codes.
        kl: mean KL divergence from the prior, nats.
        live: whether `std` is at least `LIVE_STD` and `kl` at least `LIVE_KL`.
        shares: factor -> I(latent; factor) / H(factor), of the mean codes in 20 bins.
    """

    index: int
    std: float
    kl: float
    live: bool
    shares: dict[str, float]

    @property
    def factor(self) -> str | None:
        """The factor it is most informative of; None if there is none."""
        best = max(self.shares, key=self.shares.__getitem__, default=None)
        return best if best is not None and self.shares[best] > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able copy, with the factor."""
        return {**asdict(self), "factor": self.factor}


def describe_latents(encoded: Encoded, factor_names: Sequence[str]) -> list[Latent]:
    """Summarize every latent, in order of decreasing KL divergence.

    Args:
        encoded: a sample, uniform over the factors if they are known.
        factor_names: names of the K factors; empty if unknown.
    """
    deviations, divergences = encoded.means.std(axis=0), kl_of_latents(encoded)
    shares: NDArray[np.float64] = (
        information_shares(encoded) if factor_names else np.zeros((len(deviations), 0), dtype=np.float64)
    )
    latents = [
        Latent(
            index=index,
            std=float(deviations[index]),
            kl=float(divergences[index]),
            live=bool(deviations[index] >= LIVE_STD and divergences[index] >= LIVE_KL),
            shares={name: float(share) for name, share in zip(factor_names, shares[index], strict=True)},
        )
        for index in range(len(deviations))
    ]
    return sorted(latents, key=lambda latent: -latent.kl)
