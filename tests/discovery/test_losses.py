import dataclasses

import pytest
import torch

from ganspace_topdis.discovery.active_subspace import identity_span, pca_span
from ganspace_topdis.discovery.api import discover_directions
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.losses import (
    ContrastiveLoss,
    HessianPenalty,
    TopDisLoss,
    contrastive_loss,
    shift_codes,
)
from ganspace_topdis.discovery.reconstructor_loss import ReconstructorLoss, pooled, small_encoder, train
from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.matching import recovery
from ganspace_topdis.generators import HandBuiltGenerator
from tests.discovery.additive import additive, rotation, sample_codes

SETTINGS = DiscoverySettings(span="identity", batch_size=24, num_span_codes=256)
GENERATOR = HandBuiltGenerator(seed=3, resolution=16)
CODES = GENERATOR.sample_codes(24, torch.Generator().manual_seed(1))
SPAN = identity_span(GENERATOR.sample_codes(256, torch.Generator().manual_seed(0)))


def losses(generate=GENERATOR, shift: float = 1.0, **settings) -> list[float]:
    loss_module = TopDisLoss(generate, SPAN, dataclasses.replace(SETTINGS, **settings))
    rng = torch.Generator().manual_seed(2)
    return [loss.item() for loss in loss_module.losses(torch.eye(6), CODES, shift, rng)]


def test_topdis_yields_one_loss_per_direction_or_as_many_as_are_drawn():
    assert len(losses()) == 6
    assert len(losses(directions_per_step=2)) == 2


def test_the_cost_of_a_step_does_not_grow_with_the_span():
    codes = torch.randn(200, 40, generator=torch.Generator().manual_seed(1))
    loss_module = TopDisLoss(lambda codes: codes, identity_span(codes), DiscoverySettings(batch_size=16))
    terms = loss_module.losses(torch.eye(40), codes[:16], 1.0, torch.Generator().manual_seed(2))
    assert len(list(terms)) == DiscoverySettings().directions_per_step == 8


def test_a_generator_that_keeps_every_distance_has_no_loss():
    assert max(losses(generate=lambda codes: codes, shift_kind="sigma")) < 1e-4


def test_the_loss_per_effect_does_not_reward_small_changes_in_themselves():
    near, far = (torch.tensor(losses(shift=shift)).mean() for shift in (0.1, 1.0))
    near_per_effect, far_per_effect = (
        torch.tensor(losses(shift=shift, per_effect=True)).mean() for shift in (0.1, 1.0)
    )
    assert near_per_effect / far_per_effect > 2 * near / far


@pytest.mark.parametrize("settings", [{"divergence": "rtd-lite"}, {"variant": "min"}, {"shift_kind": "gaussian"}])
def test_every_variant_yields_positive_losses(settings):
    loss_module = TopDisLoss(GENERATOR, SPAN, dataclasses.replace(SETTINGS, shift=0.25, **settings))
    rng = torch.Generator().manual_seed(2)
    assert min(loss.item() for loss in loss_module.losses(torch.eye(6), CODES, 0.25, rng)) > 0


@pytest.mark.parametrize("divergence", ["rtd", "rtd-lite"])
def test_every_divergence_sums_the_barcodes_that_are_asked_for(divergence):
    found = [losses(divergence=divergence, variant=variant)[0] for variant in ("min", "max", "minmax")]
    assert found[0] + found[1] == pytest.approx(found[2], rel=1e-4)
    assert found[0] != pytest.approx(found[1], rel=1e-3)


@pytest.mark.parametrize("loss", [TopDisLoss, HessianPenalty, ContrastiveLoss, ReconstructorLoss])
def test_a_step_moves_as_many_directions_as_are_asked_for(loss):
    loss_module = loss(GENERATOR, SPAN, dataclasses.replace(SETTINGS, directions_per_step=2))
    rows = torch.eye(6).requires_grad_(True)
    sum(loss_module.losses(rows, CODES, 1.0, torch.Generator().manual_seed(2))).sum().backward()
    assert (rows.grad.norm(dim=1) > 0).sum() == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "contrastive", "shift_kind": "gaussian", "shift": 0.1}, "must be sigma unless `method` is topdis"),
        ({"method": "overlap", "directions_per_step": 1}, "`directions_per_step` is 1, but must be at least 2 for"),
        ({"method": "hessian", "num_directions": 1}, "`num_directions` is 1, but must be at least 2 for `method` hes"),
    ],
)
def test_what_a_method_cannot_use_is_refused(settings, message):
    with pytest.raises(InvalidArgumentError, match=message):
        DiscoverySettings(**settings)


