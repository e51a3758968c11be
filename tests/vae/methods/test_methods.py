"""The table of methods, those that weight or bound the KL divergence, and DAVA."""

import copy
import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from ganspace_topdis.errors import InvalidArgumentError
from vae.method_options import AnnealedVAEOptions, BetaVAEOptions, ControlVAEOptions, DAVAOptions, PlainVAEOptions
from vae.methods import METHODS, create_method
from vae.methods.dava import DAVA, image_discriminator, resample_latents, smoothed_targets, update_counter
from vae.methods.kl import AnnealedVAE, BetaVAE, Controller, ControlVAE, PlainVAE, linear_capacity, stepped_capacity
from vae.methods.method import StepContext, gaussian_kl, reconstruction_loss
from vae.networks import build_networks


@pytest.mark.parametrize("method", METHODS)
def test_every_method_adds_a_finite_differentiable_penalty_and_reports_kl(method, posterior, spec):
    method = create_method(method, {}, spec)
    mean = posterior.mean.clone().requires_grad_()
    moved = dataclasses.replace(posterior, mean=mean, sample=posterior.sample + mean - posterior.mean)
    penalty = method.penalty(moved, 10)
    (gradient,) = torch.autograd.grad(penalty.loss, mean)
    assert torch.isfinite(gradient).all()
    assert gradient.any()
    assert torch.as_tensor(penalty.report["kl"]) > 0


def test_kl_is_that_of_the_distributions():
    torch.manual_seed(0)
    mean, logvar = torch.randn(50, 4), torch.randn(50, 4)
    expected = kl_divergence(Normal(mean, (0.5 * logvar).exp()), Normal(0.0, 1.0)).mean(0)
    assert torch.allclose(gaussian_kl(mean, logvar), expected, atol=1e-5)


def test_kl_of_the_prior_is_zero():
    assert gaussian_kl(torch.zeros(3, 2), torch.zeros(3, 2)).tolist() == [0, 0]


def test_bernoulli_reconstruction_is_summed_over_pixels_and_averaged_over_the_batch():
    logits = torch.tensor([0.0, math.log(3.0)]).reshape(1, 1, 1, 2).expand(5, 1, 1, 2)
    images = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2).expand(5, 1, 1, 2)
    assert reconstruction_loss(logits, images).item() == pytest.approx(math.log(2) + math.log(4))


def test_gaussian_reconstruction_is_the_squared_error_of_the_probabilities():
    logits = torch.tensor([0.0, math.log(3.0)]).reshape(1, 1, 1, 2).expand(2, 1, 1, 2)
    images = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2).expand(2, 1, 1, 2)
    assert reconstruction_loss(logits, images, "gaussian").item() == pytest.approx(0.25 + 0.5625)


def kl(posterior):
    return kl_divergence(Normal(posterior.mean, (0.5 * posterior.logvar).exp()), Normal(0.0, 1.0)).sum(1).mean().item()


def test_the_vae_adds_the_kl_divergence(posterior, spec):
    penalty = PlainVAE(PlainVAEOptions(), spec).penalty(posterior, 0)
    assert penalty.loss.item() == pytest.approx(kl(posterior), rel=1e-5)


def test_beta_multiplies_the_kl_divergence(posterior, spec):
    penalty = BetaVAE(BetaVAEOptions(beta=7.0), spec).penalty(posterior, 0)
    assert penalty.loss.item() == pytest.approx(7 * kl(posterior), rel=1e-5)
    assert torch.as_tensor(penalty.report["kl"]).item() == pytest.approx(kl(posterior), rel=1e-5)


def test_the_capacity_grows_linearly_and_stays():
    assert [linear_capacity(step, 50.0, 1000) for step in (0, 250, 1000, 5000)] == [0, 12.5, 50, 50]
    assert linear_capacity(0, 50.0, 0) == 50


@pytest.mark.parametrize("capacity", [0.0, 100.0])
def test_the_penalty_is_the_weighted_distance_to_the_capacity_from_either_side(posterior, spec, capacity):
    method = AnnealedVAE(AnnealedVAEOptions(gamma=3.0, capacity=capacity, capacity_steps=0), spec)
    penalty = method.penalty(posterior, 0)
    distance = abs(penalty.report["kl"].item() - capacity)
    assert distance > 1
    assert penalty.loss.item() == pytest.approx(3 * distance)
    assert penalty.report["capacity"] == capacity


