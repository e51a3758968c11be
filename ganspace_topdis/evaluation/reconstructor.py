"""The reconstructor's accuracy: how distinct directions are for a classifier, without ground truth.

A small network receives an image and the same image moved by +-`amount_sigma` along one of K directions, and predicts
the direction. Its accuracy on held-out codes measures how distinct the directions are; chance is 1/K.

Voynov and Babenko 2020 (arXiv:2002.03754) train the network together with the directions (see
`discovery.reconstructor_loss`); here the directions are given.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganspace_topdis.discovery.reconstructor_loss import pooled, small_encoder, train
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.generators import Generate
from ganspace_topdis.latent.directions import Directions

__all__ = ["Reconstruction", "ReconstructorSettings", "reconstructor_accuracy"]


@dataclass(frozen=True, kw_only=True)
class ReconstructorSettings:
    """Settings of the reconstructor's training.

    Attributes:
        num_steps: optimization steps.
        batch_size: pairs per step.
        amount_sigma: length of the shift, standard deviations.
        held_out: fraction of the codes for the test.
        width: channels of the first layer.
        learning_rate: peak learning rate of Adam.
        seed: of weights and draws.

    Raises:
        InvalidArgumentError: a setting is out of range.
    """

    num_steps: int = 300
    batch_size: int = 64
    amount_sigma: float = 2.0
    held_out: float = 0.25
    width: int = 16
    learning_rate: float = 3e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.num_steps, self.batch_size, self.width) < 1 or not 0 < self.held_out < 1:
            raise InvalidArgumentError(
                f"reconstructor settings {self} are not allowed: steps, batch and width from 1, held_out in (0, 1)"
            )


@dataclass(frozen=True)
class Reconstruction:
    """Accuracy of the reconstructor on held-out pairs.

    Attributes:
        accuracy: fraction of all pairs whose direction is predicted.
        chance: the accuracy of guessing.
        num_pairs: number of test pairs.
        recognized: the accuracy for each direction.
    """

    accuracy: float
    chance: float
    num_pairs: int
    recognized: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return asdict(self)


def reconstructor_accuracy(
    generate: Generate,
    directions: Directions,
    codes: Tensor,
    settings: ReconstructorSettings = ReconstructorSettings(),
) -> Reconstruction:
    """Train a reconstructor on most of `codes` and test it on the others, each along every direction.

    Args:
        generate: codes -> images (N, C, H, W).
        directions: K directions, at least two.
        codes: (N, D) or (N, num_layers, D), at least four; a thousand or more is better.
        settings: of the training.

    Raises:
        InvalidArgumentError: there are fewer than two directions or four codes.
    """
    if directions.num_directions < 2 or len(codes) < 4:
        raise InvalidArgumentError(
            "the reconstructor needs at least 2 directions and 4 codes, "
            f"got {directions.num_directions} and {len(codes)}"
        )
    rng = torch.Generator().manual_seed(settings.seed)
    num_test = max(1, int(settings.held_out * len(codes)))
    seen, held_out = codes[num_test:], codes[:num_test]

    def draw(_: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(seen), (settings.batch_size,), generator=rng)
        labels = torch.randint(directions.num_directions, (settings.batch_size,), generator=rng)
        return _pairs(generate, directions, seen[rows], labels, settings.amount_sigma, rng), labels.to(codes.device)

    sample = draw(0)[0]
    network = small_encoder(
        sample.shape[1], directions.num_directions, sample.shape[-2:], settings.width, settings.seed
    ).to(codes.device)
    train(network, draw, nn.functional.cross_entropy, settings.num_steps, settings.learning_rate)
    right = [0] * directions.num_directions
    for index in range(directions.num_directions):
        labels = torch.full((num_test,), index)
        with torch.no_grad():
            for rows in torch.arange(num_test).split(settings.batch_size):
                pairs = _pairs(generate, directions, held_out[rows], labels[rows], settings.amount_sigma, rng)
                right[index] += int((network(pairs).argmax(dim=1) == index).sum())
    num_pairs = num_test * directions.num_directions
    return Reconstruction(
        accuracy=sum(right) / num_pairs,
        chance=1 / directions.num_directions,
        num_pairs=num_pairs,
        recognized=tuple(count / num_test for count in right),
    )


@torch.no_grad()
def _pairs(
    generate: Generate,
    directions: Directions,
    codes: Tensor,
    labels: Tensor,
    amount: float,
    rng: torch.Generator,
) -> Tensor:
    """Images before the shift and their changes, concatenated as channels (N, 2C, H, W)."""
    signs = torch.randint(0, 2, (len(codes),), generator=rng) * 2 - 1
    steps = directions.in_sigmas().vectors[labels].to(codes) * (amount * signs).to(codes)[:, None]
    moved = codes + (steps if codes.ndim == 2 else steps[:, None])
    before, after = pooled(generate(codes)), pooled(generate(moved))
    return torch.cat([before, after - before], dim=1)
