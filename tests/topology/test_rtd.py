import numpy as np
import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.topology import RTDLoss, cross_barcode, rtd, rtd_score
from ganspace_topdis.topology.distances import normalized_distances

VARIANTS = ("min", "max", "minmax")


def clouds(n: int = 24, d: int = 3, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=dtype)
    return x, x + 0.7 * torch.randn(n, d, generator=generator, dtype=dtype)


@pytest.mark.parametrize("variant", VARIANTS)
def test_rtd_is_zero_for_identical_clouds(variant):
    x, _ = clouds()
    assert rtd(x, x, variant=variant) == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_rtd_does_not_change_under_isometries_scaling_and_common_relabelling(variant):
    x, y = clouds()
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=x.dtype, generator=torch.Generator().manual_seed(1)))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(2))
    moved = rtd((5 * x @ rotation + 2)[order], y[order], variant=variant)
    torch.testing.assert_close(moved, rtd(x, y, variant=variant))


def test_symmetric_rtd_does_not_tell_its_arguments_apart():
    x, y = clouds()
    torch.testing.assert_close(rtd(x, y), rtd(y, x))


def test_symmetric_rtd_is_the_mean_of_both_directions():
    x, y = clouds()
    both = rtd(x, y, symmetric=False) + rtd(y, x, symmetric=False)
    torch.testing.assert_close(rtd(x, y), both / 2)


@pytest.mark.parametrize("p", [1, 2, 2.5])
@pytest.mark.parametrize("max_bars", [None, 4])
def test_rtd_sums_powers_of_the_longest_bars(p, max_bars):
    x, y = clouds()
    A, B = (normalized_distances(c).numpy() for c in (x, y))
    lengths = np.sort(cross_barcode(A, np.minimum(A, B)).lengths)[::-1][:max_bars]
    value = rtd(x, y, symmetric=False, p=p, max_bars=max_bars)
    assert float(value) == pytest.approx((lengths**p).sum())


def test_the_loss_is_half_the_sum_over_four_barcodes():
    x, y = clouds()
    A, B = (normalized_distances(c).numpy() for c in (x, y))
    low, high = np.minimum(A, B), np.maximum(A, B)
    four = [cross_barcode(A, low), cross_barcode(B, low), cross_barcode(high, A), cross_barcode(high, B)]
    assert float(RTDLoss()(x, y)) == pytest.approx(sum(bars.lengths.sum() for bars in four) / 2)


def fixed_scale_value(x: torch.Tensor, y: torch.Tensor, scales: list[torch.Tensor], **options) -> torch.Tensor:
    """RTD with the quantiles held fixed, which is what its gradient differentiates, by plain autograd."""
    from ganspace_topdis.topology.distances import pairwise_distances
    from ganspace_topdis.topology.rtd import _options
    from ganspace_topdis.topology.total_persistence import total_persistence

    class OfDistances(torch.autograd.Function):
        @staticmethod
        def forward(ctx, distances):
            sums, gradient = total_persistence([distances.numpy()], _options(**(defaults | options)))[0]
            ctx.gradient = torch.from_numpy(gradient)
            return torch.tensor(sums[0], dtype=distances.dtype)

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.gradient

    distances = [pairwise_distances(c) / scale for c, scale in zip((x, y), scales, strict=True)]
    defaults = {"variant": "minmax", "symmetric": True, "p": 1, "max_bars": None, "immovable": False}
    return OfDistances.apply(torch.stack(distances)[:, None])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("p", [1, 2, 1.5])
@pytest.mark.parametrize("max_bars", [None, 3])
def test_the_gradient_is_that_of_the_value_with_the_scale_held_fixed(variant, p, max_bars):
    x, y = (c.requires_grad_() for c in clouds(n=9))
    scales = [torch.tensor(1.7), torch.tensor(0.6)]
    options = {"variant": variant, "p": p, "max_bars": max_bars}
    assert torch.autograd.gradcheck(lambda x, y: fixed_scale_value(x, y, scales, **options), (x, y))