GAINS = {"proportional": 0.01, "integral": -0.001, "floor": 1.0}


def test_the_controller_follows_the_published_recurrence():
    """Worked by hand: three errors below zero raise I, one above lowers it."""
    integral, controller = 0.0, Controller()
    for error in (-2.0, -1.0, -4.0, 3.0):
        integral += -0.001 * error
        controller = controller.move(error, **GAINS)
        assert controller.integral == pytest.approx(integral)
        assert controller.raw == pytest.approx(0.01 / (1 + math.exp(error)) + 1 + integral)
    assert integral == pytest.approx(0.004)


def test_the_integral_is_frozen_below_the_floor():
    controller = Controller()
    for _ in range(100):
        controller = controller.move(50.0, **GAINS)
    assert controller.raw < 1
    assert controller.integral == pytest.approx(-0.05)  # one step down, and no further


def test_the_controller_brings_a_plant_to_its_target():
    """KL = 10 / beta, target 4: beta must settle at 2.5."""
    controller = Controller()
    beta = 1.0
    for _ in range(5000):
        controller = controller.move(4.0 - 10 / beta, **GAINS)
        beta = max(controller.raw, 1.0)
    assert beta == pytest.approx(2.5, rel=1e-3)


def test_huge_errors_do_not_overflow():
    assert math.isfinite(Controller().move(1e6, **GAINS).raw)
    assert math.isfinite(Controller().move(-1e6, **GAINS).raw)


def test_the_capacity_rises_in_steps_up_to_the_last():
    values = [stepped_capacity(s, start=0.5, increase=0.15, every=5000, capacity=16) for s in (4999, 5000, 600_000)]
    assert values == pytest.approx([0.5, 0.65, 16])


def test_the_weight_of_the_penalty_is_the_controllers(posterior, spec):
    method = ControlVAE(ControlVAEOptions(kp=1.0), spec)
    penalty = method.penalty(posterior, 0)
    assert penalty.report["beta"] > 1.5
    assert penalty.loss.item() == pytest.approx(penalty.report["beta"] * penalty.report["kl"].item())


def test_a_controller_goes_on_from_its_state(posterior, spec):
    first, second = (ControlVAE(ControlVAEOptions(), spec) for _ in range(2))
    first.penalty(posterior, 0)
    second.load_state(first.state())
    assert second.penalty(posterior, 1) == first.penalty(posterior, 1)


def step_context(images, seed=0):
    torch.manual_seed(seed)
    model = build_networks("narrow", image_shape=(16, 16, 1), num_latents=3, width=0.1)
    generator = torch.Generator().manual_seed(0)
    posterior = model.posterior(images, generator).detach()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return StepContext(
        model=model,
        optimizer=optimizer,
        posterior=posterior,
        images=images,
        second_posterior=lambda: posterior,
        generator=generator,
        max_grad_norm=1.0,
    )


def test_c_grows_while_the_discriminator_is_at_chance_and_shrinks_when_it_is_better():
    assert update_counter(0, 0.50, 64) == 32
    assert update_counter(100, 0.505, 64) == 100
    assert update_counter(100, 0.52, 64) == 68
    assert update_counter(10, 0.9, 64) == -22


def test_c_grows_by_the_published_amount_a_step_up_to_its_limit(spec):
    method = DAVA(DAVAOptions(), spec)
    method.counter = update_counter(0, 0.5, 128)
    assert method.capacity == pytest.approx(8 * (128 / 2) / 12_800_000)
    method.counter = -128
    assert method.capacity < 0
    method.counter = 10**9
    assert method.capacity == 8


def test_the_penalty_is_the_fourth_power_of_the_mean_kl(posterior, spec):
    method = DAVA(DAVAOptions(gamma=2.0), spec)
    method.counter = 6_400_000
    penalty = method.penalty(posterior, 0)
    mean_kl = penalty.report["kl"].item() / 3
    assert penalty.loss.item() == pytest.approx(2 * (mean_kl - 4) ** 4, rel=1e-4)


