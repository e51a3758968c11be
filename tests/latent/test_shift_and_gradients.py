import math

import pytest
import torch
from scipy import stats

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.latent.gradients import orthogonalize_gradient
from ganspace_topdis.latent.shift import gaussian_shift, shift_values


def normal_codes(num_codes: int = 4000, seed: int = 0) -> torch.Tensor:
    return torch.randn(num_codes, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_distribution_function_moves_by_the_amount():
    z = normal_codes() * 2 + 5
    shifted, kept = gaussian_shift(z, 1, 0.125, mean=5.0, std=2.0)
    before = stats.norm.cdf(z[kept, 1].numpy(), 5, 2)
    after = stats.norm.cdf(shifted[:, 1].numpy(), 5, 2)
    assert after - before == pytest.approx(0.125, abs=1e-9)


def test_other_coordinates_stay_and_rows_correspond():
    z = normal_codes()
    shifted, kept = gaussian_shift(z, 2, -0.3)
    assert torch.equal(shifted[:, :2], z[kept][:, :2])
    assert len(shifted) == int(kept.sum()) < len(z)


def test_the_share_of_dropped_rows_is_the_amount():
    _, kept = gaussian_shift(normal_codes(20_000), 0, 0.125)
    assert 1 - kept.double().mean().item() == pytest.approx(0.125, abs=0.01)


def test_what_is_kept_stays_gaussian():
    shifted, _ = gaussian_shift(normal_codes(), 0, 0.25, mean=0.0, std=1.0)
    uniform = (stats.norm.cdf(shifted[:, 0].numpy()) - 0.25) / 0.75
    assert stats.kstest(uniform, "uniform").pvalue > 0.01


def test_amounts_add_up_where_both_sides_are_defined():
    z = normal_codes()
    law = {"mean": 0.0, "std": 1.0}
    once, kept_once = shift_values(z[:, 0], 0.1, **law)
    twice, kept_twice = shift_values(once[kept_once], 0.2, **law)
    direct, _ = shift_values(z[:, 0], 0.3, **law)
    assert torch.allclose(twice[kept_twice], direct[kept_once][kept_twice], atol=1e-9)


def test_a_negative_index_counts_from_the_end():
    z = normal_codes(50)
    assert torch.equal(gaussian_shift(z, -1, 0.1)[0], gaussian_shift(z, 2, 0.1)[0])


def test_the_gradient_is_the_derivative():
    z = normal_codes(12).requires_grad_(True)
    _, kept = gaussian_shift(z, 0, 0.2)
    assert bool(kept.any())
    assert torch.autograd.gradcheck(lambda codes: gaussian_shift(codes, 0, 0.2)[0], z)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e30, -7.0])
def test_a_constant_coordinate_stays_and_has_a_finite_gradient(value):
    z = torch.full((8, 2), value, requires_grad=True)
    shifted, kept = gaussian_shift(z, 0, 0.9)
    (gradient,) = torch.autograd.grad(shifted.sum(), z)
    assert bool(kept.all())
    assert torch.equal(shifted, z)
    assert torch.isfinite(gradient).all()


def test_extreme_values_give_finite_codes_and_gradients():
    z = torch.tensor([[-40.0], [-6.0], [0.0], [1.0], [6.0], [40.0]], requires_grad=True)
    shifted, kept = gaussian_shift(z, 0, 0.125, mean=0.0, std=1.0)
    (gradient,) = torch.autograd.grad(shifted.sum(), z)
    assert torch.isfinite(shifted).all()
    assert torch.isfinite(gradient).all()
    assert kept.tolist() == [True, True, True, True, False, False]


def test_no_row_may_be_left():
    shifted, kept = gaussian_shift(torch.full((3, 2), 4.0), 0, 0.5, mean=0.0, std=1.0)
    assert shifted.shape == (0, 2)
    assert not kept.any()


@pytest.mark.parametrize("num_rows", [0, 1])
def test_tiny_batches_keep_their_rows(num_rows):
    shifted, kept = gaussian_shift(torch.ones(num_rows, 2), 1, 0.1)
    assert shifted.shape == (num_rows, 2)
    assert bool(kept.all())


