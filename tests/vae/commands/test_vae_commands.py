"""train-vae, evaluate-vae, suite and report: from options to settings, and to what is printed."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.option_leaves import build_options, leaves
from ganspace_topdis.program import cli
from tests.vae.suite.test_folder import finish, grid
from vae.commands import evaluate_vae, report, suite, train_vae
from vae.data import names
from vae.methods import METHODS
from vae.networks import NETWORKS
from vae.presets import PRESETS
from vae.settings import ExecutionOptions, TopDisSettings, TrainSettings
from vae.suite.folder import SuiteFolder
from vae.training.run import train

DATA = "dsprites:shape=2,scale=2,orientation=2,posX=4,posY=4"
LEAVES = {leaf.name: leaf for leaf in leaves(train_vae.Options)}
TINY = f"""
name = "tiny"
seeds = [0]
metrics = ["mig"]
[base]
data = "{DATA}"
network = "fc"
width = 0.02
steps = 4
batch_size = 8
[axes.method.VAE]
method = "vae"
"""


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def training(**given: object) -> TrainSettings:
    """The settings of train-vae with options that were given by their names."""
    values = {leaf.path: given.get(name, leaf.default) for name, leaf in LEAVES.items()}
    assert given.keys() <= LEAVES.keys()
    settings: TrainSettings = build_options(train_vae.Options, values).training
    return settings


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = TrainSettings(data=DATA, network="fc", width=0.02, steps=6, batch_size=8, log_every=2)
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(settings, out, options=ExecutionOptions(device="cpu"))


@pytest.fixture
def folder(tmp_path: Path) -> SuiteFolder:
    made = SuiteFolder.make(tmp_path / "out", grid())
    for cell in made.grid.cells[:3]:
        finish(made, cell, mig=0.1 * cell.seed)
    return made


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def test_the_command_line_offers_every_method_and_network() -> None:
    assert list(LEAVES["method"].choices) == list(METHODS)
    assert list(LEAVES["network"].choices) == list(NETWORKS)


def test_without_options_the_settings_are_those_of_python() -> None:
    assert training() == TrainSettings()


def test_options_of_the_method_and_of_topdis_reach_the_settings() -> None:
    settings = training(method="factor-vae", gamma=3.0, topdis=6.0, topdis_delay=10, topdis_shift=0.25)
    assert settings.options["gamma"] == 3.0
    assert settings.topdis == TopDisSettings(weight=6.0, delay=10, shift=0.25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "beta-vae", "--kp", "1"], "beta-vae has no option --kp; its options are beta; it is one of cont"),
        (["--method", "vae", "--topdis-delay", "5"], "--topdis-delay needs --topdis; add it, or leave --topdis-delay"),
        (["--topdis", "5", "--topdis-p", "0.5"], "--topdis-p is 0.5, but must be a finite number of at least 1"),
        (["--topdis", "-1"], "--topdis is -1.0, but must be"),
        (["--topdis", "5", "--topdis-loss", "l2", "--topdis-p", "2"], "--topdis-p is not used by --topdis-loss l2"),
        (["--topdis", "5", "--topdis-as", "released", "--topdis-batch", "same"], "--topdis-batch is not used by"),
    ],
)
def test_an_option_that_is_not_used_or_not_allowed_is_refused_as_typed(arguments: list[str], message: str) -> None:
    result = invoke("train-vae", *arguments)
    assert isinstance(result.exception, InvalidArgumentError)
    assert message in str(result.exception)


def test_a_dry_run_lists_the_source_of_each_value_and_times_the_steps() -> None:
    small = ["--data", DATA, "--network", "fc", "--width", "0.02", "--topdis-delay", "3", "--device", "cpu"]
    small += ["--discriminator-width", "8"]
    result = invoke("train-vae", "--preset", "topdis-factor-vae", "--steps", 7, *small, "--dry-run")
    assert result.exit_code == 0
    assert re.search(
        r"plan, .*\ntraining    about \d+ s +3 steps .*\nwith TopDis about \d+ s +4 steps .* each", result.output
    )
    rows = {line.split()[0]: line for line in result.output.splitlines()[1:]}
    assert rows["steps"].endswith("command line")
    assert rows["gamma"].endswith("preset topdis-factor-vae")
    assert rows["seed"].endswith("default")


def test_the_run_folder_is_what_the_command_prints(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--network", "fc", "--width", "0.01", "--steps", "2", "--batch-size", "4", "--device", "cpu"]
    assert invoke("train-vae", *options, "--out", out).stdout.strip() == str(out)


def test_the_folder_of_data_files_is_not_the_name_of_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOPDIS_DATA", str(tmp_path))
    result = invoke("train-vae", "--network", "fc", "--width", "0.02", "--batch-size", "8", "--dry-run")
    assert result.exit_code == 0, result.output
    assert ["data", "dsprites", "default"] in [line.split() for line in result.stdout.splitlines()]


def test_a_dry_run_lists_what_is_dropped_as_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPDIS_TOPDIS_P", "2")
    small = ("--network", "fc", "--width", "0.02", "--batch-size", "8", "--topdis", "5", "--dry-run")
    for loss, expected in (("rtd", ["2.0", "TOPDIS_TOPDIS_P"]), ("l2", ["not", "set", "default"])):
        result = invoke("train-vae", *small, "--topdis-loss", loss)
        assert ["topdis_p", *expected] in [line.split() for line in result.stdout.splitlines()]


def test_a_dry_run_says_why_nothing_was_timed(tmp_path: Path) -> None:
    result = invoke("train-vae", "--data", "3dshapes", "--data-root", tmp_path, "--dry-run")
    assert result.exit_code == 0
    assert "plan: not timed (" in result.output


def test_a_long_training_prints_its_plan_first_and_is_the_same_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--data", DATA, "--network", "fc", "--width", "0.01", "--steps", "2", "--batch-size", "4"]
    options += ["--device", "cpu", "--log-every", "1", "--topdis", "2"]
    short = invoke("train-vae", *options, "--out", tmp_path / "a")
    monkeypatch.setattr(train_vae, "_MANY_STEPS", 2)
    long = invoke("train-vae", *options, "--out", tmp_path / "b")
    again = invoke("train-vae", *options, "--out", tmp_path / "b")
    assert ["plan" in each.output for each in (short, long, again)] == [False, True, False]
    assert (tmp_path / "a" / "metrics.jsonl").read_text() == (tmp_path / "b" / "metrics.jsonl").read_text()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_training_that_can_be_set_up(name: str) -> None:
    settings = training(**PRESETS[name])
    assert settings.method == PRESETS[name]["method"]
    assert settings.data in names()


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("-without")])
def test_a_baseline_differs_by_topdis_alone(name: str) -> None:
    differing = PRESETS[name].items() ^ PRESETS[name.removesuffix("-without")].items()
    assert (
        {"topdis"}
        <= {key for key, _ in differing}
        <= {"topdis", "topdis_delay", "topdis_as", "topdis_loss", "topdis_margin"}
    )


def test_groups_are_separated_by_commas_and_the_text_lists_scores_and_files(trained: Path) -> None:
    arguments = ["--num-reconstructed", 20, "--no-pictures", "--device", "cpu", "--threads", 1]
    result = invoke("evaluate-vae", trained, "--metrics", "mig, unsupervised", *arguments)
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["MIG", lines[0].split()[1]]
    scores = lines[: lines.index("")]
    assert len({line.rindex("  ") for line in scores}) == 1  # one column
    assert "" not in (lines[lines.index("") + 1], lines[-1])  # no empty block
    assert next(line for line in scores if "Live latents" in line).split()[-1].isdecimal()
    assert str(trained / "evaluation.json") in result.stdout
    result = invoke("evaluate-vae", trained, "--metrics", "nig", *arguments)
    assert "--metrics 'nig' is unknown" in str(result.exception)
    assert "did you mean 'mig'" in str(result.exception)


def test_the_evaluation_is_printed_as_json(trained: Path) -> None:
    arguments = ["--metrics", "mig", "--num-reconstructed", "20", "--no-pictures", "--device", "cpu", "--json"]
    result = invoke("evaluate-vae", trained, *arguments)
    assert json.loads(result.stdout) == json.loads((trained / "evaluation.json").read_text())
    assert evaluate_vae.COMMAND.examples


def test_the_status_is_a_table_for_people_and_a_document_for_programs(folder: SuiteFolder) -> None:
    options = suite.Options(status=folder.path)
    record = suite.run(options)
    assert suite.to_text(record, options).startswith("4 cells: 3 finished, 1 missing")
    assert [cell["state"] for cell in record["cells"]].count("finished") == 3
    assert json.loads(invoke("suite", "--status", folder.path, "--json").stdout)["cells"] == record["cells"]


def test_a_live_status_ends_when_no_cell_runs_or_waits(folder: SuiteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(folder, folder.grid.cells[3])
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    record = suite.run(suite.Options(status=folder.path))
    assert {cell["state"] for cell in record["cells"]} == {"finished"}


def test_a_suite_is_run_and_its_folder_printed(tiny: Path, tmp_path: Path) -> None:
    arguments = [tiny, "--out", tmp_path / "out", "--jobs", "1", "--device", "cpu", "--no-pictures"]
    result = invoke("suite", *arguments)
    assert result.stdout.strip() == str(tmp_path / "out"), result.output
    assert [record.state for record in SuiteFolder.load(tmp_path / "out").results().records] == ["finished"]


def test_a_dry_run_estimates_the_cost_and_runs_nothing(tiny: Path, tmp_path: Path) -> None:
    arguments = [tiny, "--out", tmp_path / "out", "--jobs", "1", "--device", "cpu", "--dry-run"]
    assert invoke("suite", *arguments).stdout.startswith("VAE  1 cells of 4 steps, ")
    assert json.loads(invoke("suite", *arguments, "--json").stdout)["settings"][0]["steps"] == 4
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [{}, {"grid": "quick", "status": Path("x")}])
def test_a_suite_needs_either_a_grid_or_a_folder_to_show(given: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError, match="give either a preset or a TOML file, or `status`"):
        suite.Options(**given)  # type: ignore[arg-type]


def write(path: Path, out: Path | None = None, against: Path | None = None) -> list[str]:
    files: list[str] = report.run(report.Options(results=path, out=out, against=against))["files"]
    return files


def test_the_report_goes_into_the_results_folder_or_to_out(folder: SuiteFolder, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert write(folder.path)[0] == str(folder.path / "report" / "report.html")
    result = invoke("report", folder.path, "--out", tmp_path / "there")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == str(tmp_path / "there" / "report.html")


def test_another_label_can_be_the_one_that_is_compared_with(folder: SuiteFolder, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    finish(folder, folder.grid.cells[3], mig=0.6)  # plain has 0.0 and 0.1, TopDis 0.0 and 0.6
    files = report.run(report.Options(results=folder.path, out=tmp_path / "there", baseline="TopDis"))["files"]
    with Path(next(file for file in files if file.endswith("differences.csv"))).open() as lines:
        (row,) = [row for row in csv.DictReader(lines) if row["metric"] == "mig"]
    assert (row["variant"], float(row["mean_difference"])) == ("plain", pytest.approx(-0.25))
    with pytest.raises(InvalidArgumentError, match="`baseline` is 'none', allowed are plain, TopDis"):
        report.run(report.Options(results=folder.path, baseline="none"))


def test_a_report_can_be_of_some_cells_only(folder: SuiteFolder, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = invoke("report", folder.path, "--only", "*--topdis--*", "--out", tmp_path / "there")
    assert result.exit_code == 0, result.output
    with (tmp_path / "there" / "cells.csv").open() as lines:
        assert {row["variant"] for row in csv.DictReader(lines)} == {"TopDis"}
    assert "Nothing is compared, because no cell of plain" in (tmp_path / "there" / "report.md").read_text()
    with pytest.raises(InvalidArgumentError, match=r"`only` \*--dava--\* matches no cell of small; a name is such as"):
        report.run(report.Options(results=folder.path, only="*--dava--*"))


def test_two_results_are_compared(folder: SuiteFolder, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    other = SuiteFolder.make(tmp_path / "old", dataclasses.replace(grid(), description="old"))
    finish(other, other.grid.cells[0], mig=0.5)
    text = Path(write(folder.path, tmp_path / "both", other.path)[1]).read_text()
    assert f"Compared with the results in {other.path}" in text
    assert "| MIG | VAE, plain | 0.050 ± 0.071 | 0.500 (1) | −0.450 |" in text
