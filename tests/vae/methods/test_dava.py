import dataclasses

import pytest
import torch

from vae.method_options import DAVAOptions
from vae.methods.dava import DAVA, image_discriminator, resample_latents, smoothed_targets, update_counter
from vae.methods.method import StepContext
from vae.networks import build_networks


def step_context(images, seed=0):
    torch.manual_seed(seed)
    model = build_networks("narrow", image_shape=(16, 16, 1), num_latents=3, width=0.1)
    generator = torch.Generator().manual_seed(0)
    posterior = model.posterior(images, generator).detach()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return StepContext(
        step=0,
        model=model,
        optimizer=optimizer,
        posterior=posterior,
        images=images,
        second_posterior=lambda: posterior,
        generator=generator,
        max_grad_norm=1.0,
    )


def test_c_grows_while_the_discriminator_is_at_chance_and_shrinks_when_it_is_better():
    assert update_counter(0, 0.50, 64) == 64
    assert update_counter(100, 0.505, 64) == 100
    assert update_counter(100, 0.52, 64) == 36
    assert update_counter(10, 0.9, 64) == 0


def test_c_grows_by_the_published_amount_a_step_up_to_its_limit(spec):
    method = DAVA(DAVAOptions(), spec)
    method.counter = 64
    assert method.capacity == pytest.approx(4e-5)
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


def test_a_discriminator_that_recognises_images_turns_both_nets_against_it(spec):
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


def test_the_image_discriminator_gives_one_logit_an_image():
    for shape in ((64, 64, 1), (16, 16, 3), (24, 20, 1)):
        height, width, channels = shape
        assert image_discriminator(shape, width=4)(torch.rand(3, channels, height, width)).shape == (3, 1)