@pytest.mark.parametrize("amount", [1.0, -1.0, math.nan, 3.0])
def test_an_amount_outside_the_unit_interval_is_refused(amount):
    with pytest.raises(InvalidArgumentError, match="amount"):
        gaussian_shift(torch.zeros(4, 2), 0, amount)


def test_wrong_arguments_are_named():
    with pytest.raises(InvalidArgumentError, match="index is 2, allowed are -2 to 1"):
        gaussian_shift(torch.zeros(4, 2), 2, 0.1)
    with pytest.raises(InvalidArgumentError, match=r"z must be .* got torch.int64 \(4, 2\)"):
        gaussian_shift(torch.zeros(4, 2, dtype=torch.int64), 0, 0.1)
    with pytest.raises(InvalidArgumentError, match="std is -1"):
        gaussian_shift(torch.zeros(4, 2), 0, 0.1, std=-1.0)


@pytest.mark.parametrize("law", [{}, {"mean": 0.0, "std": 1.0}])
def test_without_a_margin_all_rows_stay_that_have_an_image(law):
    z = normal_codes(20_000)
    law_of = law or {"mean": z[:, 0].mean().item(), "std": z[:, 0].std().item()}
    probability = stats.norm.cdf(z[:, 0].numpy(), law_of["mean"], law_of["std"]) + 0.125
    for margin in (0.0, 0.01, 0.2):
        shifted, kept = gaussian_shift(z, 0, 0.125, **law, margin=margin)
        assert (kept.numpy() == ((probability > margin) & (probability < 1 - margin))).all()
        assert torch.isfinite(shifted).all()
    for wrong in (-0.1, 0.5):
        with pytest.raises(InvalidArgumentError, match=r"margin is .*allowed is 0 <= margin < 0\.5"):
            gaussian_shift(z, 0, 0.125, margin=wrong)


def test_no_row_moves_more_than_nine_times_as_far_as_its_code():
    z = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_(True)
    for amount in (0.125, -0.125):
        shifted, kept = gaussian_shift(z, 0, amount, mean=0.0, std=1.0)
        (slope,) = torch.autograd.grad(shifted.sum(), z)
        assert 5 < slope.max() < 9
        assert 0.85 < kept.double().mean() < 0.875


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


@pytest.mark.parametrize(
    ("dtype", "size", "own", "other"),
    [
        (torch.float16, 100_000, -1.0, 1.0),
        (torch.float32, 10, -1e20, 1e20),
        (torch.float32, 10, -1.0, 1e-24),
        (torch.float64, 10, -1.0, 1e-200),
    ],
)
def test_opposite_gradients_cancel_however_long_they_are(dtype, size, own, other):
    result = orthogonalize_gradient(torch.full((size,), own, dtype=dtype), torch.full((size,), other, dtype=dtype))
    assert result.dtype == dtype
    assert result.abs().max() <= 1e-3 * abs(own)


def test_parts_keep_their_types():
    parts = [torch.tensor([1.0, -2.0], dtype=torch.float16), torch.tensor([-4.0])]
    assert [each.dtype for each in orthogonalize_gradient(parts, parts)] == [torch.float16, torch.float32]


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_shifted_in_single_precision(dtype: torch.dtype) -> None:
    z = torch.randn(16, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    shifted, kept = gaussian_shift(z, 0, 0.1)
    expected, expected_kept = gaussian_shift(z.float(), 0, 0.1)
    assert shifted.dtype == dtype
    assert torch.equal(kept, expected_kept)
    assert torch.equal(shifted, expected.to(dtype))


def test_a_negative_deviation_among_several_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"std is -2.0, allowed is std >= 0"):
        shift_values(torch.zeros(4, 2), 0.1, mean=0.0, std=torch.tensor([1.0, -2.0]))


@pytest.mark.parametrize(
    ("z", "index", "amount", "message"),
    [
        (normal_codes(4).numpy(), 0, 0.1, "z must be a floating-point tensor .*, got ndarray"),
        (normal_codes(4), 0.0, 0.1, "index is 0.0"),
        (normal_codes(4), True, 0.1, "index is True"),
        (normal_codes(4), 0, torch.tensor(3.0), "amount is"),
    ],
)
def test_arguments_of_other_kinds_are_refused(z, index, amount, message):
    with pytest.raises(InvalidArgumentError, match=message):
        gaussian_shift(z, index, amount)
