"""Autoencoders on the second device: every method with TopDis trains as on the CPU."""

import dataclasses
import json

import pytest
import torch
from click.testing import CliRunner

from ganspace_topdis.program import cli
from vae.data import open_data
from vae.method_options import METHOD_OPTIONS, complete_options
from vae.settings import ExecutionOptions, TopDisSettings, TrainSettings
from vae.training import load_trained, train
from vae.training.loop import Training

DATA = "dsprites:shape=2,scale=2,orientation=2,posX=4,posY=4"
SETTINGS = TrainSettings(
    data=DATA,
    network="fc",
    width=0.02,
    num_latents=3,
    steps=4,
    batch_size=8,
    log_every=1,
    topdis=TopDisSettings(weight=5.0),
)
SMALL = {"factor-vae": {"discriminator_width": 8}, "dava": {"discriminator_width": 1}}
RUN_ON = {
    "cpu": ExecutionOptions(device="cpu", checkpoint_every_s=0),
    "mimic": ExecutionOptions(device="mimic", checkpoint_every_s=0),
}


def metrics_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def same_metrics(here, there, rel=2e-3):
    for mine, theirs in zip(metrics_of(here), metrics_of(there), strict=True):
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            if not name.endswith("_s"):
                assert theirs[name] == pytest.approx(value, rel=rel, abs=2e-3), name


@pytest.mark.parametrize("method", METHOD_OPTIONS)
def test_every_method_trains_as_on_the_cpu(device, method, tmp_path):
    settings = dataclasses.replace(SETTINGS, method=method, options=complete_options(method, SMALL.get(method, {})))
    here, there = (train(settings, tmp_path / name, options=run_on) for name, run_on in RUN_ON.items())
    same_metrics(here, there)


@pytest.mark.parametrize("loss", ["rtd-released", "rtd-lite", "l2", "chamfer", "mmd"])
def test_every_divergence_trains_as_on_the_cpu(device, loss, tmp_path):
    topdis = TopDisSettings(weight=5.0, loss=loss, choice="weighted", features="pooled", orthogonalize="all")
    settings = dataclasses.replace(SETTINGS, topdis=topdis, steps=2)
    here, there = (train(settings, tmp_path / name, options=run_on) for name, run_on in RUN_ON.items())
    same_metrics(here, there)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_training_resumes_on_another_device(device, precision, tmp_path):
    settings = dataclasses.replace(SETTINGS, precision=precision)

    def stop_at_two(step, num_steps, **values):
        if step == 2:
            raise KeyboardInterrupt

    for first, second in (("cpu", "mimic"), ("mimic", "cpu")):
        run = tmp_path / first
        with pytest.raises(KeyboardInterrupt):
            train(settings, run, options=RUN_ON[first], progress=stop_at_two)
        with pytest.warns(UserWarning, match=f"the run was on {first}; on {second} its noise differs"):
            train(settings, run, options=RUN_ON[second])
        assert [line["step"] for line in metrics_of(run)] == [1, 2, 3, 4]
        assert load_trained(run, second).step == 4


def test_a_resumed_training_on_the_device_takes_the_same_steps(device, tmp_path):
    class StopError(Exception):
        pass

    def stop_at_two(step, num_steps, **values):
        if step == 2:
            raise StopError

    whole = train(SETTINGS, tmp_path / "whole", options=RUN_ON["mimic"])
    with pytest.raises(StopError):
        train(SETTINGS, tmp_path / "parts", options=RUN_ON["mimic"], progress=stop_at_two)
    parts = train(SETTINGS, tmp_path / "parts", options=RUN_ON["mimic"])
    weights, resumed = (load_trained(run).model.state_dict() for run in (whole, parts))
    assert all(torch.equal(resumed[name], value) for name, value in weights.items())


def test_a_resident_data_set_gives_the_same_batches(device, tmp_path):
    options = dataclasses.replace(RUN_ON["mimic"], resident=True)
    same_metrics(
        train(SETTINGS, tmp_path / "a", options=RUN_ON["mimic"]), train(SETTINGS, tmp_path / "b", options=options)
    )


def test_an_evaluation_has_the_scores_of_the_cpu(device, tmp_path):
    run = train(SETTINGS, tmp_path / "run", options=RUN_ON["cpu"])
    found = []
    for where in ("cpu", "mimic"):
        arguments = ["evaluate-vae", str(run), "--metrics", "mig,sap", "--device", where, "--json"]
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output
        found.append(json.loads(done.stdout)["scores"])
    assert found[1] == pytest.approx(found[0], abs=1e-3)


def test_a_training_does_not_reseed_the_stream_of_the_device(mimic):
    torch.manual_seed(4)
    expected = torch.randn(3, device="mimic").cpu()
    torch.manual_seed(4)
    Training(dataclasses.replace(SETTINGS, seed=4), open_data(DATA), device="mimic")
    assert torch.equal(torch.randn(3, device="mimic").cpu(), expected)
