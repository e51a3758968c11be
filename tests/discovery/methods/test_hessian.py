import torch

from ganspace_topdis.discovery import DiscoverySettings, discover_directions
from ganspace_topdis.discovery.methods.hessian import HessianPenalty
from ganspace_topdis.discovery.span import identity_span
from ganspace_topdis.evaluation.recovery import recovery
from tests.discovery.methods.additive import additive, rotation, sample_codes

SETTINGS = DiscoverySettings(method="hessian", span="identity")
CODES = sample_codes(64, torch.Generator().manual_seed(1))


def penalty(rows: torch.Tensor, generate=additive) -> float:
    span = identity_span(sample_codes(4000, torch.Generator().manual_seed(0)))
    coordinates = torch.linalg.qr((rows @ span.projection.T).T)[0].T
    objective = HessianPenalty(generate, span, SETTINGS)
    (loss,) = objective.losses(coordinates, CODES, 1.0, torch.Generator().manual_seed(2))
    return loss.item()


def test_the_penalty_vanishes_on_the_axes_of_an_additive_generator():
    assert penalty(rotation()) < 0.01 * penalty(torch.eye(6))


def test_the_penalty_is_twice_the_sum_of_squares_off_the_hessians_diagonal():
    span = identity_span(sample_codes(20_000, torch.Generator().manual_seed(0)))
    many = sample_codes(20_000, torch.Generator().manual_seed(1)).double()
    objective = HessianPenalty(lambda c: c[:, :1] * c[:, 1:2], span, SETTINGS)
    exact = span.projection.new_zeros(6, 6)
    exact[0, 1] = exact[1, 0] = 1
    hessian = span.axes @ exact @ span.axes.T
    expected = 2 * (hessian - hessian.diag().diag()).square().sum() / (many[:, 0] * many[:, 1]).var()
    (loss,) = objective.losses(torch.eye(6), many.float(), 1.0, torch.Generator().manual_seed(2))
    assert abs(loss.item() / expected.item() - 1) < 0.1


def test_the_axes_of_an_additive_generator_are_found():
    found = discover_directions(additive, sample_codes, method="hessian", span="identity", steps=200)
    assert recovery(found.vectors, rotation()).worst > 0.95