def test_resampled_codes_take_every_latent_from_the_batch_by_itself():
    codes = torch.arange(12.0).reshape(4, 3)
    drawn = resample_latents(codes, torch.Generator().manual_seed(1))
    assert all(set(drawn[:, d].tolist()) <= set(codes[:, d].tolist()) for d in range(3))
    many = resample_latents(torch.randn(3000, 1).expand(3000, 2), torch.Generator().manual_seed(1))
    assert abs(torch.corrcoef(many.T)[0, 1].item()) < 0.07


def test_targets_lie_within_the_smoothing_of_one_and_zero():
    targets = smoothed_targets(500, 0.6, torch.Generator().manual_seed(0))
    assert targets.shape == (1000, 1)
    assert 0.4 <= targets[:500].min() < 0.45
    assert 0.55 < targets[500:].max() <= 0.6


def test_at_chance_the_second_step_repeats_the_first_ones_gradient_only_when_it_is_carried(spec):
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for carry in (True, False):
        torch.manual_seed(3)
        method = DAVA(DAVAOptions(carry_gradients=carry, discriminator_width=4), spec)
        context = step_context(images)
        before = {name: value.clone() for name, value in context.model.state_dict().items()}
        context.model.decoder[1].bias.grad += 1.0
        with torch.no_grad():  # a discriminator that calls everything fake is right in half of the cases
            for parameter in method.discriminator.parameters():
                parameter.zero_()
        method.after_step(context)
        moved = {name for name, value in context.model.state_dict().items() if not torch.equal(value, before[name])}
        assert moved == ({"decoder.1.bias"} if carry else set())


def test_a_discriminator_that_recognizes_images_turns_both_nets_against_it(spec):
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(3)
    method = DAVA(DAVAOptions(carry_gradients=False, discriminator_width=4), spec)
    method._train_discriminator = lambda decoded, context: (0.9, torch.tensor(0.0))
    context = step_context(images)
    before = {name: value.clone() for name, value in context.model.state_dict().items()}
    values = method.after_step(context)
    moved = {
        name.partition(".")[0] for name, v in context.model.state_dict().items() if not torch.equal(v, before[name])
    }
    assert values["discriminator_accuracy"] == 0.9
    assert moved == {"encoder", "decoder"}


def test_the_state_holds_the_counter(spec):
    first, second = (DAVA(DAVAOptions(discriminator_width=4), dataclasses.replace(spec)) for _ in range(2))
    first.counter = 320
    second.load_state(first.state())
    assert second.counter == 320


@pytest.mark.parametrize(
    ("network", "channels", "hidden"), [("narrow", (1, 32, 32, 64, 64), 256), ("wide", (1, 32, 64, 128, 256), 512)]
)
def test_the_image_discriminator_has_the_size_of_the_released_ones(network, channels, hidden):
    convolutions = sum(16 * ins * outs + outs for ins, outs in pairwise(channels))
    dense = 16 * channels[-1] * hidden + hidden + 2 * hidden + hidden + 1
    discriminator = image_discriminator((64, 64, 1), network=network)
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == convolutions + dense
    assert discriminator[0].out_channels == channels[1]


def test_images_that_the_image_discriminator_cannot_take_are_refused():
    assert image_discriminator((4, 5, 1))(torch.rand(2, 1, 4, 5)).shape == (2, 1)
    with pytest.raises(InvalidArgumentError, match="at least 4 px, these have 3 x 8; choose another `method`"):
        image_discriminator((3, 8, 1))


def test_the_image_discriminator_normalizes_after_relu():
    convolution = [nn.Conv2d, nn.ReLU, nn.InstanceNorm2d]
    dense = [nn.Flatten, nn.Linear, nn.ReLU, nn.BatchNorm1d, nn.Linear]
    assert [type(layer) for layer in image_discriminator((64, 64, 1))] == [*4 * convolution, *dense]


def test_the_discriminator_is_trained_on_the_sum_over_two_mixed_half_batches(spec):
    torch.manual_seed(3)
    method = DAVA(DAVAOptions(smoothing=0.0, discriminator_width=4), spec)
    twin = copy.deepcopy(method.discriminator)
    real, fake = torch.rand(2, 8, 1, 16, 16).unbind()
    context = dataclasses.replace(step_context(real), max_grad_norm=None)
    _, reported = method._train_discriminator(torch.cat([real, fake]), context)
    total = torch.zeros(())
    for half in (slice(0, 4), slice(4, 8)):
        logits = twin(torch.cat([real[half], fake[half]]))
        total = total + F.softplus(-logits[:4]).sum() + F.softplus(logits[4:]).sum()
    expected = torch.autograd.grad(total, list(twin.parameters()))
    assert reported.item() == pytest.approx(total.item() / 16, rel=1e-5)
    for parameter, gradient in zip(method.discriminator.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-4, atol=1e-5)


