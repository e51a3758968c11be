import pytest
import torch

from ganspace_topdis.topology.distances import normalized_distances, pairwise_distances


@pytest.mark.parametrize("shape", [(7, 1), (30, 5), (40, 3000), (2, 9, 4), (2, 100, 3000)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distances_equal_cdist_without_cancellation(shape, dtype):
    cloud = 100 + torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    exact = torch.cdist(cloud.double(), cloud.double(), compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(pairwise_distances(cloud).double(), exact, rtol=1e-6, atol=1e-12)


def test_nearly_coincident_points_keep_their_distance():
    cloud = torch.randn(20, 100, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    cloud[1] = cloud[0] + 1e-9
    assert pairwise_distances(cloud)[0, 1] == pytest.approx(1e-8, rel=1e-5)


def test_coincident_points_are_at_distance_zero_with_zero_gradient():
    cloud = torch.randn(5, 300).repeat(2, 1).requires_grad_()
    distances = pairwise_distances(cloud)
    assert (distances[:5, 5:].diagonal() == 0).all()
    (gradient,) = torch.autograd.grad(distances[:5, 5:].diagonal().sum(), cloud)
    assert (gradient == 0).all()


def test_distances_are_symmetric_to_the_last_bit():
    distances = pairwise_distances(torch.randn(50, 700))
    assert (distances == distances.mT).all()


def test_the_gradient_passes_gradcheck_in_batches():
    cloud = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    assert torch.autograd.gradcheck(pairwise_distances, cloud)


@pytest.mark.parametrize("n", [2, 3, 11, 50])
def test_the_scale_is_the_interpolated_quantile_of_all_entries(n):
    cloud = torch.randn(n, 4, dtype=torch.float64)
    distances = torch.cdist(cloud, cloud)
    torch.testing.assert_close(normalized_distances(cloud), distances / torch.quantile(distances, 0.9))


def test_a_constant_cloud_has_zero_distances():
    assert (normalized_distances(torch.ones(4, 2)) == 0).all()
