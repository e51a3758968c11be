"""torchrun with two processes of gloo, on the command line, against the same command in one process."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from ganspace_topdis.latent.directions import Directions

ROOT = Path(__file__).parents[2]
COMMAND = "discover --steps 3 --num-span-codes 300 --batch-size 17 --micro-batch 8 --device cpu --frames 3 --mix 1"


def discover(folder, num_processes):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    command = [sys.executable, *(launcher if num_processes > 1 else []), str(ROOT / "cli.py")]
    command += [*COMMAND.split(), "--seeds", "0-1", "--out", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done


def test_two_processes_find_the_directions_that_one_finds(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    discover(one, 1)
    finished = discover(two, 2)
    alone, together = (Directions.load(folder / "directions.safetensors") for folder in (one, two))
    torch.testing.assert_close(together.vectors, alone.vectors, rtol=0, atol=1e-5 * float(alone.vectors.abs().max()))
    torch.testing.assert_close(together.metadata["rtd_after"], alone.metadata["rtd_after"], rtol=1e-4, atol=0)
    assert finished.stdout.count("explorer.html") == 1
    again = discover(two, 2)
    assert again.stdout == finished.stdout
