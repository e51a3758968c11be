"""Two processes, each with a second device of its own, against one: a search and a training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganspace_topdis.latent.directions import Directions
from stylegan2 import Generator, save
from tests.device.mimic import Mimic
from vae.training import load_trained

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os
import sys
from pathlib import Path
from tests.device.mimic import load_mimic
mimic = load_mimic()
import torch
from click.testing import CliRunner
from ganspace_topdis.program import cli

torch.set_num_threads(1)
out = Path(sys.argv[1])
commands = {
    "search": f"discover --ckpt {out.parent / 'random.safetensors'} --steps 2 --num-probes 16 --num-span-codes 100 "
    "--batch-size 8 --num-directions 3 --seeds 0 --frames 3",
    "vae": "train-vae --data dsprites:orientation=2,posX=4,posY=4 --network fc --width 0.02 --method factor-vae "
    "--discriminator-width 8 --topdis 5 --batch-size 9 --steps 4 --log-every 1",
}
with mimic.without_float64():
    for name in sys.argv[2:]:
        done = CliRunner().invoke(cli, [*commands[name].split(), "--device", "mimic", "--out", str(out / name)])
        assert done.exit_code == 0, (name, done.output, done.exception)
os.write(1, f"{mimic.counts()['launches']}\\n".encode())  # at once: the other process writes into the same pipe
"""


def launch(folder: Path, num_processes: int, *names: str) -> list[int]:
    """Run commands one after the other; return the launches of every process."""
    script = folder.parent / "script.py"
    script.write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    command = [sys.executable, *(launcher if num_processes > 1 else []), str(script), str(folder), *names]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-4000:]
    return [int(line) for line in done.stdout.split()]


@pytest.fixture(scope="module")
def folders(built: Mimic, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("processes")
    torch.manual_seed(0)
    generator = Generator(z_dim=8, w_dim=8, img_resolution=16, num_mapping_layers=1, channel_base=64, channel_max=4)
    save(generator.eval(), folder / "random.safetensors")
    launch(folder / "one", 1, "search", "vae")
    for name in ("search", "vae"):  # a group of processes lives as long as its processes
        launches = launch(folder / "two", 2, name)
        assert len(launches) == 2
        assert min(launches) > 500  # both processes compute on their device
    return {name: folder / name for name in ("one", "two")}


def test_a_search_finds_the_directions_of_one_process(folders: dict[str, Path]) -> None:
    one, two = (Directions.load(folder / "search").vectors for folder in folders.values())
    torch.testing.assert_close(two, one, rtol=0, atol=2e-3)


def test_a_training_takes_the_steps_of_one_process(folders: dict[str, Path]) -> None:
    logs = [(folder / "vae" / "metrics.jsonl").read_text().splitlines() for folder in folders.values()]
    for one, two in zip(*logs, strict=True):
        assert json.loads(two) == pytest.approx(json.loads(one), rel=2e-3, abs=2e-3)
    weights = [load_trained(folder / "vae").model.state_dict() for folder in folders.values()]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=1e-3, msg=name)
