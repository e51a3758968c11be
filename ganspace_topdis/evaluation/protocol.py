"""The encoder protocol: disentanglement metrics of directions, through an encoder trained on generated images.

A small encoder learns the standardized coordinates of codes along K directions from the generated images. Its outputs
for real labeled images are then scored like the codes of a VAE: MIG, DCI and the FactorVAE score. For a coordinate that
is invisible in the images the encoder predicts the mean, and that latent is pruned. Further groups of
`ganspace_topdis.metrics` are scored by name.

Sources: Khrulkov et al. 2021 (arXiv:2102.06204); Ren et al. 2022 (DisCo, arXiv:2102.10543). Deviation: the FactorVAE
score uses fewer votes than the usual 15,000, because each vote needs its own labeled images.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganspace_topdis.discovery.reconstructor_loss import pooled, small_encoder, train
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.metrics import dci, evaluate, mig
from ganspace_topdis.metrics.groups import metric_groups
from ganspace_topdis.metrics.interventions import active_latents, least_varying, score_votes
from ganspace_topdis.options import check_seed

__all__ = ["LabeledImages", "ProtocolScores", "ProtocolSettings", "encoder_protocol"]


@dataclass(frozen=True)
class LabeledImages:
    """Real images with known factors.

    Attributes:
        draw: (indices (n, F), side in px) -> uint8 (n, side, side, 3).
        factor_sizes: number of values of each of the F factors.
    """

    draw: Callable[[Any, int], Any]
    factor_sizes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ProtocolSettings:
    """Settings of the encoder's training and scoring. The defaults suit two CPU cores.

    Attributes:
        num_steps: optimization steps of the encoder.
        batch_size: images at a time.
        num_train: labeled images for MIG and for fitting DCI.
        num_test: further labeled images for DCI's accuracy.
        num_votes: FactorVAE votes, two thirds of them for training.
        vote_size: images per vote.
        min_std: latents with a smaller standard deviation are excluded from the votes.
        width: channels of the encoder's first layer.
        learning_rate: peak learning rate of Adam.
        seed: of weights and draws.
        metrics: names of further groups of `ganspace_topdis.metrics.groups.METRICS`.

    Raises:
        InvalidArgumentError: a setting is out of range, or a metric is unknown.
    """

    num_steps: int = 1000
    batch_size: int = 64
    num_train: int = 5000
    num_test: int = 2500
    num_votes: int = 600
    vote_size: int = 32
    min_std: float = 0.05
    width: int = 16
    learning_rate: float = 3e-3
    seed: int = 0
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.metrics:
            metric_groups(self.metrics)
        counts = (self.num_steps, self.batch_size, self.num_train, self.num_test, self.num_votes, self.vote_size)
        if min(counts) < 2 or self.width < 1:
            raise InvalidArgumentError(f"protocol settings {self} are not allowed: counts from 2, width from 1")


@dataclass(frozen=True)
class ProtocolScores:
    """Scores of the encoder's codes on labeled images; see the metrics of the same names.

    Attributes:
        encoder_error: mean squared error of the encoder in the last tenth of its training; 1 is guessing.
        further: scores of the further metrics, by key.
    """

    mig: float
    disentanglement: float
    completeness: float
    informativeness: float
    factor_vae_score: float
    encoder_error: float
    further: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, the further scores beside the others."""
        scores = asdict(self)
        further = scores.pop("further")
        return {**scores, **further}


