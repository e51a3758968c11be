import math
from typing import get_args

import numpy as np
import pytest
import torch

from ganspace_topdis.latent.shift import gaussian_shift
from ganspace_topdis.topology import RTDLoss, rtd
from vae.networks import Posterior, build_networks
from vae.settings import CloudLoss, TopDisSettings
from vae.topdis import ShiftChoice, TopDisTerm, chamfer_loss, cloud_loss, l2_loss, mmd_loss, step_gradient


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


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_networks("fc", image_shape=(8, 8, 1), num_latents=4, width=0.05)


@pytest.fixture
def posterior():
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(24, 4, generator=generator)
    return Posterior(mean=0.5 * sample, logvar=torch.zeros(24, 4), sample=sample)


CHOICE = ShiftChoice(index=2, amount=0.125)


def test_the_loss_is_rtd_of_decoded_codes_before_and_after_the_shift(model, posterior):
    shifted, kept = gaussian_shift(posterior.sample, 2, 0.125)
    x, y = (model.decode(codes).sigmoid() for codes in (posterior.sample[kept], shifted))
    assert len(shifted) < 24
    assert torch.isclose(TopDisTerm(TopDisSettings())(model, posterior, CHOICE), RTDLoss()(x, y), rtol=1e-4)


def test_a_latent_that_the_decoder_does_not_read_costs_nothing(model, posterior):
    with torch.no_grad():
        model.decoder[0].weight[:, 2] = 0
    term = TopDisTerm(TopDisSettings())
    assert term(model, posterior, CHOICE).item() == pytest.approx(0, abs=1e-5)
    assert term(model, posterior, ShiftChoice(index=1, amount=0.125)) > 1e-4


def test_means_are_shifted_where_they_are_asked_for(model, posterior):
    doubled = Posterior(mean=posterior.sample, logvar=posterior.logvar, sample=7 * posterior.sample)
    of_means = TopDisTerm(TopDisSettings(codes="mean"))(model, doubled, CHOICE)
    assert torch.equal(of_means, TopDisTerm(TopDisSettings())(model, posterior, CHOICE))


def test_no_more_points_are_taken_than_asked_for(model, posterior):
    first = Posterior(mean=posterior.mean[:9], logvar=posterior.logvar[:9], sample=posterior.sample[:9])
    some = TopDisTerm(TopDisSettings(points=9))(model, posterior, CHOICE)
    assert torch.equal(some, TopDisTerm(TopDisSettings())(model, first, CHOICE))


def test_samples_that_were_decoded_before_are_not_decoded_again(model, posterior):
    expected = TopDisTerm(TopDisSettings())(model, posterior, CHOICE)
    decoded, calls = model.decode(posterior.sample), []
    model.decoder.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    found = TopDisTerm(TopDisSettings())(model, posterior, CHOICE, decoded=decoded)
    assert torch.isclose(found, expected, rtol=1e-4)
    assert calls == [len(gaussian_shift(posterior.sample, 2, 0.125)[0])]


def test_fewer_than_four_rows_give_a_zero_that_can_be_differentiated(model):
    codes = torch.tensor([[5.0, 0, 0, 0], [-5.0, 0, 0, 0], [5.0, 0, 0, 0], [6.0, 0, 0, 0]], requires_grad=True)
    few = Posterior(mean=codes, logvar=torch.zeros(4, 4), sample=codes)
    loss = TopDisTerm(TopDisSettings(shift=0.45))(model, few, ShiftChoice(index=0, amount=0.45))
    loss.backward()
    assert loss == 0
    assert not codes.grad.any()


def test_features_of_ones_own_are_compared_instead_of_pixels(model, posterior):
    seen = []

    def features(logits):
        seen.append(logits.shape)
        return logits.mean(dim=(2, 3))

    assert TopDisTerm(TopDisSettings(), features)(model, posterior, CHOICE) >= 0
    assert [shape[1:] for shape in seen] == [(1, 8, 8)] * 2


