import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.hand_built import HandBuiltGenerator
from ganspace_topdis.evaluation.reconstructor import ReconstructorSettings, reconstructor_accuracy
from ganspace_topdis.latent.directions import Directions

SETTINGS = ReconstructorSettings(num_steps=400, batch_size=64, width=8)


def directions_of(vectors: torch.Tensor) -> Directions:
    dim = vectors.shape[1]
    return Directions(
        vectors=vectors, readouts=vectors, mean=torch.zeros(dim), span=torch.eye(dim), scales=torch.ones(dim)
    )


def test_true_directions_are_told_apart_on_unseen_codes() -> None:
    generator = HandBuiltGenerator(resolution=16)
    codes = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    found = reconstructor_accuracy(generator, directions_of(generator.true_directions), codes, SETTINGS)
    assert found.chance == pytest.approx(1 / 6)
    assert found.num_pairs == 600
    assert found.accuracy > 0.7
    assert sum(found.recognised) / 6 == pytest.approx(found.accuracy)


def test_equal_directions_cannot_be_told_apart() -> None:
    generator = HandBuiltGenerator(resolution=16)
    codes = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    twice = directions_of(generator.true_directions[[3, 3]])
    assert abs(reconstructor_accuracy(generator, twice, codes, SETTINGS).accuracy - 0.5) < 0.15


def test_one_direction_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="at least 2"):
        reconstructor_accuracy(lambda x: x, directions_of(torch.eye(6)[:1]), torch.zeros(9, 6))
