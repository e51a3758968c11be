"""torchrun with two processes of gloo, on the command line, against the same command in one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vae.training import load_trained

ROOT = Path(__file__).parents[3]
COMMAND = "train-vae --data dsprites --steps 6 --log-every 1 --batch-size 11 --network narrow --width 0.125 --seed 3"
METHODS = {
    "factor-vae": "--method factor-vae --discriminator-width 16 --topdis 5",
    "dava": "--method dava --discriminator-width 4 --gamma 1 --topdis 5 --orthogonalize all",
}


def train(folder, method, num_processes):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    command = [sys.executable, *(launcher if num_processes > 1 else []), str(ROOT / "cli.py")]
    command += [*COMMAND.split(), *METHODS[method].split(), "--device", "cpu", "--out", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["factor-vae", pytest.param("dava", marks=pytest.mark.slow)])
def test_two_processes_train_what_one_trains(tmp_path, method):
    one, two = tmp_path / "one", tmp_path / "two"
    train(one, method, 1)
    finished = train(two, method, 2)
    assert finished.stdout.splitlines() == [str(two)]
    for alone, together in zip(lines(one), lines(two), strict=True):
        assert together == pytest.approx(alone, rel=1e-5, abs=1e-5)
    weights = load_trained(two).model.state_dict()
    for name, weight in load_trained(one).model.state_dict().items():
        torch.testing.assert_close(weights[name], weight, rtol=0, atol=1e-5)
