import pytest
import torch

from ganspace_topdis.discovery.objective import to_directions
from ganspace_topdis.discovery.span import pca_span
from ganspace_topdis.discovery.start import nearest_rotation, random_rotation
from ganspace_topdis.errors import InvalidArgumentError


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


SPAN = pca_span(torch.randn(500, 5, generator=rng()) * torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]))
FILL = random_rotation(5, rng(9))


def test_a_random_rotation_is_orthonormal():
    assert torch.allclose(FILL @ FILL.T, torch.eye(5), atol=1e-6)


def test_directions_of_the_span_itself_are_their_own_nearest_rotation():
    rotation = random_rotation(5, rng(1))
    assert torch.allclose(nearest_rotation(SPAN, to_directions(SPAN, rotation), FILL), rotation, atol=1e-5)


def test_fewer_directions_come_first_and_the_rest_is_orthogonal_to_them():
    rotation = random_rotation(5, rng(1))
    nearest = nearest_rotation(SPAN, to_directions(SPAN, rotation[:2]), FILL)
    assert torch.allclose(nearest[:2], rotation[:2], atol=1e-5)
    assert torch.allclose(nearest @ nearest.T, torch.eye(5), atol=1e-5)


def test_no_rotation_is_nearer_to_oblique_directions():
    oblique = torch.nn.functional.normalize(torch.randn(5, 5, generator=rng(2)), dim=1)
    nearest = nearest_rotation(SPAN, to_directions(SPAN, oblique), FILL)
    others = [random_rotation(5, rng(seed)) for seed in range(50)]
    assert all((nearest - oblique).norm() < (other - oblique).norm() for other in others)


def test_directions_of_another_space_are_refused():
    other = pca_span(torch.randn(50, 3, generator=rng()))
    with pytest.raises(InvalidArgumentError, match="codes of 3 numbers, this space has 5"):
        nearest_rotation(SPAN, to_directions(other, torch.eye(3)), FILL)


def test_directions_outside_the_span_are_refused():
    narrow = pca_span(torch.randn(500, 5, generator=rng()) * torch.tensor([5.0, 4.0, 0.0, 0.0, 0.0]), size=2)
    outside = to_directions(SPAN, torch.eye(5)).select([4])
    outside.vectors[:] = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    with pytest.raises(InvalidArgumentError, match="no part in the span"):
        nearest_rotation(narrow, outside, FILL)
