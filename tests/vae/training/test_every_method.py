"""Every method, with and without TopDis, trained for 200 steps in a run folder and evaluated by its codes."""

import itertools

import pytest
import torch

from ganspace_topdis.runs.metrics_log import read_metrics
from vae.data import open_data
from vae.objectives.methods import METHODS
from vae.topdis import TopDisSettings
from vae.training import TrainSettings, load_trained, train

SMALL = {"factor-vae": {"discriminator_width": 32}, "dava": {"discriminator_width": 2}}


@pytest.fixture(scope="module")
def sprites():
    return open_data("dsprites")


@pytest.mark.parametrize(("method", "topdis"), list(itertools.product(METHODS, (None, TopDisSettings()))))
def test_every_method_learns_drawn_sprites_in_200_steps(method, topdis, sprites, tmp_path):
    settings = TrainSettings(
        method=method,
        options=SMALL.get(method, {}),
        topdis=topdis,
        network="fc",
        width=0.05,
        batch_size=16,
        learning_rate=2e-3,
        steps=200,
        log_every=40,
    )
    run = train(settings, tmp_path / "run", data=sprites)
    lines = read_metrics(run / "metrics.jsonl")
    assert [line["step"] for line in lines] == [40, 80, 120, 160, 200]
    assert ("topdis" in lines[0]) == (topdis is not None)
    assert lines[-1]["reconstruction"] < 0.6 * lines[0]["reconstruction"]

    trained = load_trained(run)
    assert trained.step == 200
    images = torch.from_numpy(sprites.images(range(50_000, 50_064))).permute(0, 3, 1, 2) / 255
    means, _ = trained.model.encode(images)
    assert means.shape == (64, 10)
    assert torch.isfinite(means).all()
