import pytest
import torch

from ganspace_topdis.discovery.objective import features_of, shift_codes, to_directions
from ganspace_topdis.discovery.span import pca_span


def codes(num_codes: int = 40, code_dim: int = 4) -> torch.Tensor:
    return torch.randn(num_codes, code_dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def generate(c: torch.Tensor) -> torch.Tensor:
    return torch.sin(c @ torch.arange(12.0, dtype=c.dtype).reshape(4, 3)).unflatten(1, (3, 1))


def test_micro_batches_change_neither_features_nor_gradients():
    results = []
    for micro_batch in (64, 40, 16, 1):
        leaf = codes().requires_grad_(True)
        features = features_of(generate, leaf, micro_batch)
        (gradient,) = torch.autograd.grad((features**3).sum(), leaf)
        results.append((features.detach(), gradient))
    for features, gradient in results[1:]:
        assert torch.allclose(features, results[0][0])
        assert torch.allclose(gradient, results[0][1])


def test_one_micro_batch_is_alive_at_a_time():
    alive, most = 0, 0

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            nonlocal alive, most
            ctx.save_for_backward(x)
            alive += len(x)
            most = max(most, alive)
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            nonlocal alive
            alive -= len(ctx.saved_tensors[0])
            return grad

    leaf = codes(64).requires_grad_(True)
    features = features_of(Counted.apply, leaf, 8)
    alive, most = 0, 0  # the first pass keeps no graph; what counts is the backward pass
    features.sum().backward()
    assert most == 8


@pytest.mark.parametrize("law", ["gaussian", "sigma"])
def test_a_shift_moves_along_its_direction_only(law):
    span = pca_span(codes(), size=4)
    direction = torch.nn.functional.normalize(torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=torch.float64), dim=0)
    shifted = shift_codes(span, direction, codes(), 0.2, law)
    change = (shifted.codes - codes()[shifted.kept]) @ span.projection.T
    along = change @ direction
    assert torch.allclose(change, along[:, None] * direction, atol=1e-9)
    assert (along > 0).all()


def test_a_direction_has_a_gradient_through_the_shift():
    span = pca_span(codes(), size=4)
    direction = torch.nn.functional.normalize(torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=torch.float64), dim=0)
    direction.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda d: shift_codes(span, d, codes(), 0.2, "gaussian").codes, direction)


def test_directions_move_by_one_standard_deviation_of_their_coordinate():
    span = pca_span(codes(400), size=3)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    directions = to_directions(span, rotation, method="test")
    coordinates = directions.coordinates(codes(400).float())
    assert torch.allclose(coordinates.std(0), torch.ones(3), atol=1e-4)
    assert torch.allclose(directions.readouts @ directions.vectors.T, torch.eye(3), atol=1e-5)
    assert torch.allclose(directions.span.norm(dim=1), torch.ones(3))
    assert directions.metadata == {"method": "test"}
