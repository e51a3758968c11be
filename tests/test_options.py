import subprocess
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner

from ganspace_topdis.discovery.settings import DiscoverySettings
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.option_layers import add_layers, describe_settings, settings_of


@pytest.fixture
def command():
    @add_layers(presets={"quick": {"steps": 50, "shift": 0.9}, "slow": {"steps": 900}})
    @click.command()
    @click.argument("thing", required=False)
    @click.option("--steps", type=int, default=300)
    @click.option("--shift", type=float, default=0.25)
    @click.option("--batch-size", type=int, default=64)
    @click.option("--ckpt", "checkpoint")
    @click.option("--fast/--no-fast", default=False)
    @click.option("--layers", type=int, multiple=True)
    @click.pass_context
    def search(context, dry_run, **options):
        if dry_run:
            click.echo(describe_settings(context))
        context.obj = settings_of(context)

    return search


@pytest.fixture
def settings(command, monkeypatch, tmp_path):
    """Run the command with arguments, environment and a file; return {name: (value, source)}."""

    def run(*arguments, file=None, **environment):
        if file is not None:
            (tmp_path / "run.toml").write_text(file, encoding="utf-8")
            arguments = ("--config", str(tmp_path / "run.toml"), *arguments)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with command.make_context("search", list(arguments)) as context:
            command.invoke(context)
            return {setting.name: (setting.value, setting.source) for setting in context.obj}

    return run


def test_each_layer_beats_the_next(settings, tmp_path):
    file = str(tmp_path / "run.toml")
    assert settings()["steps"] == (300, "default")
    assert settings("--preset", "quick")["steps"] == (50, "preset quick")
    assert settings("--preset", "quick", file="steps = 60")["steps"] == (60, file)
    assert settings("--preset", "quick", file="steps = 60", TOPDIS_STEPS="70")["steps"] == (70, "TOPDIS_STEPS")
    assert settings("--preset", "quick", "--steps", "80", file="steps = 60")["steps"] == (80, "command line")


def test_layers_add_up_option_by_option(settings, tmp_path):
    got = settings("--preset", "quick", "thing", file="fast = true\nlayers = [1, 2]", TOPDIS_BATCH_SIZE="8")
    file = str(tmp_path / "run.toml")
    assert got == {
        "thing": ("thing", "command line"),
        "steps": (50, "preset quick"),
        "shift": (0.9, "preset quick"),
        "batch_size": (8, "TOPDIS_BATCH_SIZE"),
        "checkpoint": (None, "default"),
        "fast": (True, file),
        "layers": ((1, 2), file),
    }


def test_a_variable_may_spell_an_option_as_the_command_line_or_the_code_does(settings):
    assert settings(TOPDIS_CKPT="a.pkl")["checkpoint"] == ("a.pkl", "TOPDIS_CKPT")
    assert settings(TOPDIS_CHECKPOINT="a.pkl")["checkpoint"] == ("a.pkl", "TOPDIS_CHECKPOINT")


def test_a_file_may_spell_an_option_as_the_command_line_or_the_code_does(settings):
    for spelling in ("batch-size", "batch_size"):
        assert settings(file=f"{spelling} = 3")["batch_size"][0] == 3
    for spelling in ("ckpt", "checkpoint"):
        assert settings(file=f'{spelling} = "x.pkl"')["checkpoint"][0] == "x.pkl"


def test_a_file_may_name_a_preset(settings):
    assert settings(file='preset = "slow"')["steps"] == (900, "preset slow")
    assert settings("--preset", "quick", file='preset = "slow"')["steps"] == (50, "preset quick")


def test_file_and_preset_may_come_from_the_environment(settings, tmp_path):
    (tmp_path / "other.toml").write_text("shift = 0.5", encoding="utf-8")
    got = settings(TOPDIS_CONFIG=str(tmp_path / "other.toml"), TOPDIS_PRESET="quick")
    assert got["shift"] == (0.5, str(tmp_path / "other.toml"))
    assert got["steps"] == (50, "preset quick")


@pytest.mark.parametrize(
    ("key", "hint"),
    [("stepz", "did you mean 'steps'"), ("batchsize", "did you mean 'batch_size'"), ("dry-run", "--help lists")],
)
def test_an_unknown_key_is_refused_naming_a_near_one(settings, key, hint):
    with pytest.raises(InvalidArgumentError, match=f"unknown key '{key}'; {hint}"):
        settings(file=f"{key} = 1")


