"""Training step by step: terms, reproducibility, resumption, random streams, and every method learning."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError, TopdisError
from ganspace_topdis.runs.checkpoints import CheckpointStore
from ganspace_topdis.runs.checksummed import flatten, unflatten
from ganspace_topdis.runs.records import read_metrics
from vae.data import open_data
from vae.evaluation.metrics import EvaluationSettings
from vae.evaluation.run import evaluate
from vae.methods import METHODS
from vae.settings import TopDisSettings, TrainSettings
from vae.topdis import TopDisTerm
from vae.training import Training, load_trained, train
from vae.training.sampling import Batches, RandomStreams


def test_batches_are_the_data_sets_own_draws_between_zero_and_one(tiny):
    batch = Batches(tiny, 16, torch.device("cpu")).draw(np.random.default_rng(3))
    expected = tiny.images(tiny.sample(16, np.random.default_rng(3)))
    assert batch.shape == (16, 1, 16, 16)
    assert np.array_equal(batch.permute(0, 2, 3, 1).numpy(), expected / np.float32(255))
    assert set(batch.unique().tolist()) == {0.0, 1.0}


def test_a_resident_data_set_gives_the_same_batches(tiny):
    there, here = (
        Batches(tiny, 16, torch.device("cpu"), resident=r).draw(np.random.default_rng(3)) for r in (True, False)
    )
    assert torch.equal(there, here)


CPU = torch.device("cpu")


def draws(random):
    return random.host.random(3).tolist() + torch.rand(3, generator=random.device).tolist()


def test_seed_and_stream_name_the_draws():
    assert draws(RandomStreams(0, 0, CPU)) == draws(RandomStreams(0, 0, CPU))
    others = [draws(RandomStreams(seed, stream, CPU)) for seed, stream in ((0, 0), (0, 1), (1, 0))]
    assert len(np.unique(others)) == 18


def test_a_restored_state_draws_what_would_have_come_next():
    first, second = RandomStreams(3, 0, CPU), RandomStreams(4, 1, CPU)
    draws(first)
    second.load_state(first.state())
    assert draws(second) == draws(first)


def test_noise_is_drawn_anew_on_another_kind_of_device():
    random = RandomStreams(0, 0, CPU)
    state = {**random.state(), "kind": "cuda"}
    with pytest.warns(UserWarning, match="the run was on cuda; on cpu its noise differs"):
        random.load_state(state)


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


@pytest.mark.parametrize("change", [{}, {"version": "released"}, {"loss": "rtd-lite"}])
def test_images_that_collapsed_onto_each_other_stop_with_the_step_and_advice(change, tiny):
    chosen = dataclasses.replace(settings(), topdis=TopDisSettings(**change))
    training = Training(chosen, tiny, features=lambda logits: logits.sigmoid() * 1e-38)
    with pytest.raises(
        TopdisError, match=r"topdis has no value \(x holds .*too close.*\) at step 0; lower the"
    ) as error:
        training.step()
    assert error.value.exit_code == 1


def test_features_of_a_wrong_shape_are_not_blamed_on_the_weight(tiny):
    training = Training(dataclasses.replace(settings(), topdis=TopDisSettings()), tiny, features=lambda x: x[:, :0])
    with pytest.raises(InvalidArgumentError, match=r"points need at least one coordinate$"):
        training.step()


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


@pytest.mark.parametrize("method", ["factor-vae", "dava"])
def test_a_discriminator_that_is_not_finite_stops_at_its_own_step(method, tiny, monkeypatch):
    training = Training(settings(method), tiny)
    take(training, 1)
    own = training.method.after_step
    monkeypatch.setattr(training.method, "after_step", lambda context: own(context) | {"discriminator_loss": math.nan})
    with pytest.raises(TopdisError, match="discriminator_loss is nan at step 1"):
        training.step()
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


def test_the_released_topdis_draws_noise_of_its_own_for_the_same_images(tiny, monkeypatch):
    seen, whole = [], TopDisTerm.__call__

    def recorded(self, model, posterior, choice, *, decoded=None):
        seen.append((posterior, decoded))
        return whole(self, model, posterior, choice, decoded=decoded)

    monkeypatch.setattr(TopDisTerm, "__call__", recorded)
    trainings = [
        Training(TrainSettings(batch_size=16, network="fc", width=0.05, topdis=topdis), tiny)
        for topdis in (TopDisSettings(batch="same"), TopDisSettings(version="released"))
    ]
    shared, released = (take(training, 1)[0] for training in trainings)
    assert shared["reconstruction"] == released["reconstruction"]
    (first, decoded), (second, none) = seen
    assert (decoded is None, none is None) == (False, True)
    assert torch.equal(first.mean, second.mean)
    assert not torch.equal(first.sample, second.sample)
    noise = (second.sample - second.mean) / (0.5 * second.logvar).exp()
    assert abs(noise.mean()) < 0.5
    assert 0.7 < noise.std() < 1.3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of itself
def test_compiled_networks_give_the_same_losses(tiny):
    plain, compiled = (take(Training(settings(topdis="topdis"), tiny, compiled=c), 3) for c in ("none", "default"))
    for expected, found in zip(plain, compiled, strict=True):
        assert found == pytest.approx(expected, rel=1e-3)


SMALL_METHODS = {"factor-vae": {"discriminator_width": 32}, "dava": {"discriminator_width": 2}}
LEARNING_CASES = list(itertools.product(METHODS, (None, TopDisSettings())))
TINY = {"network": "fc", "width": 0.03, "batch_size": 12}
REAL = {"network": "narrow", "width": 0.5, "batch_size": 32}


@pytest.fixture(scope="module")
def sprites():
    return open_data("dsprites")


@pytest.mark.parametrize(("method", "topdis"), LEARNING_CASES)
def test_every_method_learns_drawn_sprites_in_200_steps(method, topdis, sprites, tmp_path):
    train_and_evaluate(method, topdis, sprites, tmp_path / "run", TINY)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "topdis"), LEARNING_CASES)
def test_every_method_learns_drawn_sprites_with_convolutions(method, topdis, sprites, tmp_path):
    train_and_evaluate(method, topdis, sprites, tmp_path / "run", REAL)


def train_and_evaluate(method, topdis, sprites, folder, sizes):
    settings = TrainSettings(
        method=method,
        options=SMALL_METHODS.get(method, {}),
        topdis=topdis,
        learning_rate=2e-3,
        steps=200,
        log_every=40,
        **sizes,
    )
    run = train(settings, folder, data=sprites)
    lines = read_metrics(run / "metrics.jsonl")
    assert [line["step"] for line in lines] == [40, 80, 120, 160, 200]
    assert ("topdis" in lines[0]) == (topdis is not None)
    assert lines[-1]["reconstruction"] < 0.6 * lines[0]["reconstruction"]

    assert load_trained(run).step == 200
    measured = EvaluationSettings(metrics=("mig",), max_images=500, num_reconstructed=50)
    evaluation = evaluate(run, measured, pictures=False)
    assert 0 <= evaluation["scores"]["mig"] < 1
    assert len(evaluation["latents"]) == 10


def test_a_partial_ramp_starts_with_the_constant_part_at_full_weight(tiny):
    chosen = settings("factor-vae", "plain", ramp_steps=10)
    chosen = dataclasses.replace(chosen, options={**chosen.options, "gamma": 7.0, "ramp": "tc"})
    values = Training(chosen, tiny).step()
    expected = values["reconstruction"] + values["kl"] + 0.1 * 7.0 * values["tc"]
    assert values["loss"] == pytest.approx(expected, rel=1e-5)