@pytest.mark.parametrize("features", ["pixels", "logits", "pooled"])
def test_both_halves_of_the_decoder_and_the_encoder_receive_a_gradient(features, model):
    images = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    posterior = model.posterior(images, torch.Generator().manual_seed(0))
    loss = TopDisTerm(TopDisSettings(features=features))(model, posterior, CHOICE)
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    assert sum(gradient is not None and bool(gradient.any()) for gradient in gradients) > len(gradients) - 2


def test_latents_are_drawn_by_their_weights_or_evenly():
    rng = np.random.default_rng(0)
    weighted = [TopDisTerm(TopDisSettings()).choose(4, rng, [3.0, 1.0, 0.0, 0.0]) for _ in range(2000)]
    counts = np.bincount([choice.index for choice in weighted], minlength=4) / 2000
    assert counts == pytest.approx([0.75, 0.25, 0, 0], abs=0.04)
    assert sorted({choice.amount for choice in weighted}) == [-0.125, 0.125]
    even = [TopDisTerm(TopDisSettings(choice="uniform")).choose(4, rng).index for _ in range(2000)]
    assert np.bincount(even) / 2000 == pytest.approx([0.25] * 4, abs=0.04)


POINT = torch.tensor([1.0, 2.0, -1.0], requires_grad=True)


def flatten(gradients):
    return torch.zeros(3) if gradients[0] is None else gradients[0]


def gradient(orthogonalize, topdis, *, point=POINT):
    """Reconstruction pulls along x, the penalty along y; `topdis` is a direction (3,)."""
    loss = None if topdis is None else (torch.tensor(topdis) * point).sum()
    terms = {"reconstruction": 2 * point[0], "penalty": 3 * point[1], "topdis": loss}
    return step_gradient([point], flatten, **terms, orthogonalize=orthogonalize).total.tolist()


def test_without_topdis_the_gradient_is_that_of_the_sum():
    assert gradient("reconstruction", None) == [2, 3, 0]


def test_without_orthogonalization_gradients_add_up():
    assert gradient("none", [-5.0, -7.0, 1.0]) == [-3, -4, 1]


def test_topdis_may_not_work_against_reconstruction():
    assert gradient("reconstruction", [-5.0, -7.0, 1.0]) == [2, -4, 1]
    assert gradient("reconstruction", [5.0, -7.0, 1.0]) == [7, -4, 1]


def test_topdis_may_not_work_against_all_other_terms_together():
    found = torch.tensor(gradient("all", [-5.0, -7.0, 1.0])) - torch.tensor([2.0, 3.0, 0.0])
    assert abs(found @ torch.tensor([2.0, 3.0, 0.0])) < 1e-5
    expected = torch.tensor([-5.0, -7.0, 1.0]) + 31 / 13 * torch.tensor([2.0, 3.0, 0.0])
    assert torch.allclose(found, expected)


@pytest.mark.parametrize("orthogonalize", ["none", "reconstruction", "all"])
def test_terms_that_share_a_graph_are_differentiated_like_terms_that_do_not(orthogonalize):
    shared = POINT.square()
    terms = {"reconstruction": shared[0], "penalty": shared.sum(), "topdis": -shared[0] + shared[2]}
    apart = dict(zip(terms, separate_terms(), strict=True))
    together, separate = (
        step_gradient([POINT], flatten, orthogonalize=orthogonalize, **given).total for given in (terms, apart)
    )
    assert torch.allclose(together, separate)


def separate_terms():
    return POINT.square()[0], POINT.square().sum(), -POINT.square()[0] + POINT.square()[2]


@pytest.mark.parametrize("name", ["reconstruction", "penalty", "topdis"])
def test_a_gradient_that_is_not_finite_is_blamed_on_its_term(name):
    terms = {"reconstruction": POINT[0], "penalty": POINT[1], "topdis": POINT[2]}
    terms[name] = (POINT[0] - 1).abs().sqrt()
    assert step_gradient([POINT], flatten, orthogonalize="reconstruction", **terms).blame() == name