def test_a_table_of_options_is_refused_with_the_remedy(settings):
    with pytest.raises(InvalidArgumentError, match="unknown key 'traverse'; options are not in tables"):
        settings(file="[traverse]\nsteps = 1")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("steps = 2.7", "steps as '2.7'; give a whole number"),
        ("steps = true", "steps as 'True'; give a whole number"),
        ("shift = false", "shift as 'False'; give a finite number"),
        ("shift = inf", "shift as 'inf'; give a finite number"),
        ("fast = 3", "fast as '3'; give true or false"),
        ("fast = 1.0", "fast as '1.0'; give true or false"),
        ("ckpt = true", "checkpoint as 'True'; give a string"),
        ("ckpt = [1]", r"checkpoint as '\[1\]'; give a string"),
        ("layers = [1, 2.5]", r"layers as '\[1, 2.5\]'; give a whole number"),
        ("batch-size = 3\nbatch_size = 4", "gives batch_size twice, as 'batch_size' too"),
    ],
)
def test_a_value_of_another_kind_is_refused(settings, file, words):
    with pytest.raises(InvalidArgumentError, match=words):
        settings(file=file)


def test_numbers_are_taken_as_the_option_reads_them(settings):
    assert settings(file="steps = 2.0")["steps"][0] == 2
    assert settings(file="shift = 1")["shift"][0] == 1.0
    assert settings(file="fast = 1")["fast"][0] is True
    assert settings(file="ckpt = 5")["checkpoint"][0] == "5"
    assert settings(file="layers = 3")["layers"][0] == (3,)


def test_a_file_that_cannot_be_read_is_one_clear_error(settings, tmp_path):
    with pytest.raises(InvalidArgumentError, match="No such file"):
        settings("--config", str(tmp_path / "missing.toml"))
    with pytest.raises(InvalidArgumentError, match="not valid TOML"):
        settings(file="steps = = 3")


def test_a_wrong_value_says_where_it_came_from(settings):
    with pytest.raises(click.BadParameter, match="'many' is not a valid integer") as caught:
        settings(file='steps = "many"')
    assert "run.toml" in caught.value.format_message()
    with pytest.raises(click.BadParameter) as caught:
        settings(TOPDIS_SHIFT="far")
    assert caught.value.format_message().endswith("'far' is not a valid float (from TOPDIS_SHIFT).")


def test_an_unknown_preset_is_wrong_usage_naming_the_known(command):
    result = CliRunner().invoke(command, ["--preset", "fast"])
    assert result.exit_code == 2
    assert "quick" in result.output


def test_dry_run_prints_every_value_and_its_source(command):
    result = CliRunner().invoke(command, ["--dry-run", "--steps", "8", "--preset", "quick"])
    lines = [line.split() for line in result.output.splitlines()]
    assert ["steps", "8", "command", "line"] in lines
    assert ["shift", "0.9", "preset", "quick"] in lines
    assert ["checkpoint", "not", "set", "default"] in lines


WITHOUT_TORCH = """
import sys
from ganspace_topdis import option_layers, options
from ganspace_topdis.runs import downloads, progress, transfer
assert not {"torch", "numpy", "requests", "rich"} & sys.modules.keys()
"""


def test_what_every_command_needs_is_imported_without_heavy_packages():
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH], check=True)


def test_without_presets_there_is_no_such_option():
    @add_layers()
    @click.command()
    def search(dry_run):
        pass

    assert CliRunner().invoke(search, ["--preset", "x"]).exit_code == 2
    assert CliRunner().invoke(search, []).exit_code == 0


def test_an_unknown_setting_is_refused_with_the_nearest():
    with pytest.raises(InvalidArgumentError, match=r"has no setting 'stepz'.*did you mean 'steps'") as caught:
        DiscoverySettings(stepz=3)
    assert caught.value.field == "stepz"


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("steps", 3.0, "an integer of at least 0"),
        ("steps", True, "an integer of at least 0"),
        ("shift", "far", "a finite number greater than 0"),
        ("shift", float("nan"), "a finite number greater than 0"),
        ("learning_rate", float("inf"), "a finite number greater than 0"),
        ("per_effect", 1, "true or false"),
        (
            "method",
            "topdiss",
            "one of topdis, hessian, contrastive, reconstructor, overlap, sparsity; did you mean 'topdis'?",
        ),
        ("batch_size", None, "an integer of at least 4"),
    ],
)
def test_a_value_of_another_type_or_range_is_refused_by_its_field(name, value, what):
    with pytest.raises(InvalidArgumentError) as caught:
        DiscoverySettings(**{name: value})
    assert str(caught.value) == f"`{name}` is {value!r}, but must be {what}"
    assert caught.value.field == name


def test_numbers_of_numpy_are_numbers():
    assert DiscoverySettings(steps=np.int64(3), shift=np.float32(0.5)).steps == 3
