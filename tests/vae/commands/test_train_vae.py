import dataclasses

import pytest
from click.testing import CliRunner

from ganspace_topdis.errors import InvalidArgumentError
from vae.cli import COMMANDS
from vae.commands.train_vae import settings_from_options
from vae.data import names
from vae.methods import METHODS
from vae.networks import NETWORKS
from vae.presets import PRESETS
from vae.settings import METHOD_OPTIONS, TopDisSettings, TrainSettings

TRAIN = next(command for command in COMMANDS if command.name == "train-vae")
CHOICES = {parameter.name: parameter.type for parameter in TRAIN.params}


def defaults():
    return {option.name: option.default for option in TRAIN.params if isinstance(option.default, str | int | float)}


def test_the_command_line_offers_every_method_network_and_option():
    assert list(CHOICES["method"].choices) == list(METHODS)
    assert list(CHOICES["network"].choices) == list(NETWORKS)
    options = {field.name for kind in METHOD_OPTIONS.values() for field in dataclasses.fields(kind)}
    assert options - {"discriminator_betas"} <= CHOICES.keys()
    assert {f.name for f in dataclasses.fields(TrainSettings)} - {"options", "adam_betas"} <= CHOICES.keys()


def test_the_defaults_of_the_command_line_are_those_of_the_settings():
    plain = TrainSettings()
    for field in dataclasses.fields(TrainSettings):
        if field.name in defaults():
            assert defaults()[field.name] == getattr(plain, field.name), field.name


def test_options_of_the_method_and_of_topdis_reach_the_settings():
    settings = settings_from_options(
        {"method": "factor-vae", "gamma": 3.0, "beta": None, "topdis": 6.0, "topdis_delay": 10, "shift": 0.25}
    )
    assert settings.options["gamma"] == 3.0
    assert settings.topdis == TopDisSettings(weight=6.0, delay=10, shift=0.25)


def test_an_option_of_another_method_is_refused_with_its_owners():
    with pytest.raises(InvalidArgumentError, match="--kp is an option of control-vae, not of beta-vae"):
        settings_from_options({"method": "beta-vae", "kp": 1.0})


def test_an_option_of_topdis_without_topdis_is_refused():
    with pytest.raises(InvalidArgumentError, match="--topdis-delay needs --topdis GAMMA"):
        settings_from_options({"method": "vae", "topdis_delay": 5})


def test_a_dry_run_says_where_each_value_comes_from(tmp_path):
    result = CliRunner().invoke(TRAIN, ["--preset", "topdis-factor-vae", "--steps", "7", "--dry-run"])
    assert result.exit_code == 0
    rows = {line.split()[0]: line for line in result.output.splitlines()[1:]}
    assert rows["steps"].endswith("command line")
    assert rows["gamma"].endswith("preset topdis-factor-vae")
    assert rows["seed"].endswith("default")


def test_the_run_folder_is_what_the_command_prints(tmp_path):
    out = tmp_path / "run"
    options = ["--network", "fc", "--width", "0.01", "--steps", "2", "--batch-size", "4", "--device", "cpu"]
    result = CliRunner().invoke(TRAIN, [*options, "--out", str(out)])
    assert result.stdout.strip() == str(out)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_training_that_can_be_set_up(name):
    known = {parameter.name for parameter in TRAIN.params}
    assert PRESETS[name].keys() <= known
    settings = settings_from_options(PRESETS[name])
    assert settings.method == PRESETS[name]["method"]
    assert settings.data in names()


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("-without")])
def test_a_baseline_differs_by_topdis_alone(name):
    differing = PRESETS[name].items() ^ PRESETS[name.removesuffix("-without")].items()
    assert {key for key, _ in differing} - {"topdis_version", "topdis_loss"} == {"topdis", "topdis_delay"}