def test_no_gradient_flows_through_the_scale():
    x, y = (c.requires_grad_() for c in clouds(n=12))
    scales = [torch.quantile(torch.cdist(c, c).detach(), 0.9) for c in (x, y)]
    expected = torch.autograd.grad(fixed_scale_value(x, y, scales), (x, y))
    actual = torch.autograd.grad(RTDLoss()(x, y), (x, y))
    torch.testing.assert_close(actual, expected)


def test_the_gradient_of_three_points_is_the_one_worked_out_by_hand():
    # Points 0, 1, 3 on a line against 0, 2, 3. The 0.9 quantile of the nine distances (0 0 0 1 1 2 2 3 3) is 3.
    # A = (01: 1, 02: 3, 12: 2) / 3 and B = (01: 2, 02: 3, 12: 1) / 3; min = (01: 1, 02: 3, 12: 1) / 3.
    # (A, min): edge 12 is born at 1/3 and dies in A at 2/3. (B, min): edge 01, likewise in B.
    x = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0.0], [2.0], [3.0]], dtype=torch.float64, requires_grad=True)
    value = rtd(x, y)
    value.backward()
    assert value.item() == pytest.approx(1 / 3)
    # value = (A12 - B12 + B01 - A01) / 2, with d A12 = (x2 - x1) / 3 and so on.
    torch.testing.assert_close(x.grad, torch.tensor([[1.0], [-2.0], [1.0]], dtype=torch.float64) / 6)
    torch.testing.assert_close(y.grad, torch.tensor([[-1.0], [2.0], [-1.0]], dtype=torch.float64) / 6)


def test_immovable_keeps_the_value_and_charges_minima_and_maxima_to_the_second_cloud():
    x, y = (c.requires_grad_() for c in clouds(n=16))
    options = {"variant": "min", "symmetric": False}
    plain, charged = rtd(x, y, **options), rtd(x, y, immovable=True, **options)
    assert plain == charged
    A, B = (normalized_distances(c) for c in (x, y))
    bars = cross_barcode(A.detach().numpy(), torch.minimum(A, B).detach().numpy())
    (bi, bj), (di, dj) = (torch.from_numpy(e.T.copy()) for e in (bars.birth_edges, bars.death_edges))
    outer = torch.from_numpy(bars.death_in_outer)
    by_hand = (torch.where(outer, A[di, dj], B[di, dj]) - B[bi, bj]).sum()
    torch.testing.assert_close(
        torch.autograd.grad(charged, (x, y)), torch.autograd.grad(by_hand, (x, y)), rtol=1e-9, atol=1e-12
    )


def test_immovable_charges_the_second_cloud_in_both_directions():
    x, y = (c.requires_grad_() for c in clouds(n=16))
    one = torch.autograd.grad(rtd(x, y, variant="max", symmetric=False, immovable=True), x)[0]
    assert one.abs().sum() == 0  # inner is B and outer max(A, B): all of it belongs to y


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("p", [1, 2])
def test_degenerate_clouds_have_zero_loss_and_zero_gradients(variant, p):
    coincident = torch.ones(6, 3)
    half = torch.cat([torch.zeros(3, 2), torch.ones(3, 2)])
    for cloud, other in ((coincident, coincident * 2), (half, half.clone()), (torch.zeros(2, 1), torch.ones(2, 5))):
        x, y = cloud.clone().requires_grad_(), other.clone().requires_grad_()
        value = rtd(x, y, variant=variant, p=p)
        value.backward()
        assert value == 0
        assert x.grad.abs().sum() == 0
        assert y.grad.abs().sum() == 0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("n", [63, 64, 65, 128, 200])
def test_partly_coincident_clouds_have_one_value_in_any_order_and_either_way_round(n, share):
    x, y = clouds(n=n, d=5, dtype=torch.float32)
    x[: int(share * n)] = 0
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    for variant in VARIANTS:
        value = rtd(x, y, variant=variant)
        torch.testing.assert_close(rtd(x[order], y[order], variant=variant), value)
        torch.testing.assert_close(rtd(y, x, variant=variant), value)


