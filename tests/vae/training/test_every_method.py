"""Every method, with and without TopDis, trained for 200 steps on drawn sprites and evaluated."""

import itertools

import pytest

from ganspace_topdis.runs.records import read_metrics
from vae.data import open_data
from vae.evaluation.metrics import EvaluationSettings
from vae.evaluation.run import evaluate
from vae.methods import METHODS
from vae.settings import TopDisSettings, TrainSettings
from vae.training import load_trained, train

SMALL = {"factor-vae": {"discriminator_width": 32}, "dava": {"discriminator_width": 2}}
CASES = list(itertools.product(METHODS, (None, TopDisSettings())))
TINY = {"network": "fc", "width": 0.03, "batch_size": 12}
REAL = {"network": "narrow", "width": 0.5, "batch_size": 32}


@pytest.fixture(scope="module")
def sprites():
    return open_data("dsprites")


@pytest.mark.parametrize(("method", "topdis"), CASES)
def test_every_method_learns_drawn_sprites_in_200_steps(method, topdis, sprites, tmp_path):
    train_and_evaluate(method, topdis, sprites, tmp_path / "run", TINY)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "topdis"), CASES)
def test_every_method_learns_drawn_sprites_with_convolutions(method, topdis, sprites, tmp_path):
    train_and_evaluate(method, topdis, sprites, tmp_path / "run", REAL)


def train_and_evaluate(method, topdis, sprites, folder, sizes):
    settings = TrainSettings(
        method=method,
        options=SMALL.get(method, {}),
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
