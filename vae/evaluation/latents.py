"""What each latent does: its spread, its KL divergence, and how much it tells of each factor."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae.evaluation.encoding import Encoded, kl_of_latents
from vae.evaluation.scores import information_shares

__all__ = ["Latent", "describe_latents"]

_LIVE_STD = 0.05
"""Of the mean codes; where Locatello et al. 2019 prune for the FactorVAE score."""


@dataclass(frozen=True, kw_only=True)
class Latent:
    """One latent.

    Attributes:
        index: its number.
        std: standard deviation of its mean codes.
        kl: mean KL divergence from the prior, nats.
        live: whether `std` is 0.05 or more.
        shares: factor -> I(latent; factor) / H(factor), of the mean codes in 20 bins.
    """

    index: int
    std: float
    kl: float
    live: bool
    shares: dict[str, float]

    @property
    def factor(self) -> str | None:
        """The factor that it tells most of; None where no factor is known or it tells of none."""
        best = max(self.shares, key=self.shares.__getitem__, default=None)
        return best if best is not None and self.shares[best] > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "factor": self.factor}


def describe_latents(encoded: Encoded, factor_names: Sequence[str]) -> list[Latent]:
    """Every latent, in order of falling KL divergence.

    Args:
        encoded: a sample, drawn uniformly over the factors where they are known.
        factor_names: K of them; none where they are unknown.
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
            live=bool(deviations[index] >= _LIVE_STD),
            shares={name: float(share) for name, share in zip(factor_names, shares[index], strict=True)},
        )
        for index in range(len(deviations))
    ]
    return sorted(latents, key=lambda latent: -latent.kl)
