"""Whether a run that is killed repeatedly ends with exactly the files of an uninterrupted one.

    python benchmarks/kill_and_resume.py discover --kills 50
    python benchmarks/kill_and_resume.py discover-s --kills 50         # in S, which has three stages
    python benchmarks/kill_and_resume.py train-vae --kills 50
    python benchmarks/kill_and_resume.py suite-cell --kills 50         # a cell of the suite: train, then evaluate

The same command runs in its own process until SIGKILL ends it, either after a random time or during the writing of a
file (just before its bytes are on the disk, before it is renamed, and after), and is repeated until it finishes. A run
that finishes before all kills are done is compared and started again. Every file of the result is
compared byte by byte: directions, scores, checkpoint, metrics, pictures, pages. Moments and commands are a function
of --seed. Checkpoints are written every 0.2 s here. Exits with 1 if a byte differs or a command fails.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import stylegan2.runs.search
import vae.training.run
from ganspace_topdis import program
from ganspace_topdis.runs.files import sha256_of
from ganspace_topdis.topology import rtd
from stylegan2 import Generator, save
from vae.suite.cell import CellTask, run_cell

SAVE_EVERY_S = 0.2
DISCOVER = (
    "discover --steps 24 --num-span-codes 64 --batch-size 10 --num-directions 3 --frames 3 --seeds 0-1 --mix 2 "
    "--device cpu --micro-batch 64"
)
TRAIN_VAE = (
    "train-vae --data scenes-32 --network burgess --method beta-tcvae --steps 24 --batch-size 8 --log-every 3 "
    f"--topdis 1 --device cpu --checkpoint-every-s {SAVE_EVERY_S}"
)
CELL = {"data": "scenes-32", "network": "fc", "width": 0.1, "num_latents": 3, "method": "factor-vae", "steps": 20}
CELL |= {"batch_size": 8}
NOT_COMPARED = {"status.json", "environment.json", ".lock"}
"""What says when, where and by which process something was done."""


def discover(out: Path, space: str = "w") -> None:
    """Search in a small generator with random weights, stored beside the run."""
    ckpt = out.parents[1] / "small.safetensors"
    if not ckpt.exists():
        torch.manual_seed(0)
        save(Generator(z_dim=8, w_dim=8, img_resolution=16, num_mapping_layers=1, channel_base=64).eval(), ckpt)
    program.main([*DISCOVER.split(), "--space", space, "--ckpt", str(ckpt), "--out", str(out)])


def discover_s(out: Path) -> None:
    discover(out, "s")


def train_vae(out: Path) -> None:
    program.main([*TRAIN_VAE.split(), "--out", str(out)])


def suite_cell(out: Path) -> None:
    """Train and evaluate, with checkpoints as frequent as those of the other commands."""
    train = vae.training.run.train

    def train_with_frequent_checkpoints(settings: Any, folder: Any, options: Any) -> Any:
        return train(settings, folder, options=dataclasses.replace(options, checkpoint_every_s=SAVE_EVERY_S))

    vae.training.run.train = train_with_frequent_checkpoints  # type: ignore[assignment]
    run_cell(
        CellTask(folder=str(out), settings=CELL, seed=0, metrics=("mig",), max_images=300, execution={"device": "cpu"})
    )


COMMANDS: dict[str, Callable[[Path], None]] = {
    "discover": discover,
    "discover-s": discover_s,
    "train-vae": train_vae,
    "suite-cell": suite_cell,
}


class Deadly:
    """In a process: SIGKILL at the `count`th of the moments at which a file is being written."""

    def __init__(self, count: int) -> None:
        self.left = count
        fsync, replace = os.fsync, Path.replace

        def deadly_fsync(descriptor: int) -> None:
            self.tick()
            fsync(descriptor)
            self.tick()

        def deadly_replace(path: Path, target: Any) -> Path:
            self.tick()
            replaced = replace(path, target)
            self.tick()
            return replaced

        os.fsync, Path.replace = deadly_fsync, deadly_replace  # type: ignore[assignment, method-assign]

    def tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(name: str, out: Path, log: Path, *, kill_after_s: float | None, kill_at_write: int | None) -> int:
    """Run the command in a forked process; its exit code, or -9 if it was killed."""
    pid = os.fork()
    if pid == 0:
        in_child(name, out, log, kill_at_write)
    deadline_s = time.monotonic() + (kill_after_s if kill_after_s is not None else 3600)
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline_s:
            os.kill(pid, signal.SIGKILL)
            deadline_s += 3600
        time.sleep(0.005)


def in_child(name: str, out: Path, log: Path, kill_at_write: int | None) -> None:
    """Run the command and end this process."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    stylegan2.runs.search.SAVE_INTERVAL_S = SAVE_EVERY_S
    if kill_at_write is not None:
        Deadly(kill_at_write)
    code: Any = 0
    try:
        COMMANDS[name](out)
    except SystemExit as left:
        code = left.code or 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        code = 1
    os._exit(int(code))


