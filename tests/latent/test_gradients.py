import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.gradients import orthogonalize_gradient


def test_a_conflicting_gradient_becomes_orthogonal():
    gradient, reference = torch.tensor([1.0, -3.0, 2.0]), torch.tensor([1.0, 2.0, -1.0])
    result = orthogonalize_gradient(gradient, reference)
    assert (result @ reference).item() == pytest.approx(0, abs=1e-6)


def test_only_the_component_along_the_reference_is_removed():
    gradient, reference = torch.tensor([1.0, -3.0, 2.0]), torch.tensor([0.0, 1.0, 0.0])
    assert orthogonalize_gradient(gradient, reference).tolist() == [1.0, 0.0, 2.0]


def test_an_agreeing_gradient_is_unchanged():
    gradient, reference = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0])
    assert torch.equal(orthogonalize_gradient(gradient, reference), gradient)


def test_a_zero_reference_changes_nothing():
    gradient = torch.tensor([1.0, -2.0])
    assert torch.equal(orthogonalize_gradient(gradient, torch.zeros(2)), gradient)


def test_several_parameters_are_one_vector():
    gradient = [torch.tensor([[1.0, -2.0]]), torch.tensor([-4.0])]
    reference = [torch.tensor([[1.0, 1.0]]), torch.tensor([2.0])]
    flat = orthogonalize_gradient(
        torch.cat([g.flatten() for g in gradient]), torch.cat([r.flatten() for r in reference])
    )
    parts = orthogonalize_gradient(gradient, reference)
    assert [part.shape for part in parts] == [part.shape for part in gradient]
    assert torch.allclose(torch.cat([part.flatten() for part in parts]), flat)


def test_different_shapes_are_refused():
    with pytest.raises(InvalidArgumentError, match="equal shapes"):
        orthogonalize_gradient(torch.zeros(2), torch.zeros(3))
