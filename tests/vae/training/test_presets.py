import pytest

from vae.cli import COMMANDS
from vae.data import names
from vae.training.command import settings_from_options
from vae.training.presets import PRESETS

TRAIN = next(command for command in COMMANDS if command.name == "train-vae")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_training_that_can_be_set_up(name):
    known = {parameter.name for parameter in TRAIN.params}
    assert PRESETS[name].keys() <= known
    settings = settings_from_options(PRESETS[name])
    assert settings.method == PRESETS[name]["method"]
    assert settings.data in names()


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("-without")])
def test_a_companion_differs_by_topdis_alone(name):
    differing = PRESETS[name].items() ^ PRESETS[name.removesuffix("-without")].items()
    assert {key for key, _ in differing} == {"topdis", "topdis_delay"}
