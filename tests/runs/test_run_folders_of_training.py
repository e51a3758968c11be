"""The run folder of `train-vae`: starts that fail, and damage after the end."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import cli

TRAIN = "--data scenes-32 --network fc --width 0.05 --steps 3 --batch-size 4 --log-every 1 --device cpu"
ROOT = Path(__file__).parents[2]


def train(out, *options):
    with pytest.raises(SystemExit) as left:
        cli.main(["train-vae", *TRAIN.split(), *options, "--out", str(out)])
    return left.value.code


@pytest.mark.parametrize("wrong", [["--topdis", "1", "--topdis-points", "1"], ["--compile", "cuda-graphs"]])
def test_options_that_do_not_fit_leave_no_folder_and_the_corrected_command_runs(tmp_path, wrong):
    assert train(tmp_path / "deep" / "run", *wrong) == 2
    assert not (tmp_path / "deep").exists()
    assert train(tmp_path / "deep" / "run") == 0


def test_a_damaged_last_checkpoint_of_a_finished_training_is_reported_and_made_again(tmp_path, capsys):
    assert train(tmp_path / "run", "--checkpoint-every-s", "0") == 0
    last = tmp_path / "run" / "checkpoints" / "step_000000003.safetensors"
    metrics = tmp_path / "run" / "metrics.jsonl"
    before = last.read_bytes(), metrics.read_bytes()
    last.write_bytes(before[0][:-1] + bytes([before[0][-1] ^ 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert train(tmp_path / "run", "--checkpoint-every-s", "0") == 0
    assert "is damaged: its contents differ from their SHA-256" in capsys.readouterr().err
    assert (last.read_bytes(), metrics.read_bytes()) == before


def test_a_finished_training_without_any_whole_checkpoint_is_one_clear_error(tmp_path, capsys):
    assert train(tmp_path / "run") == 0
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.write_bytes(b"")
    assert train(tmp_path / "run") == 1
    assert "no usable checkpoint" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("command", ["discover", "train-vae", "suite-cell"])
def test_runs_that_are_killed_again_and_again_end_with_the_same_bytes(command):
    script = ROOT / "benchmarks" / "kill_and_resume.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, script, command, "--kills", "50"], env=environment, check=True)
