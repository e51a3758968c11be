import dataclasses
import json
from typing import Any

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.evaluation.metrics import EvaluationSettings
from vae.method_options import (
    METHOD_OPTIONS,
    BetaTCVAEOptions,
    BetaVAEOptions,
    ControlVAEOptions,
    DAVAOptions,
    FactorVAEOptions,
    complete_options,
)
from vae.settings import TopDisSettings, TrainSettings
from vae.suite.engine import EngineSettings

REFUSED: list[tuple[type, str, Any, str]] = [
    (TopDisSettings, "weight", -1.0, "`topdis.weight` is -1.0"),
    (TopDisSettings, "delay", -1, "`topdis.delay` is -1"),
    (TopDisSettings, "loss", "hausdorff", "`topdis.loss` is 'hausdorff'"),
    (TopDisSettings, "p", 0.5, "`topdis.p` is 0.5"),
    (TopDisSettings, "shift", 1.0, "`topdis.shift` is 1.0"),
    (TopDisSettings, "shift", 0.0, "`topdis.shift` is 0.0"),
    (TopDisSettings, "codes", "both", "`topdis.codes` is 'both'"),
    (TopDisSettings, "choice", "first", "`topdis.choice` is 'first'"),
    (TopDisSettings, "batch", "third", "`topdis.batch` is 'third'"),
    (TopDisSettings, "points", 3, "`topdis.points` is 3"),
    (TopDisSettings, "orthogonalize", "kl", "`topdis.orthogonalize` is 'kl'"),
    (TopDisSettings, "features", "vgg", "`topdis.features` is 'vgg'"),
    (TrainSettings, "method", "infovae", "`method` is 'infovae', but must be one of vae, beta-vae"),
    (TrainSettings, "network", "resnet", "`network` is 'resnet', but must be one of narrow"),
    (TrainSettings, "initial_weights", "glorot", "`initial_weights` is 'glorot'"),
    (TrainSettings, "likelihood", "laplace", "`likelihood` is 'laplace'"),
    (TrainSettings, "precision", "int8", "`precision` is 'int8'"),
    (TrainSettings, "width", 0.0, "`width` is 0.0"),
    (TrainSettings, "learning_rate", -1e-4, "`learning_rate` is -0.0001"),
    (TrainSettings, "adam_betas", (0.9, 1.0), "`adam_betas` is 0.9,1.0"),
    (TrainSettings, "adam_betas", 5, "`adam_betas` is 5, but must be two numbers"),
    (TrainSettings, "options", 3, "`options` is 3, but must be a table of options"),
    (TrainSettings, "max_grad_norm", 0.0, "`max_grad_norm` is 0.0"),
    (TrainSettings, "num_latents", 0, "`num_latents` is 0"),
    (TrainSettings, "steps", -1, "`steps` is -1"),
    (TrainSettings, "batch_size", 3, "`batch_size` is 3"),
    (TrainSettings, "log_every", 0, "`log_every` is 0"),
    (TrainSettings, "seed", -1, "`seed` is -1"),
    *((BetaVAEOptions, "beta", beta, f"`beta` is {beta}") for beta in (-1.0, float("nan"), float("inf"))),
    (BetaTCVAEOptions, "estimator", "mis", "must be one of mss, mws, minibatch"),
    (FactorVAEOptions, "permute", "none", "must be one of second, same"),
    (ControlVAEOptions, "ki", 0.001, "`ki` is 0.001"),
    (DAVAOptions, "smoothing", 1.0, "`smoothing` is 1.0"),
    (EvaluationSettings, "metrics", ("mgi",), "`metrics` 'mgi'"),
    (EvaluationSettings, "max_images", 3, "`max_images` is 3"),
    (EvaluationSettings, "num_reconstructed", 0, "`num_reconstructed` is 0"),
    (EngineSettings, "engine", "slurm", "`engine` is 'slurm'"),
    (EngineSettings, "engine", "ray", "`engine` ray needs `address`"),
    (EngineSettings, "address", "here:1", "`engine` local takes no `address`"),
    (EngineSettings, "jobs", 0, "`jobs` is 0"),
    (EngineSettings, "threads", -1, "`threads` is -1"),
    (EngineSettings, "gpus_per_cell", 1.5, "`gpus_per_cell` is 1.5"),
]


@pytest.mark.parametrize(("kind", "name", "value", "message"), REFUSED)
def test_a_value_that_is_not_allowed_is_refused_by_name(kind, name, value, message):
    with pytest.raises(InvalidArgumentError) as caught:
        kind(**{name: value})
    assert message in str(caught.value)


def test_a_power_of_bars_is_refused_where_there_are_none():
    with pytest.raises(InvalidArgumentError, match=r"`topdis.p` is 2.0, but must be 1, its default, if .* is \"l2\""):
        TopDisSettings(loss="l2", p=2.0)


@pytest.mark.parametrize("topdis", [None, TopDisSettings(weight=6.0, delay=100)])
def test_settings_come_back_from_their_json(topdis):
    settings = TrainSettings(method="factor-vae", options={"gamma": 3.0}, topdis=topdis, adam_betas=[0.5, 0.9])
    assert TrainSettings.from_config(json.loads(json.dumps(settings.as_config()))) == settings


def test_options_that_were_not_given_are_written_down_too():
    assert TrainSettings(method="annealed-vae").options["capacity"] == 25.0


def test_options_are_completed_by_the_methods_defaults():
    assert complete_options("annealed-vae", {"capacity": 10.0}) == {
        "gamma": 1000.0,
        "capacity": 10.0,
        "capacity_steps": 100_000,
    }


@pytest.mark.parametrize(
    ("method", "option", "message"),
    [
        ("factor-vae", "gama", "did you mean 'gamma'?"),
        ("vae", "beta", "vae has no option `beta`; its options are none"),
    ],
)
def test_an_unknown_option_is_refused_with_the_nearest_one(method, option, message):
    with pytest.raises(InvalidArgumentError) as caught:
        complete_options(method, {option: 3.0})
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", METHOD_OPTIONS.values())
def test_every_option_is_documented(kind):
    for entry in dataclasses.fields(kind):
        assert "option" in entry.metadata or f"{entry.name}: " in kind.__doc__