def test_a_span_of_one_axis_has_nothing_to_compare():
    settings = DiscoverySettings(method="overlap", span="identity", num_span_codes=64)
    with pytest.raises(InvalidArgumentError, match="compares directions, but the span has only one"):
        Discovery(lambda codes: codes.repeat(1, 3), lambda n, rng: torch.randn(n, 1, generator=rng), settings)


def test_a_null_direction_has_a_finite_loss_per_effect():
    values = losses(generate=lambda codes: codes[:, :1] * 0 + torch.arange(24.0)[:, None], per_effect=True)
    assert all(value == value and value < float("inf") for value in values)


def codes(num_codes: int = 40, code_dim: int = 4) -> torch.Tensor:
    return torch.randn(num_codes, code_dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def generate(c: torch.Tensor) -> torch.Tensor:
    return torch.sin(c @ torch.arange(12.0, dtype=c.dtype).reshape(4, 3)).unflatten(1, (3, 1))


@pytest.mark.parametrize("law", ["gaussian", "sigma"])
def test_a_shift_moves_along_its_direction_only(law):
    span = pca_span(codes(), size=4)
    direction = torch.nn.functional.normalize(torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=torch.float64), dim=0)
    shifted = shift_codes(span, direction, codes(), 0.2, law)
    change = (shifted.codes - shifted.rows_of(codes())) @ span.projection.T
    along = change @ direction
    assert torch.allclose(change, along[:, None] * direction, atol=1e-9)
    assert (along > 0).all()


def test_a_direction_has_a_gradient_through_the_shift():
    span = pca_span(codes(), size=4)
    direction = torch.nn.functional.normalize(torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=torch.float64), dim=0)
    direction.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda d: shift_codes(span, d, codes(), 0.2, "gaussian").codes, direction)


SETTINGS_HESSIAN = DiscoverySettings(method="hessian", span="identity")
CODES_HESSIAN = sample_codes(64, torch.Generator().manual_seed(1))


def penalty(rows: torch.Tensor, generate=additive) -> float:
    span = identity_span(sample_codes(4000, torch.Generator().manual_seed(0)))
    coordinates = torch.linalg.qr((rows @ span.projection.T).T)[0].T
    loss_module = HessianPenalty(generate, span, SETTINGS_HESSIAN)
    (loss,) = loss_module.losses(coordinates, CODES_HESSIAN, 1.0, torch.Generator().manual_seed(2))
    return loss.item()


def test_the_penalty_vanishes_on_the_axes_of_an_additive_generator():
    assert penalty(rotation()) < 0.01 * penalty(torch.eye(6))


def test_the_penalty_is_twice_the_sum_of_squares_off_the_hessians_diagonal():
    span = identity_span(sample_codes(20_000, torch.Generator().manual_seed(0)))
    many = sample_codes(20_000, torch.Generator().manual_seed(1)).double()
    loss_module = HessianPenalty(lambda c: c[:, :1] * c[:, 1:2], span, SETTINGS_HESSIAN)
    exact = span.projection.new_zeros(6, 6)
    exact[0, 1] = exact[1, 0] = 1
    hessian = span.axes @ exact @ span.axes.T
    expected = 2 * (hessian - hessian.diag().diag()).square().sum() / (many[:, 0] * many[:, 1]).var()
    (loss,) = loss_module.losses(torch.eye(6), many.float(), 1.0, torch.Generator().manual_seed(2))
    assert abs(loss.item() / expected.item() - 1) < 0.1


def test_the_axes_of_an_additive_generator_are_found():
    found = discover_directions(additive, sample_codes, method="hessian", span="identity", steps=200)
    assert recovery(found.vectors, rotation()).worst > 0.95


def changes(count: int = 3, num_codes: int = 4) -> torch.Tensor:
    return torch.randn(count, num_codes, 20, generator=torch.Generator().manual_seed(0))