@pytest.mark.parametrize(("dtype", "scale"), [(torch.float32, 1e-40), (torch.float64, 1e-160), (torch.float64, 1e-305)])
def test_a_tiny_cloud_has_its_value_and_an_error_where_its_gradient_cannot_be_held(dtype, scale):
    x, y = clouds(dtype=dtype)
    torch.testing.assert_close(RTDLoss()(x * scale, y), RTDLoss()(x, y), rtol=1e-4, atol=1e-4)
    tiny = (x * scale).requires_grad_()
    if scale == 1e-160:
        RTDLoss()(tiny, y).backward()
        assert torch.isfinite(tiny.grad).all()
    else:
        with pytest.raises(InvalidArgumentError, match=r"x holds values that are .* too close for a gradient"):
            RTDLoss()(tiny, y)


def test_coincident_points_give_finite_gradients():
    x, y = clouds(dtype=torch.float32)
    x[:8] = x[0]
    x.requires_grad_()
    RTDLoss()(x, y).backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.abs().sum() > 0


def test_a_step_down_the_gradient_lowers_the_loss():
    x, y = clouds()
    x.requires_grad_()
    before = RTDLoss()(x, y)
    before.backward()
    assert RTDLoss()(x.detach() - 0.01 * x.grad, y) < before


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_batch_gives_each_pair_its_own_value_and_gradient_on_any_number_of_threads(num_threads):
    pairs = [clouds(seed=s) for s in range(3)]
    x, y = (torch.stack(c).requires_grad_() for c in zip(*pairs, strict=True))
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        values = RTDLoss()(x, y, batched=True)
    finally:
        torch.set_num_threads(before)
    weights = torch.tensor([1.0, 2.0, 3.0], dtype=x.dtype)
    (values * weights).sum().backward()
    for item, (a, b) in enumerate(pairs):
        a.requires_grad_()
        single = RTDLoss()(a, b)
        single.backward()
        torch.testing.assert_close(values[item], single)
        torch.testing.assert_close(x.grad[item], weights[item] * a.grad)


def test_images_are_flattened_and_low_precision_is_computed_in_float32():
    x, y = clouds(n=8, d=48, dtype=torch.float32)
    images = x.reshape(8, 3, 4, 4), y.reshape(8, 3, 4, 4)
    torch.testing.assert_close(rtd(*images), rtd(x, y))
    half = rtd(x.bfloat16(), y.bfloat16())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, rtd(x.bfloat16().float(), y.bfloat16().float()))


def test_autocast_does_not_reach_the_loss():
    x, y = clouds(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = rtd(x, y)
    assert inside == rtd(x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "both"}, "`variant` is 'both'"),
        ({"p": 0.5}, "`p` is 0.5"),
        ({"p": float("nan")}, "`p` is nan"),
        ({"p": "2"}, "`p` is '2'"),
        ({"p": None}, "`p` is None"),
        ({"max_bars": 0}, "`max_bars` is 0"),
        ({"max_bars": 1.5}, "`max_bars` is 1.5"),
        ({"max_bars": "5"}, "`max_bars` is '5'"),
    ],
)
def test_a_bad_option_is_refused_by_the_function_and_the_module(options, message):
    x, y = clouds()
    with pytest.raises(InvalidArgumentError, match=message) as refused:
        rtd(x, y, **options)
    with pytest.raises(InvalidArgumentError, match=message) as refused:
        RTDLoss(**options)
    assert [refused.value.field] == list(options)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(4, 2), r"x has shape \(3, 2\) and y has \(4, 2\)"),
        (torch.zeros(1, 2), torch.zeros(1, 2), "1 points each"),
        (torch.zeros(()), torch.zeros(()), r"x has shape \(\)"),
        (torch.tensor([[0.0], [np.nan]]), torch.zeros(2, 1), "x holds values that are NaN"),
        (torch.zeros(2, 1), torch.tensor([[0.0], [np.inf]]), "y holds values that are NaN"),
        (np.zeros((3, 2)), torch.zeros(3, 2), "x is a ndarray"),
        (torch.zeros(3, 0), torch.zeros(3, 0), r"x has shape \(3, 0\), which holds no numbers"),
        (torch.zeros(3, 2).to_sparse(), torch.zeros(3, 2), "x is a sparse tensor"),
        (torch.zeros(3, 2), torch.zeros(3, 2).to_sparse(), "y is a sparse tensor"),
        (torch.zeros(3, 2, dtype=torch.complex64), torch.zeros(3, 2), "x has shape .+ and dtype torch.complex64"),
    ],
)
def test_clouds_that_do_not_fit_are_refused(x, y, message):
    with pytest.raises(InvalidArgumentError, match=message):
        rtd(x, y)


