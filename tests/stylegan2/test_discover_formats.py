"""`topdis-gan discover` from a file of every kind that docs/checkpoints.md lists."""

import pytest
import torch

import cli
import stylegan2
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
    """The directions that the command finds."""
    with pytest.raises(SystemExit) as left:
        cli.main(["discover", "--ckpt", str(path), "--out", str(out), "--frames", "3", *FAST])
    assert left.value.code in (None, 0)
    return Directions.load(out / "directions.safetensors").vectors


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The directions in our own file of the same weights."""
    folder = tmp_path_factory.mktemp("ours")
    return discover(stylegan2.save(small(), folder / "g.safetensors"), folder / "run")


@pytest.mark.parametrize("kind", WRITERS)
def test_discover_finds_the_same_directions_in_every_kind_of_file(tmp_path, expected, kind):
    path = tmp_path / "network"
    path.write_bytes(WRITERS[kind]())
    vectors = discover(path, tmp_path / "run")
    assert vectors.shape == (2, 8)
    torch.testing.assert_close(vectors, expected, atol=1e-3, rtol=1e-3)
