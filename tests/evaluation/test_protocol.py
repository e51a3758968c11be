from typing import Any

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.hand_built import HandBuiltGenerator
from ganspace_topdis.evaluation.protocol import ProtocolScores, ProtocolSettings, encoder_protocol
from ganspace_topdis.latent.directions import Directions

SIZES = (4, 4, 4, 4, 4, 4)
SETTINGS = ProtocolSettings(num_steps=250, num_train=800, num_test=200, num_votes=90, vote_size=24, width=8)


def directions_of(vectors: torch.Tensor) -> Directions:
    return Directions(vectors=vectors, readouts=vectors, mean=torch.zeros(6), span=torch.eye(6), scales=torch.ones(6))


def score(vectors: torch.Tensor, generator: HandBuiltGenerator) -> ProtocolScores:
    codes = torch.randn(2000, 6, generator=torch.Generator().manual_seed(0))

    def draw(indices: Any) -> torch.Tensor:
        return generator.draw(torch.from_numpy((np.asarray(indices) + 0.5) / 4).float())

    return encoder_protocol(generator, directions_of(vectors), codes, draw, SIZES, SETTINGS)


def test_the_true_directions_score_higher_than_a_rotation_of_them() -> None:
    generator = HandBuiltGenerator(resolution=16)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(3)))[0]
    true = score(generator.true_directions, generator)
    rotated = score(rotation @ generator.true_directions, generator)
    assert true.encoder_error < 0.5
    assert true.mig > rotated.mig + 0.15
    assert true.disentanglement > rotated.disentanglement + 0.15
    assert true.factor_vae_score > 0.8


def test_one_varying_factor_is_refused() -> None:
    generator = HandBuiltGenerator(resolution=16)
    with pytest.raises(InvalidArgumentError, match="vary"):
        encoder_protocol(generator, directions_of(torch.eye(6)), torch.zeros(9, 6), lambda i: i, (4, 1))
