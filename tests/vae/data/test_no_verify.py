"""`--no-verify` reads files that are refused otherwise, in every command that opens a data set."""

import dataclasses

import pytest
from click.testing import CliRunner

from ganspace_topdis.errors import TopdisError
from ganspace_topdis.program import cli
from tests.vae.data.published import random_images, small_info, write_npz
from vae.data.catalog import CATALOG
from vae.suite.cell import run_cell
from vae.suite.engine import CellOptions, Engine
from vae.suite.folder import SuiteFolder
from vae.suite.grid_file import find_grid
from vae.suite.run import _job

NAME = "mpi3d-toy"
TRAINING = ["--data", NAME, "--network", "fc", "--width", "0.02", "--steps", "1", "--batch-size", "4"]
GRID = f"""
name = "tiny"
seeds = [0]
metrics = ["unsupervised"]
[base]
data = "{NAME}"
network = "fc"
width = 0.02
steps = 1
batch_size = 4
[axes.method.VAE]
method = "vae"
"""


@pytest.fixture
def another_file(tmp_path, monkeypatch):
    """A file of noise in the place of mpi3d-toy, with another checksum than the published one."""
    info = small_info(NAME, (6, 6, 1, 1, 1, 2, 2))
    file = dataclasses.replace(info.files[0], md5="0" * 32, pinned=True)
    monkeypatch.setitem(CATALOG, NAME, dataclasses.replace(info, files=(file,)))
    return write_npz(tmp_path / "mpi3d_toy.npz", images=random_images(info))


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def refused(result):
    """Whether the file was refused, with the option that reads it anyway."""
    message = str(result.exception)
    return isinstance(result.exception, TopdisError) and "md5" in message and "--no-verify" in message


def test_a_training_and_its_evaluation_read_another_file_on_demand(tmp_path, another_file):
    run, common = tmp_path / "run", ["--data-root", another_file, "--device", "cpu"]
    train = ["train-vae", *TRAINING, "--out", run, *common]
    assert refused(invoke(*train))
    assert not run.exists()
    assert invoke(*train, "--no-verify").exit_code == 0
    options = ["--metrics", "unsupervised", "--num-reconstructed", 20, "--max-images", 100, "--no-pictures"]
    evaluate = ["evaluate-vae", run, *options, "--threads", 1, *common]
    assert refused(invoke(*evaluate))
    assert invoke(*evaluate, "--no-verify").exit_code == 0


@pytest.fixture
def grid(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(GRID)
    return path


def test_the_estimate_of_a_suite_reads_another_file_on_demand(tmp_path, grid, another_file):
    command = ["suite", grid, "--out", tmp_path / "out", "--data-root", another_file, "--device", "cpu", "--dry-run"]
    assert "not timed" in invoke(*command).stdout
    assert "ms each" in invoke(*command, "--no-verify").stdout


@pytest.mark.parametrize("verify", [True, False])
def test_a_cell_of_a_suite_reads_another_file_on_demand(tmp_path, grid, another_file, verify, monkeypatch):
    evaluated = []
    monkeypatch.setattr("vae.evaluation.run.evaluate", lambda *_, **options: evaluated.append(options["verify"]))
    folder = SuiteFolder.make(tmp_path / "out", find_grid(str(grid)))
    options = CellOptions(data_root=another_file, verify=verify, device="cpu", pictures=False)
    task = _job(folder, folder.grid.cells[0], Engine(jobs=1, threads=1, run=iter), options).task
    assert task.execution["verify"] is verify
    if verify:
        with pytest.raises(TopdisError, match="--no-verify"):
            run_cell(task)
        return
    run_cell(task)
    assert evaluated == [False]
