import numpy as np
import pytest
import torch

from ganspace_topdis.latent.shift import gaussian_shift
from ganspace_topdis.topology import RTDLoss
from vae.networks import Posterior, build_networks
from vae.topdis import TopDisSettings, TopDisTerm
from vae.topdis.term import ShiftChoice


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


def test_latents_are_drawn_by_the_decoders_weight_or_evenly(model):
    with torch.no_grad():
        model.decoder[0].weight[:] = torch.tensor([3.0, 1.0, 0.0, 0.0])
    rng = np.random.default_rng(0)
    weighted = [TopDisTerm(TopDisSettings()).choose(model, rng) for _ in range(2000)]
    counts = np.bincount([choice.index for choice in weighted], minlength=4) / 2000
    assert counts == pytest.approx([0.75, 0.25, 0, 0], abs=0.04)
    assert sorted({choice.amount for choice in weighted}) == [-0.125, 0.125]
    even = [TopDisTerm(TopDisSettings(choice="uniform")).choose(model, rng).index for _ in range(2000)]
    assert np.bincount(even) / 2000 == pytest.approx([0.25] * 4, abs=0.04)
