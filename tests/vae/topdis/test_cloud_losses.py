import math
from typing import get_args

import pytest
import torch

from ganspace_topdis.topology import rtd
from vae.topdis.cloud_losses import chamfer_loss, cloud_loss, l2_loss, mmd_loss
from vae.topdis.settings import CloudLoss


def clouds(seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(12, 5, generator=generator)
    return x, x + 0.3 * torch.randn(12, 5, generator=generator)


@pytest.mark.parametrize("kind", get_args(CloudLoss))
def test_every_loss_is_zero_for_identical_clouds_and_positive_for_others(kind):
    x, y = clouds()
    assert cloud_loss(kind)(x, x.clone()).item() == pytest.approx(0, abs=1e-5)
    assert cloud_loss(kind)(x, y) > 1e-3


@pytest.mark.parametrize("kind", get_args(CloudLoss))
def test_every_loss_is_finite_with_its_gradient_for_coincident_points(kind):
    x = torch.zeros(6, 4, requires_grad=True)
    y = torch.zeros(6, 4, requires_grad=True)
    loss = cloud_loss(kind)(x, y)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(y.grad).all()


def test_losses_but_mmd_and_chamfer_know_which_point_became_which():
    x, y = clouds()
    other = y[torch.randperm(12, generator=torch.Generator().manual_seed(1))]
    for kind in ("mmd", "chamfer"):
        assert torch.isclose(cloud_loss(kind)(x, y), cloud_loss(kind)(x, other), atol=1e-6)
    for kind in ("l2", "rtd", "rtd-lite"):
        assert cloud_loss(kind)(x, other) > cloud_loss(kind)(x, y) * 1.2


def test_only_topology_ignores_that_a_cloud_moved_as_a_whole():
    x, _ = clouds()
    moved = x + 3.0
    for kind in ("rtd", "rtd-lite"):
        assert cloud_loss(kind)(x, moved) < 1e-4
    for kind in ("l2", "mmd", "chamfer"):
        assert cloud_loss(kind)(x, moved) > 0.1


def test_the_values_of_two_points_are_those_worked_out_by_hand():
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [2.0]])
    assert l2_loss(x, y).item() == pytest.approx(0.5 / 4)  # distances 1 and 0, scale 2
    assert chamfer_loss(x, y).item() == pytest.approx(0.5 * (0.5 + 0.5) / 2)
    kernel = [math.exp(-(d**2) / 8) for d in (0, 1, 2)]
    within = 0.5 * (kernel[0] + kernel[2]) + 0.5 * (kernel[0] + kernel[1])
    between = 0.25 * (2 * kernel[1] + kernel[2] + kernel[0])
    assert mmd_loss(x, y).item() == pytest.approx(within - 2 * between)


def test_the_rtd_loss_sums_both_variants_to_the_power():
    x, y = clouds()
    expected = rtd(x, y, variant="min", p=2) + rtd(x, y, variant="max", p=2)
    assert torch.isclose(cloud_loss("rtd", 2.0)(x, y), expected)
