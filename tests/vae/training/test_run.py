"""A training in its run folder, in one process and in several."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError, RunFolderError, TopdisError
from ganspace_topdis.metrics import mig
from ganspace_topdis.runs.checkpoints import CheckpointStore
from ganspace_topdis.runs.folder import RunFolder
from ganspace_topdis.runs.progress import StopRequestedError
from ganspace_topdis.runs.records import read_metrics
from vae.encoding import encode, uniform_indices
from vae.settings import ExecutionOptions, TrainSettings
from vae.training import Training, load_trained, train

ROOT = Path(__file__).parents[3]
SETTINGS = TrainSettings(network="narrow", width=0.2, batch_size=8, num_latents=3, steps=10, log_every=4)
KILLED = (
    "--data dsprites --method factor-vae --topdis 5 --network fc --width 0.02 --discriminator-width 8 --batch-size 8 "
    "--steps 60 --log-every 10"
)
EVERY_STEP = ExecutionOptions(checkpoint_every_s=0)


def weights(run):
    return load_trained(run).model.state_dict()


@pytest.mark.parametrize("surroundings", [torch.no_grad, torch.inference_mode, lambda: torch.device("meta")])
def test_what_the_caller_has_set_does_not_matter(tiny, tmp_path, surroundings):
    expected = weights(train(SETTINGS, tmp_path / "plain", data=tiny))
    before = torch.get_rng_state()
    with surroundings():
        found = weights(train(SETTINGS, tmp_path / "run", data=tiny))
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert torch.equal(before, torch.get_rng_state())


def test_a_default_of_double_precision_and_numbers_of_numpy_change_nothing(tiny, tmp_path):
    expected = weights(train(SETTINGS, tmp_path / "plain", data=tiny))
    torch.set_default_dtype(torch.float64)
    try:
        settings = replace(SETTINGS, seed=np.int64(0), steps=np.int32(10), options={"beta": np.float32(4)})
        found = weights(train(settings, tmp_path / "run", data=tiny))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert settings == SETTINGS


def test_a_training_stopped_by_a_signal_is_finished_by_the_same_call_bit_for_bit(tiny, tmp_path):
    whole = train(SETTINGS, tmp_path / "whole", data=tiny)

    def interrupt_at_five(step, num_steps, **values):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StopRequestedError, match="saved after step 5 of 10"):
        train(SETTINGS, tmp_path / "parts", data=tiny, progress=interrupt_at_five)
    assert load_trained(tmp_path / "parts").step == 5
    parts = train(SETTINGS, tmp_path / "parts", data=tiny)
    assert (parts / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(parts).items())


def test_a_killed_training_goes_on_from_its_last_checkpoint_bit_for_bit(tmp_path):
    command = [sys.executable, str(ROOT / "cli.py"), "train-vae", *KILLED.split(), "--device", "cpu", "--out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [*command, str(killed), "--checkpoint-every-s", "0"], env=environment, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not CheckpointStore(killed / "checkpoints").steps() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert 0 < load_trained(killed).step < 60
    for folder in (killed, tmp_path / "whole"):
        subprocess.run([*command, str(folder)], env=environment, check=True, capture_output=True, timeout=120)
    assert (killed / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert all(torch.equal(value, weights(tmp_path / "whole")[name]) for name, value in weights(killed).items())


def test_a_finished_training_is_left_as_it_is(tiny, tmp_path):
    run = train(SETTINGS, tmp_path / "run", data=tiny)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    train(SETTINGS, run, data=tiny)
    assert before == {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file() and p.name != ".lock"}


def test_another_configuration_is_refused_by_what_differs(tiny, tmp_path):
    run = train(SETTINGS, tmp_path / "run", data=tiny)
    other = TrainSettings(**{**vars(SETTINGS), "options": {"beta": 5.0}})
    with pytest.raises(RunFolderError, match=r"options.beta was 4.0, is now 5.0"):
        train(other, run, data=tiny)


def test_lines_are_means_over_the_steps_between_them(tiny, tmp_path):
    seen = []
    run = train(SETTINGS, tmp_path / "run", data=tiny, progress=lambda step, num_steps, **values: seen.append(values))
    lines = read_metrics(run / "metrics.jsonl")
    assert [line["step"] for line in lines] == [4, 8, 10]
    assert lines[1]["kl"] == pytest.approx(sum(values["kl"] for values in seen[4:8]) / 4)


@pytest.mark.parametrize("method", ["beta-vae", "dava"])
def test_mig_is_logged_on_the_way_and_changes_nothing(tiny, tmp_path, method):
    settings = TrainSettings(**{**vars(SETTINGS), "method": method, "options": {}})
    plain = train(settings, tmp_path / "plain", data=tiny)
    run = train(settings, tmp_path / "scored", data=tiny, options=ExecutionOptions(score_every=6))
    lines = {line["step"]: line for line in read_metrics(run / "metrics.jsonl")}
    assert {step: "mig" in line for step, line in lines.items()} == {4: False, 6: True, 8: False, 10: True}
    indices = uniform_indices(tiny, 10_000, np.random.default_rng(0))
    assert lines[10]["mig"] == mig(encode(load_trained(run).model, tiny, indices)[0], tiny.codes(indices))
    assert [{k: v for k, v in line.items() if k != "mig"} for line in lines.values() if len(line) > 2] == read_metrics(
        plain / "metrics.jsonl"
    )
    assert all(torch.equal(value, weights(plain)[name]) for name, value in weights(run).items())


def test_mig_of_images_without_factors_is_refused_at_once(tiny, tmp_path):
    unlabeled = copy.copy(tiny)
    unlabeled.factors = ()
    with pytest.raises(InvalidArgumentError, match="tiny-sprites has none; leave it out"):
        train(SETTINGS, tmp_path / "run", data=unlabeled, options=ExecutionOptions(score_every=5))
    assert not (tmp_path / "run").exists()


def test_a_training_that_fails_says_so_in_its_folder_and_keeps_its_checkpoints(tiny, tmp_path):
    settings = TrainSettings(**{**vars(SETTINGS), "learning_rate": 1e18})
    with pytest.raises(TopdisError, match=r"is (nan|inf|not finite)"):
        train(settings, tmp_path / "run", data=tiny, options=EVERY_STEP)
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"
    assert load_trained(tmp_path / "run").step >= 1


@pytest.mark.parametrize("method", ["factor-vae", "dava"])
def test_no_checkpoint_holds_a_network_that_is_not_finite(tiny, tmp_path, monkeypatch, method):
    settings = TrainSettings(**{**vars(SETTINGS), "method": method, "options": {}})
    step = Training.step

    def broken(training):
        values = step(training)
        if training.step_index == 4:
            next(training.method.discriminator.parameters()).data[0] = torch.inf
        return values

    monkeypatch.setattr(Training, "step", broken)
    with pytest.raises(TopdisError, match="the discriminator is not finite after step 4; lower its"):
        train(settings, tmp_path / "run", data=tiny, options=EVERY_STEP)
    assert load_trained(tmp_path / "run").step == 3


def test_features_of_ones_own_belong_to_the_configuration(tiny, tmp_path):
    run = train(SETTINGS, tmp_path / "run", data=tiny, features=torch.tanh)
    assert json.loads((run / "config.json").read_text())["config"]["features"].endswith("tanh")


def test_tensorboard_is_asked_for_by_name_where_it_is_missing(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"topdis-gan\[tensorboard\]"):
        train(SETTINGS, tmp_path / "run", data=tiny, options=ExecutionOptions(tensorboard=True))


def test_the_log_goes_to_tensorboard_too(tiny, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    run = train(SETTINGS, tmp_path / "run", data=tiny, options=ExecutionOptions(tensorboard=True))
    assert list((run / "tensorboard").iterdir())


LOCATELLO = TrainSettings(network="locatello", width=0.1, batch_size=8, num_latents=3, steps=2)


def test_the_model_comes_back_ready_for_evaluation(tiny, tmp_path):
    trained = load_trained(train(LOCATELLO, tmp_path / "run", data=tiny))
    assert trained.settings == LOCATELLO
    assert trained.step == 2
    assert not trained.model.training
    assert not any(parameter.requires_grad for parameter in trained.model.parameters())
    assert trained.model(torch.rand(2, 1, 16, 16)).shape == (2, 1, 16, 16)


def test_a_run_of_another_command_is_refused(tmp_path):
    with RunFolder.open(tmp_path / "run", {}, command="discover"):
        pass
    with pytest.raises(RunFolderError, match="a run of `discover`"):
        load_trained(tmp_path / "run")


def test_a_run_without_a_checkpoint_is_refused(tmp_path):
    with RunFolder.open(tmp_path / "run", LOCATELLO.as_config(), command="train-vae"):
        pass
    with pytest.raises(RunFolderError, match="no checkpoint yet"):
        load_trained(tmp_path / "run")


def test_a_configuration_that_is_not_ours_is_refused(tmp_path):
    with RunFolder.open(tmp_path / "run", {**LOCATELLO.as_config(), "method": "nvae"}, command="train-vae"):
        pass
    with pytest.raises(RunFolderError, match="nvae"):
        load_trained(tmp_path / "run")


ROOT = Path(__file__).parents[3]
COMMAND = "train-vae --data dsprites --steps 6 --log-every 1 --batch-size 11 --network narrow --width 0.125 --seed 3"
DISTRIBUTED_METHODS = {
    "factor-vae": "--method factor-vae --discriminator-width 16 --topdis 5",
    "dava": "--method dava --discriminator-width 4 --gamma 1 --topdis 5 --topdis-orthogonalize all",
}


def launch(folder, method, num_processes):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    command = [sys.executable, *(launcher if num_processes > 1 else []), str(ROOT / "cli.py")]
    command += [*COMMAND.split(), *DISTRIBUTED_METHODS[method].split(), "--score-every", "6", "--device", "cpu"]
    command += ["--out", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["factor-vae", pytest.param("dava", marks=pytest.mark.slow)])
def test_two_processes_train_what_one_trains(tmp_path, method):
    one, two = tmp_path / "one", tmp_path / "two"
    launch(one, method, 1)
    finished = launch(two, method, 2)
    assert finished.stdout.splitlines() == [str(two)]
    for alone, together in zip(lines(one), lines(two), strict=True):
        assert ("mig" in alone) == ("mig" in together) == (alone["step"] == 6)
        assert together.pop("mig", 0) == pytest.approx(alone.pop("mig", 0), abs=0.005)  # bins round
        rel = 1e-6 if alone["step"] == 1 else 2e-4  # Adam's first steps amplify the rounding of small gradients
        assert together == pytest.approx(alone, rel=rel, abs=1e-5)
    weights = load_trained(two).model.state_dict()
    for name, weight in load_trained(one).model.state_dict().items():
        apart = (weights[name] - weight).abs()
        assert apart.max() <= 6 * 1.01e-4, name  # of a gradient that is only rounding, Adam makes steps of the rate
        assert (apart > 1e-5).float().mean() <= 0.005, name
