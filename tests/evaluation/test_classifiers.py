import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.protocol import ProtocolScores, ProtocolSettings, encoder_protocol
from ganspace_topdis.evaluation.reconstructor import ReconstructorSettings, reconstructor_accuracy
from ganspace_topdis.generators import HandBuiltGenerator
from ganspace_topdis.latent.directions import Directions

SETTINGS = ReconstructorSettings(num_steps=400, batch_size=64, width=8)


def directions_of(vectors: torch.Tensor) -> Directions:
    dim = vectors.shape[1]
    return Directions(
        vectors=vectors, dual_vectors=vectors, mean=torch.zeros(dim), span=torch.eye(dim), scales=torch.ones(dim)
    )


def test_true_directions_are_told_apart_on_unseen_codes() -> None:
    generator = HandBuiltGenerator(resolution=16)
    codes = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    found = reconstructor_accuracy(generator, directions_of(generator.true_directions), codes, SETTINGS)
    assert found.chance == pytest.approx(1 / 6)
    assert found.num_pairs == 600
    assert found.accuracy > 0.7
    assert sum(found.recognized) / 6 == pytest.approx(found.accuracy)


def test_equal_directions_cannot_be_told_apart() -> None:
    generator = HandBuiltGenerator(resolution=16)
    codes = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    twice = directions_of(generator.true_directions[[3, 3]])
    assert abs(reconstructor_accuracy(generator, twice, codes, SETTINGS).accuracy - 0.5) < 0.15


def test_one_direction_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="at least 2"):
        reconstructor_accuracy(lambda x: x, directions_of(torch.eye(6)[:1]), torch.zeros(9, 6))


SIZES = (4, 4, 4, 4, 4, 4)
SETTINGS_PROTOCOL = ProtocolSettings(num_steps=250, num_train=800, num_test=200, num_votes=90, vote_size=24, width=8)


def score(
    vectors: torch.Tensor, generator: HandBuiltGenerator, settings: ProtocolSettings = SETTINGS_PROTOCOL
) -> ProtocolScores:
    codes = torch.randn(2000, 6, generator=torch.Generator().manual_seed(0))

    def draw(indices: Any) -> torch.Tensor:
        return generator.draw(torch.from_numpy((np.asarray(indices) + 0.5) / 4).float())

    return encoder_protocol(generator, directions_of(vectors), codes, draw, SIZES, settings)


def test_the_true_directions_score_higher_than_a_rotation_of_them() -> None:
    generator = HandBuiltGenerator(resolution=16)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(3)))[0]
    true = score(generator.true_directions, generator)
    rotated = score(rotation @ generator.true_directions, generator)
    assert true.encoder_error < 0.5
    assert true.mig > rotated.mig + 0.15
    assert true.disentanglement > rotated.disentanglement + 0.15
    assert true.factor_vae_score > 0.8


def test_further_metrics_are_scored_by_name() -> None:
    generator = HandBuiltGenerator(resolution=16)
    settings = dataclasses.replace(SETTINGS_PROTOCOL, num_steps=20, num_votes=9, metrics=("infomec", "mcc"))
    scores = score(generator.true_directions, generator, settings).as_dict()
    further = {"infomec_modularity", "infomec_explicitness", "infomec_compactness", "mcc_pearson", "mcc_spearman"}
    assert set(scores) == further | {field.name for field in dataclasses.fields(ProtocolScores)} - {"further"}
    assert all(0 <= scores[key] <= 1 for key in further)
    with pytest.raises(InvalidArgumentError, match="did you mean 'infomec'"):
        ProtocolSettings(metrics=("infomac",))
    with pytest.raises(InvalidArgumentError, match="`seed` is -1"):
        ProtocolSettings(seed=-1)


def test_one_varying_factor_is_refused() -> None:
    generator = HandBuiltGenerator(resolution=16)
    with pytest.raises(InvalidArgumentError, match="vary"):
        encoder_protocol(generator, directions_of(torch.eye(6)), torch.zeros(9, 6), lambda i: i, (4, 1))