def encoder_protocol(
    generate: Generate,
    directions: Directions,
    codes: Tensor,
    draw: Callable[[Any], Tensor],
    factor_sizes: Sequence[int],
    settings: ProtocolSettings = ProtocolSettings(),
) -> ProtocolScores:
    """Train the encoder on images of `codes` and score it on labeled images.

    Args:
        generate: codes -> images (N, C, H, W) in [-1, 1], deterministic.
        directions: K directions, at least two.
        codes: (N, D) or (N, num_layers, D); a few thousand.
        draw: factor indices (n, F) -> real images (n, C, H, W) in [-1, 1].
        factor_sizes: number of values of each of the F factors; at least two factors must vary.
        settings: of the training and the scores.

    Raises:
        InvalidArgumentError: there are fewer than two directions, codes or varying factors.
    """
    sizes = np.array(factor_sizes)
    if directions.num_directions < 2 or len(codes) < 2 or (sizes > 1).sum() < 2:
        raise InvalidArgumentError(
            f"{directions.num_directions} directions, {len(codes)} codes, factor sizes {tuple(factor_sizes)}: the "
            "protocol needs at least two directions, codes and factors that vary"
        )
    encode, error = _train_encoder(generate, directions, codes, settings)

    def codes_of(indices: Any) -> Any:
        parts = np.array_split(indices, max(1, len(indices) // settings.batch_size))
        return np.concatenate([encode(draw(part).to(codes.device)) for part in parts])

    rng = np.random.default_rng(settings.seed)
    factors = rng.integers(0, sizes, size=(settings.num_train + settings.num_test, len(sizes)))
    latents = codes_of(factors)
    first, rest = slice(None, settings.num_train), slice(settings.num_train, None)
    split = (latents[first], factors[first], latents[rest], factors[rest])
    scores = dci(*split, seed=settings.seed)
    further = evaluate(*split, metrics=settings.metrics, seed=settings.seed) if settings.metrics else {}
    return ProtocolScores(
        mig=mig(latents[first], factors[first]),
        disentanglement=scores.disentanglement,
        completeness=scores.completeness,
        informativeness=scores.informativeness_test,
        factor_vae_score=_votes(codes_of, latents[first], sizes, settings, rng),
        encoder_error=error,
        further=further,
    )


def _train_encoder(
    generate: Generate, directions: Directions, codes: Tensor, settings: ProtocolSettings
) -> tuple[Callable[[Tensor], Any], float]:
    """The trained encoder, images -> arrays (n, K), and its error in the last tenth of its steps."""
    rng = torch.Generator().manual_seed(settings.seed)
    labels = directions.transform(codes if codes.ndim == 2 else codes[:, 0])
    labels = (labels - labels.mean(dim=0)) / labels.std(dim=0).clamp(min=1e-12)
    errors: list[float] = []

    def draw(_: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(codes), (settings.batch_size,), generator=rng).to(codes.device)
        with torch.no_grad():
            return pooled(generate(codes[rows])), labels[rows]

    def loss(predicted: Tensor, target: Tensor) -> Tensor:
        value = nn.functional.mse_loss(predicted, target)
        errors.append(float(value.detach()))
        return value

    sample = draw(0)[0]
    network = small_encoder(
        sample.shape[1], directions.num_directions, sample.shape[-2:], settings.width, settings.seed
    ).to(codes.device)
    train(network, draw, loss, settings.num_steps, settings.learning_rate)

    @torch.no_grad()
    def encode(images: Tensor) -> Any:
        return network(pooled(images)).cpu().double().numpy()

    return encode, float(np.mean(errors[-max(1, len(errors) // 10) :]))


def _votes(
    codes_of: Callable[[Any], Any], latents: Any, sizes: Any, settings: ProtocolSettings, rng: np.random.Generator
) -> float:
    """The FactorVAE score, with new images for every vote; 0 if no latent is active."""
    variances, active = active_latents(latents, settings.min_std)
    if not active.any():
        return 0.0
    held = rng.choice(np.flatnonzero(sizes > 1), size=settings.num_votes)
    values = rng.integers(0, sizes, size=(settings.num_votes, settings.vote_size, len(sizes)))
    votes = np.arange(settings.num_votes)
    values[votes, :, held] = values[votes, 0, held][:, None]
    batches = codes_of(values.reshape(-1, len(sizes))).reshape(settings.num_votes, settings.vote_size, -1)
    return score_votes(least_varying(batches, variances, active), held, max(1, 2 * settings.num_votes // 3))
