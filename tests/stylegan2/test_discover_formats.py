"""`topdis-gan discover` for every kind of file in docs/checkpoints.md, and in several processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import stylegan2
from ganspace_topdis import program
from ganspace_topdis.latent.directions import Directions
from stylegan2 import Generator
from tests.stylegan2.foreign_files import flat_tensors, genforce_tensors, tensorflow_bytes, torch_bytes
from tests.stylegan2.nvidia_files import snapshot_bytes

FAST = ["--steps", "2", "--num-directions", "2", "--num-span-codes", "64", "--batch-size", "8", "--seeds", "0"]


def small():
    torch.manual_seed(0)
    sizes = {"z_dim": 8, "w_dim": 8, "img_resolution": 8, "num_mapping_layers": 2, "channel_base": 64}
    return Generator(**sizes).eval().requires_grad_(False)


def rosinality():
    return {"g_ema": flat_tensors(small(), "rosinality"), "latent_avg": small().mapping.w_avg}


def below(prefix, tensors):
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


WRITERS = {
    "NVIDIA PyTorch, stylegan2-ada-pytorch": lambda: snapshot_bytes(small()),
    "NVIDIA PyTorch, stylegan3": lambda: snapshot_bytes(small(), layout="stylegan3"),
    "NVIDIA TensorFlow 1": lambda: tensorflow_bytes(small()),
    "rosinality": lambda: torch_bytes(rosinality()),
    "rosinality, before torch 1.6": lambda: torch_bytes(rosinality(), legacy=True),
    "pSp and e4e": lambda: torch_bytes({"state_dict": below("decoder", flat_tensors(small(), "rosinality"))}),
    "genforce": lambda: torch_bytes({"generator_smooth": genforce_tensors(small())}),
    "BasicSR": lambda: torch_bytes({"params_ema": flat_tensors(small(), "basicsr")}),
    "MMGeneration": lambda: torch_bytes({"state_dict": below("generator_ema", flat_tensors(small(), "mmgeneration"))}),
    "state dict": lambda: torch_bytes(dict(small().state_dict())),
}


def discover(path, out):
    """Run the command and return its directions."""
    with pytest.raises(SystemExit) as left:
        program.main(["discover", "--ckpt", str(path), "--out", str(out), "--frames", "3", *FAST])
    assert left.value.code in (None, 0)
    return Directions.load(out / "directions.safetensors").vectors


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The directions for our own file of the same weights."""
    folder = tmp_path_factory.mktemp("ours")
    return discover(stylegan2.save(small(), folder / "g.safetensors"), folder / "run")


@pytest.mark.parametrize("kind", WRITERS)
def test_discover_finds_the_same_directions_in_every_kind_of_file(tmp_path, expected, kind):
    path = tmp_path / "network"
    path.write_bytes(WRITERS[kind]())
    vectors = discover(path, tmp_path / "run")
    assert vectors.shape == (2, 8)
    torch.testing.assert_close(vectors, expected, atol=1e-3, rtol=1e-3)


ROOT = Path(__file__).parents[2]
COMMAND = "discover --steps 3 --num-span-codes 300 --batch-size 17 --micro-batch 8 --device cpu --frames 3 --seeds 0-1"


@pytest.mark.parametrize("write", [snapshot_bytes, lambda generator: torch_bytes({"G_ema": generator.state_dict()})])
def test_a_rectangular_generator_goes_through_discover(tmp_path, write):
    torch.manual_seed(0)
    sizes = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "num_mapping_layers": 2, "channel_base": 64}
    generator = Generator(**sizes, base_size=(4, 2)).eval().requires_grad_(False)
    (tmp_path / "network").write_bytes(write(generator))
    assert discover(tmp_path / "network", tmp_path / "run").shape == (2, 8)
    for name in ("direction_00.png", "direction_01.webp", "overview.png"):
        assert (tmp_path / "run" / "traversals" / name).exists()
    with Image.open(tmp_path / "run" / "traversals" / "direction_00.webp") as image:
        assert image.height > image.width


def discover_in_two_processes(arguments, *, fails=False):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(ROOT / "cli.py")]
    done = subprocess.run(
        [sys.executable, *launcher, *arguments], env=environment, capture_output=True, text=True, timeout=240
    )
    assert bool(done.returncode) == fails, done.stderr
    return done


def test_two_processes_find_the_directions_that_one_finds(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    command = [*COMMAND.split(), "--ckpt", str(stylegan2.save(small(), tmp_path / "g.safetensors")), "--out"]
    with pytest.raises(SystemExit) as left:
        program.main([*command, str(one)])
    assert not left.value.code
    finished = discover_in_two_processes([*command, str(two)])
    alone, together = (Directions.load(folder / "directions.safetensors") for folder in (one, two))
    # float32 sums in another order differ by the processor's vector width, and Adam's first steps amplify them: 1.2e-5
    # was seen on a Xeon, less than 1e-5 on an EPYC; another batch or seed gives 1e-2
    torch.testing.assert_close(together.vectors, alone.vectors, rtol=0, atol=5e-5 * float(alone.vectors.abs().max()))
    torch.testing.assert_close(together.metadata["rtd_after"], alone.metadata["rtd_after"], rtol=1e-4, atol=0)
    assert finished.stdout.count("explorer.html") == 1
    again = discover_in_two_processes([*command, str(two)])
    assert again.stdout == finished.stdout
    refused = discover_in_two_processes([*command, str(two), "--seed", "9"], fails=True)
    assert "search.seed was 0, is now 9" in refused.stderr