def score_clouds(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    return x, x + torch.randn(n, 2, generator=torch.Generator().manual_seed(1))


def test_a_set_of_one_batch_is_scored_once_and_whole():
    x, y = score_clouds(30)
    score = rtd_score(x, y, trials=10, batch=30)
    assert score.values == (float(rtd(x, y)),)
    assert score.std == 0
    assert score.num_points == 30


def test_the_score_is_the_mean_and_spread_of_its_values():
    score = rtd_score(*score_clouds(100), trials=5, batch=20)
    values = torch.tensor(score.values, dtype=torch.float64)
    assert len(values) == 5
    assert score.mean == pytest.approx(float(values.mean()))
    assert score.std == pytest.approx(float(values.std()))
    assert score.standard_error == pytest.approx(score.std / 5**0.5)


def test_the_same_seed_draws_the_same_subsets_and_another_seed_others():
    x, y = score_clouds(60)
    assert rtd_score(x, y, 3, 20, seed=1) == rtd_score(x, y, 3, 20, seed=1)
    assert rtd_score(x, y, 3, 20, seed=1) != rtd_score(x, y, 3, 20, seed=2)


@pytest.mark.parametrize(("options", "message"), [({"trials": 0}, "`trials` is 0"), ({"batch": 1}, "`batch` is 1")])
def test_bad_options_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        rtd_score(*score_clouds(10), **options)


@pytest.mark.parametrize(
    "kept",
    [
        torch.ones(6, dtype=torch.bool),
        torch.ones(1, 10, dtype=torch.bool),
        torch.arange(10),
        [True] * 10,
    ],
)
def test_a_mask_of_another_form_is_refused(kept):
    x, y = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InvalidArgumentError, match=r"`kept` is .*: it must be a mask, torch.bool of shape \(10,\)"):
        rtd(x, y, kept=kept)


def test_a_mask_of_a_batch_has_a_row_per_cloud():
    x, y = torch.randn(2, 2, 10, 3, generator=torch.Generator().manual_seed(0))
    for shape in ((10,), (1, 10), (3, 10)):
        with pytest.raises(InvalidArgumentError, match=r"of shape \(2, 10\)"):
            rtd(x, y, batched=True, kept=torch.ones(shape, dtype=torch.bool))


def test_fewer_than_four_points_under_a_mask_are_nan_whether_it_leaves_any_out():
    x, y = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    assert rtd(x[:3], y[:3], kept=torch.ones(3, dtype=torch.bool)).isnan()
    assert rtd(x, y, kept=torch.arange(4) < 3).isnan()


@pytest.mark.parametrize("far", [1e3, 1e7, 1e12])
def test_a_point_that_does_not_count_changes_no_gradient_wherever_it_is(far):
    x, y = torch.randn(2, 12, 3, generator=torch.Generator().manual_seed(0))
    kept = torch.arange(12) != 3
    alone = x[kept].requires_grad_()
    RTDLoss()(alone, y[kept]).backward()
    moved = x.clone()
    moved[3] = far
    moved.requires_grad_()
    RTDLoss()(moved, y, kept=kept).backward()
    assert not moved.grad[3].any()
    assert (moved.grad[kept] - alone.grad).norm() < 1e-5 * alone.grad.norm()


def test_a_seed_out_of_range_is_refused():
    cloud = torch.randn(10, 2)
    with pytest.raises(InvalidArgumentError, match="`seed` is -1: it must be an integer from 0"):
        rtd_score(cloud, cloud, seed=-1, batch=4)
