import dataclasses
import itertools

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import CheckpointError, TopdisError
from ganspace_topdis.runs.checkpoints import CheckpointStore
from ganspace_topdis.runs.checksummed import flatten, unflatten
from vae.methods import METHODS
from vae.settings import TopDisSettings, TrainSettings
from vae.training import Training

SMALL = {
    "factor-vae": {"discriminator_width": 16},
    "dava": {"discriminator_width": 4, "gamma": 1.0},
    "control-vae": {"capacity_every": 2},
}
TOPDIS = {"plain": None, "topdis": TopDisSettings(delay=1)}
CASES = list(itertools.product(METHODS, TOPDIS))


def settings(method="beta-vae", topdis="plain", **others):
    given = {"network": "narrow", "width": 0.2, "batch_size": 12, "num_latents": 4, "steps": 6, "log_every": 4}
    options = SMALL.get(method, {})
    return TrainSettings(method=method, options=options, topdis=TOPDIS[topdis], **{**given, **others})


def take(training, num_steps):
    return [training.step() for _ in range(num_steps)]


@pytest.mark.parametrize(("method", "topdis"), CASES)
def test_a_resumed_training_takes_the_very_same_steps(method, topdis, tiny, tmp_path):
    chosen = settings(method, topdis)
    uninterrupted = Training(chosen, tiny)
    take(uninterrupted, 3)
    store = CheckpointStore(tmp_path)
    store.save(3, *flatten(uninterrupted.state()))
    expected = take(uninterrupted, 3)

    np.random.seed(7)  # noqa: NPY002 (what else was drawn in the process must not matter)
    torch.manual_seed(7)
    resumed = Training(chosen, tiny)
    checkpoint = store.load_newest()
    resumed.load_state(unflatten(checkpoint.tensors, checkpoint.rest))
    assert take(resumed, 3) == expected
    ours, theirs = (flatten(training.state()) for training in (resumed, uninterrupted))
    assert ours[1] == theirs[1]
    assert all(torch.equal(tensor, theirs[0][name]) for name, tensor in ours[0].items())


def test_two_trainings_with_one_seed_are_identical_and_another_seed_is_not(tiny):
    first, second, other = (take(Training(settings(seed=seed), tiny), 3) for seed in (0, 0, 1))
    assert first == second != other


def test_topdis_sets_in_after_its_delay(tiny):
    values = take(Training(settings(topdis="topdis"), tiny), 3)
    assert ["topdis" in value for value in values] == [False, True, True]


def test_the_loss_is_the_weighted_sum_of_its_terms(tiny):
    chosen = settings("beta-vae", "topdis", ramp_steps=10)
    _, value = take(Training(chosen, tiny), 2)
    assert value["penalty"] == pytest.approx(4 * value["kl"])
    assert value["loss"] == pytest.approx(value["reconstruction"] + 0.2 * value["penalty"] + 5 * value["topdis"])


@pytest.mark.parametrize("change", [{"codes": "mean"}, {"choice": "uniform"}, {"batch": "same"}, {"loss": "rtd-lite"}])
@pytest.mark.parametrize("orthogonalize", ["none", "reconstruction", "all"])
def test_every_way_to_do_topdis_trains(change, orthogonalize, tiny):
    topdis = TopDisSettings(orthogonalize=orthogonalize, **change)
    training = Training(dataclasses.replace(settings(), topdis=topdis), tiny)
    assert all(np.isfinite(value["topdis"]) for value in take(training, 2))


@pytest.mark.parametrize("topdis", TOPDIS)
def test_a_term_that_is_not_finite_stops_before_the_step_and_is_named(topdis, tiny):
    training = Training(settings(topdis=topdis), tiny)
    take(training, 1)
    with torch.no_grad():
        training.model.encoder[-2].bias[0] = float("nan")  # a mean
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    with pytest.raises(TopdisError, match="reconstruction is nan at step 1"):
        training.step()
    assert all(value.equal(before[name]) or value.isnan().any() for name, value in training.model.state_dict().items())
    assert training.step_index == 1


def test_the_gradient_is_clipped_to_the_chosen_norm_or_the_methods(tiny):
    for method, chosen, norm in (("beta-vae", 0.5, 0.5), ("dava", None, 1.0)):
        training = Training(settings(method, max_grad_norm=chosen), tiny)
        assert training.max_grad_norm == norm
    training = Training(settings(max_grad_norm=0.5), tiny)
    training.step()
    squares = sum(parameter.grad.square().sum() for parameter in training.model.parameters())
    assert squares.sqrt().item() == pytest.approx(0.5, rel=1e-3)


def test_bf16_networks_give_nearly_the_same_losses(tiny):
    exact, rounded = (take(Training(settings(precision=p), tiny), 1)[0] for p in ("float32", "bf16"))
    assert exact != rounded
    assert rounded["reconstruction"] == pytest.approx(exact["reconstruction"], rel=0.02)


def test_a_data_set_on_the_device_gives_the_same_batches(tiny):
    there, here = (take(Training(settings(), tiny, resident=resident), 2) for resident in (True, False))
    assert there == here


def test_a_checkpoint_of_another_version_is_refused(tiny):
    training = Training(settings(), tiny)
    with pytest.raises(CheckpointError, match="another version"):
        training.load_state({"step": 3})


def test_a_companion_without_topdis_sees_the_same_batches_and_noise(tiny):
    first, second = (take(Training(settings(topdis=t), tiny), 2)[0] for t in ("plain", "topdis"))
    assert first == second  # topdis sets in at the second step
    drawn = []
    for topdis in ("plain", "topdis"):
        training = Training(settings("factor-vae", topdis), tiny)
        take(training, 3)
        drawn.append(training.state()["random"]["host"])
    assert drawn[0] == drawn[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of itself
def test_compiled_networks_give_the_same_losses(tiny):
    plain, compiled = (take(Training(settings(topdis="topdis"), tiny, compiled=c), 3) for c in ("none", "default"))
    for expected, found in zip(plain, compiled, strict=True):
        assert found == pytest.approx(expected, rel=1e-3)