def test_the_loss_is_that_of_the_formula_written_out():
    d = torch.nn.functional.normalize(changes(), dim=2)
    terms = []
    for k in range(3):
        for n in range(4):
            same = sum((2 * d[k, n] @ d[k, m]).exp() for m in range(4) if m != n)
            other = sum((2 * d[k, n] @ d[j, m]).exp() for j in range(3) if j != k for m in range(4))
            terms.append(-torch.log(same / other))
    assert contrastive_loss(changes()).item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_the_length_of_a_change_does_not_count():
    assert contrastive_loss(changes()).item() == pytest.approx(contrastive_loss(7 * changes()).item(), rel=1e-5)


def saturating(codes: torch.Tensor) -> torch.Tensor:
    """Each rotated coordinate pulls one way, the less the farther it is: only its axes change all codes alike."""
    return torch.tanh(2 * codes @ rotation().T) @ torch.linalg.qr(torch.randn(12, 6, generator=rng(3)))[0].T


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_axes_that_change_all_codes_alike_are_found():
    found = discover_directions(
        saturating, sample_codes, method="contrastive", span="identity", steps=150, batch_size=32
    )
    assert recovery(found.vectors, rotation()).mean > 0.9


SETTINGS_RECONSTRUCTOR = {
    "method": "reconstructor",
    "search_in": "span",
    "span": "identity",
    "batch_size": 32,
    "num_span_codes": 1000,
}


def test_hand_built_directions_are_recovered_better_than_by_a_random_start():
    generator = HandBuiltGenerator(seed=0, resolution=16)
    start = Discovery(generator, generator.sample_codes, DiscoverySettings(**SETTINGS_RECONSTRUCTOR)).directions()
    found = discover_directions(
        generator, generator.sample_codes, steps=300, learning_rate=0.05, **SETTINGS_RECONSTRUCTOR
    )
    truth = generator.true_directions
    assert recovery(found.vectors, truth).mean > recovery(start.vectors, truth).mean + 0.05


def test_the_network_of_the_reconstructor_is_trained():
    generator = HandBuiltGenerator(seed=0, resolution=16)
    search = Discovery(
        generator, generator.sample_codes, DiscoverySettings(steps=40, learning_rate=1e-9, **SETTINGS_RECONSTRUCTOR)
    )
    losses = [search.step()["loss"] for _ in range(40)]
    assert sum(losses[-5:]) < sum(losses[:5])


def test_the_reconstructor_accepts_rows_of_features():
    search = Discovery(
        lambda codes: torch.cat([codes, codes**2], dim=1),
        lambda count, rng: torch.randn(count, 4, generator=rng),
        DiscoverySettings(steps=2, **SETTINGS_RECONSTRUCTOR),
    )
    assert search.step()["loss"] > 0


def test_the_reconstructor_accepts_rectangular_images():
    search = Discovery(
        lambda codes: codes[:, :3, None, None].expand(-1, -1, 16, 8),
        lambda count, rng: torch.randn(count, 4, generator=rng),
        DiscoverySettings(steps=2, **SETTINGS_RECONSTRUCTOR),
    )
    assert search.step()["loss"] > 0


@pytest.mark.parametrize(
    ("size", "expected"),
    [((64, 64), (32, 32)), ((16, 16), (16, 16)), ((64, 32), (32, 16)), ((8, 128), (2, 32)), ((256, 2), (32, 1))],
)
def test_large_images_are_pooled_and_keep_their_aspect_ratio(size: tuple[int, int], expected: tuple[int, int]) -> None:
    images = pooled(torch.zeros(1, 3, *size))
    assert images.shape[-2:] == expected
    assert small_encoder(3, 2, images.shape[-2:], 4, seed=1)(images).shape == (1, 2)


def test_a_seed_fixes_the_weights_and_leaves_the_global_state_alone() -> None:
    state = torch.get_rng_state()
    first, second = (small_encoder(3, 2, (16, 16), 4, seed=1)(torch.ones(1, 3, 16, 16)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


def test_training_learns_the_mean_of_an_image() -> None:
    rng = torch.Generator().manual_seed(0)
    network = small_encoder(1, 1, (8, 8), 4, seed=0)
    levels = torch.randn(64, 1, generator=rng)
    images = levels[:, :, None, None].expand(-1, 1, 8, 8)
    train(network, lambda _: (images, levels), torch.nn.functional.mse_loss, 150, 1e-2)
    assert torch.nn.functional.mse_loss(network(images), levels) < 0.05
