import json

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from vae.topdis import TopDisSettings
from vae.training import TrainSettings


@pytest.mark.parametrize("topdis", [None, TopDisSettings(weight=6.0, delay=100)])
def test_settings_come_back_from_their_json(topdis):
    settings = TrainSettings(method="factor-vae", options={"gamma": 3.0}, topdis=topdis, adam_betas=[0.5, 0.9])
    assert TrainSettings.from_config(json.loads(json.dumps(settings.as_config()))) == settings


def test_options_that_were_not_given_are_written_down_too():
    assert TrainSettings(method="annealed-vae").options["capacity"] == 25.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("network", "resnet"),
        ("initial_weights", "glorot"),
        ("likelihood", "laplace"),
        ("precision", "int8"),
        ("width", 0.0),
        ("learning_rate", -1e-4),
        ("adam_betas", (0.9, 1.0)),
        ("max_grad_norm", 0.0),
        ("num_latents", 0),
        ("steps", -1),
        ("batch_size", 3),
        ("log_every", 0),
        ("seed", -1),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(name, value):
    with pytest.raises(InvalidArgumentError, match=name):
        TrainSettings(**{name: value})
