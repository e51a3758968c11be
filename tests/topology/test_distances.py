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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_unit_vector_between_close_points_keeps_its_digits(dtype):
    cloud = torch.randn(20, 3, dtype=dtype, generator=torch.Generator().manual_seed(3))
    cloud[1] = cloud[0] + torch.tensor([0.0, 1e-6, 0.0])
    cloud[2], cloud[3] = 0, torch.tensor([1e-40, 0.0, 0.0])
    cloud.requires_grad_()
    distances = pairwise_distances(cloud)
    (gradient,) = torch.autograd.grad(distances[0, 1] + distances[2, 3], cloud)
    unit = (cloud[1] - cloud[0]).detach().double()
    torch.testing.assert_close(gradient[1].double(), unit / unit.norm(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient[3].double(), torch.tensor([1.0, 0, 0], dtype=torch.double))
    torch.testing.assert_close(gradient.sum(dim=0).double(), torch.zeros(3, dtype=torch.double), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "scales"),
    [(torch.float32, [1e-40, 1e-35, 1e-25, 1e25, 1e35]), (torch.float64, [1e-310, 1e-200, 1e-160, 1e160, 1e300])],
)
def test_any_scale_gives_the_same_normalized_distances(dtype, scales):
    cloud = torch.randn(30, 4, dtype=dtype, generator=torch.Generator().manual_seed(4))
    expected = normalized_distances(cloud)
    for scale in scales:
        tolerance = 1e-4 if scale < 1e-38 else 1e-6  # such numbers have fewer digits
        torch.testing.assert_close(normalized_distances(cloud * scale), expected, rtol=tolerance, atol=tolerance)
    batch = torch.stack([cloud * scales[0], cloud, cloud * scales[-1]])
    torch.testing.assert_close(normalized_distances(batch)[1], expected)


@pytest.mark.parametrize(("dtype", "scale"), [(torch.float32, 2.0**-90), (torch.float64, 2.0**-800)])
def test_the_gradient_of_a_small_cloud_is_that_of_the_cloud_over_its_scale(dtype, scale):
    cloud = torch.randn(12, 4, dtype=dtype, generator=torch.Generator().manual_seed(5))
    weights = torch.randn(12, 12, dtype=dtype, generator=torch.Generator().manual_seed(6))
    gradients = []
    for factor in (1.0, scale):
        scaled = (cloud * factor).requires_grad_()
        gradients.append(torch.autograd.grad((weights * normalized_distances(scaled)).sum(), scaled)[0] * factor)
    torch.testing.assert_close(gradients[1], gradients[0])


def test_a_quantile_of_zero_counts_as_one_hundred_thousandth_at_any_scale():
    cloud = torch.zeros(30, 1)
    for distance in (1.0, 1e-3, 1e-25):
        cloud[7] = distance
        assert float(normalized_distances(cloud)[0, 7]) == pytest.approx(distance / 1e-5, rel=1e-6)


def test_a_constant_cloud_has_zero_distances():
    assert (normalized_distances(torch.ones(4, 2)) == 0).all()