def phase_of(out: Path) -> str:
    """The progress of the run in `out`."""
    names = {path.name for path in out.rglob("*")} if out.exists() else set()
    steps = [name for name in names if name.startswith("step_")]
    if "directions.safetensors" in names or "traversals" in names:
        return "drawing"
    if any(name.startswith("partial_") for name in names):
        return "judging"
    if (out / "evaluation.json").exists() or any("traversals" in name for name in names):
        return "drawing"
    return "steps" if steps else "start"


def contents(out: Path) -> Iterator[tuple[str, str]]:
    """Every file of a result and its SHA-256; of an evaluation without the seconds that it took."""
    last = max((path.name for path in (out / "checkpoints").glob("step_*")), default="")
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = str(path.relative_to(out))
        if name in NOT_COMPARED or (path.parent.name == "checkpoints" and path.name != last):
            continue
        if name == "evaluation.json":
            evaluation = json.loads(path.read_text(encoding="utf-8"))
            evaluation["duration_s"] = None
            yield name, json.dumps(evaluation)
        elif path.suffix == ".html":  # pages hold commands that name the folder
            yield name, hashlib.sha256(path.read_bytes().replace(str(out).encode(), b"RUN")).hexdigest()
        else:
            yield name, sha256_of(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with contextlib.suppress(ValueError), torch.no_grad():
        rtd(torch.randn(16, 4), torch.randn(16, 4))  # compiled once, for all the processes forked from this one
    folder = Path(tempfile.mkdtemp(prefix="kill_and_resume_"))
    passed = hunt(options.command, folder, options.kills, random.Random(options.seed))
    if passed:
        shutil.rmtree(folder)
    sys.exit(0 if passed else f"see {folder}")


def hunt(name: str, folder: Path, num_kills: int, rng: random.Random) -> bool:
    """Kill and resume, print the outcome, and return whether all results are the same."""
    whole, log = folder / "whole" / "run", folder / "log"  # all of one name, which is on the pictures
    started_s = time.monotonic()
    if attempt(name, whole, log, kill_after_s=None, kill_at_write=None) != 0:
        return False
    whole_s = time.monotonic() - started_s
    expected = dict(contents(whole))
    kills: Counter[str] = Counter()
    num_runs = num_attempts = 0
    while kills.total() < num_kills or num_attempts == 0 or (folder / str(num_runs)).exists():
        out = folder / str(num_runs) / "run"
        print(f"attempt {num_attempts}, kills {kills.total()}", file=sys.stderr, end="\r")
        alive = kills.total() >= num_kills
        at_write = rng.randint(1, 60) if rng.random() < 0.5 else None
        after_s = rng.uniform(0.02, 0.7 * whole_s) if at_write is None else None
        num_attempts += 1
        code = attempt(
            name, out, log, kill_after_s=None if alive else after_s, kill_at_write=None if alive else at_write
        )
        if code == -signal.SIGKILL:
            kills[f"{phase_of(out)}, {'at a write' if at_write else 'at a random time'}"] += 1
        elif code != 0:
            print(f"attempt {num_attempts} left with {code}:\n{log.read_text()[-2000:]}", file=sys.stderr)
            return False
        else:
            found = dict(contents(out))
            if found != expected:
                differing = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
                print(f"run {num_runs} differs in {', '.join(differing)}", file=sys.stderr)
                return False
            num_runs += 1
    print(f"{name}: {kills.total()} kills in {num_attempts} attempts, one uninterrupted run takes {whole_s:.1f} s")
    for where, count in sorted(kills.items()):
        print(f"  {count:3d} in {where}")
    print(
        f"  {num_runs} runs came through, each with the {len(expected)} files of the uninterrupted one, byte for byte"
    )
    return True


if __name__ == "__main__":
    main()