def test_an_image_is_recognized_from_a_probability_of_six_tenths(spec):
    method = DAVA(DAVAOptions(discriminator_width=4), spec)
    images = torch.rand(16, 1, 16, 16)
    for probabilities, expected in (((0.65, 0.55), 1.0), ((0.55, 0.45), 0.5), ((0.75, 0.65), 0.5)):
        logits = torch.tensor(probabilities).logit().repeat_interleave(8)[:, None]
        logits = logits + 0 * sum(parameter.flatten()[0] for parameter in method.discriminator.parameters())
        method._logits_by_halves = lambda decoded, logits=logits: logits
        assert method._train_discriminator(images, step_context(images))[0] == expected


@pytest.mark.parametrize(("accuracy", "strength"), [(0.3, 0.0), (0.5, 0.0), (0.505, 0.5), (0.75, 25.0), (1.0, 50.0)])
def test_the_strength_is_a_hundred_times_the_accuracy_above_chance(spec, accuracy, strength):
    method = DAVA(DAVAOptions(discriminator_width=4), spec)
    given = []
    method._train_discriminator = lambda decoded, context: (accuracy, torch.tensor(0.0))
    method._step_against = lambda decoded, strength, context: given.append(strength)
    method.after_step(step_context(torch.rand(8, 1, 16, 16)))
    assert given == [pytest.approx(strength)]


def test_the_encoders_gradient_is_clipped_with_the_adversarys_and_the_decoders_is_not(spec):
    torch.manual_seed(3)
    method = DAVA(DAVAOptions(discriminator_width=4, encoder_weight=1.0, decoder_weight=1.0), spec)
    images = torch.rand(8, 1, 16, 16)
    context = step_context(images)
    posterior = context.model.posterior(images, context.generator)
    decoded = context.model.decode(torch.cat([posterior.sample, posterior.sample.detach().flip(0)])).sigmoid()
    nets = [list(net.parameters()) for net in (context.model.encoder, context.model.decoder)]
    for parameter in (*nets[0], *nets[1]):
        parameter.grad = torch.full_like(parameter, 0.5)  # of the first step
    method.discriminator.eval()
    real, fake = method.discriminator(decoded).chunk(2)
    losses = 50 * F.softplus(real).sum(), F.softplus(-fake).sum()
    expected = [
        torch.cat([(0.5 + gradient).flatten() for gradient in torch.autograd.grad(loss, net, retain_graph=True)])
        for loss, net in zip(losses, nets, strict=True)
    ]
    method._step_against(decoded, 50.0, context)
    found = [torch.cat([parameter.grad.flatten() for parameter in net]) for net in nets]
    assert expected[0].norm() > 1 < expected[1].norm()
    assert torch.allclose(found[0], expected[0] / expected[0].norm(), atol=1e-5)
    assert torch.allclose(found[1], expected[1], rtol=1e-4, atol=1e-5)


def test_the_adversarial_loss_is_summed_over_the_batch(spec):
    images = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(3)
    method = DAVA(DAVAOptions(carry_gradients=False, discriminator_width=4, encoder_weight=1.0), spec)
    method.discriminator.eval()
    context = step_context(images)
    codes = context.model.encode(images)[0]
    decoded = context.model.decode(torch.cat([codes, codes])).sigmoid()
    logits = method.discriminator(decoded)[:8]
    expected = torch.autograd.grad(
        torch.nn.functional.softplus(logits).sum(), context.model.encoder[0].weight, retain_graph=True
    )[0]
    context = dataclasses.replace(context, max_grad_norm=None)
    method._step_against(decoded, 1.0, context)
    assert torch.allclose(context.model.encoder[0].weight.grad, expected, rtol=1e-4, atol=1e-7)


def test_the_image_discriminator_gives_one_logit_an_image():
    for shape in ((64, 64, 1), (16, 16, 3), (24, 20, 1)):
        height, width, channels = shape
        assert image_discriminator(shape, width=4)(torch.rand(3, channels, height, width)).shape == (3, 1)
