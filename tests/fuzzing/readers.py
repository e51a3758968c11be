"""Every reader of files, with good files of its kind."""

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch

import stylegan2
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from ganspace_topdis.factors import Factor
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.metrics.representations import load_cloud
from ganspace_topdis.option_layers import add_layers
from ganspace_topdis.runs.records import read_metrics, read_run, read_status
from ganspace_topdis.traversal.names import read_names
from stylegan2 import Generator
from stylegan2.latents import read_latents
from tests.stylegan2.foreign_files import flat_tensors, genforce_tensors, tensorflow_bytes, torch_bytes
from tests.stylegan2.nvidia_files import nvidia_modules, persistent_tree, snapshot_bytes
from tests.vae.data import test_refused_files as damaged_sets
from vae.data.array_dataset import ArrayStore
from vae.data.opening import open_set
from vae.evaluation.run import read_evaluation
from vae.suite.folder import SuiteFolder
from vae.suite.grid_file import parse_grid, read_grid
from vae.suite.results import read_status as read_cell


@dataclass(frozen=True)
class Reader:
    """Good files of one kind, their file name, and the function that reads one."""

    samples: list[bytes]
    file_name: str
    read: Callable[[Path], object]


def readers() -> dict[str, Reader]:
    """Return all kinds of files by name."""
    named = {
        "checkpoint": Reader(_checkpoints(), "network.pkl", stylegan2.load),
        "latents": Reader(_latents(), "codes.npz", read_latents),
        "cloud": Reader([_npy(np.eye(3, dtype=kind)) for kind in ("f4", "f8", "u1", ">f4")], "x.npy", load_cloud),
        "directions": Reader([_directions()], "directions.safetensors", Directions.load),
        "factors": Reader([_factors()], "factors.safetensors", FactorNetwork.load),
        "names": Reader(
            [_json(format="topdis-gan names", source="", directions={"3": {"name": "Smile", "starred": True}})],
            "names.json",
            read_names,
        ),
        "config.json": Reader(
            [_json(command="discover", config={"steps": 3, "a": {"b": [1.5]}})],
            "config.json",
            lambda path: read_run(path.parent),
        ),
        "status.json": Reader(
            [_json(state="running", reason="", time="2024-01-01T00:00:00+00:00", pid=1)],
            "status.json",
            lambda path: read_status(path.parent, held=False),
        ),
        "evaluation.json": Reader(
            [_json(request={}, scores={"mig": 0.5}, files=[], device="cpu")],
            "evaluation.json",
            lambda path: read_evaluation(path.parent),
        ),
        "suite.json": Reader([_suite()], "suite.json", lambda path: SuiteFolder.load(path.parent)),
        "mark": Reader([_json(state="done", reason="", attempts=1, duration_s=1.5, device="cpu")], "a.json", read_cell),
        "metrics": Reader(
            [b'{"step": 1, "loss": 0.5}\n{"step": 2, "loss": "nan"}\n{"st'], "metrics.jsonl", read_metrics
        ),
        "config": Reader([b'steps = 7\nshift = 0.5\n"batch-size" = 3\nlayers = [1, 2]\n'], "a.toml", _config),
        "grid": Reader([_GRID.encode()], "grid.toml", read_grid),
    }
    return named | _data_sets()


def _checkpoints() -> list[bytes]:
    torch.manual_seed(0)
    small = {"z_dim": 2, "w_dim": 2, "img_resolution": 8, "num_mapping_layers": 1, "channel_base": 16}
    generator = Generator(**small).eval().requires_grad_(False)
    rosinality = {"g_ema": flat_tensors(generator, "rosinality"), "latent_avg": torch.zeros(2)}
    flat = {kind: flat_tensors(generator, kind) for kind in ("basicsr", "mmgeneration")}
    with nvidia_modules():
        whole = torch_bytes(persistent_tree(generator))
    with tempfile.TemporaryDirectory() as folder:
        native = stylegan2.save(generator, Path(folder) / "a.safetensors").read_bytes()
    return [
        *(snapshot_bytes(generator, protocol=protocol) for protocol in (2, 3, 4)),
        snapshot_bytes(generator, layout="stylegan3"),
        tensorflow_bytes(generator),
        tensorflow_bytes(generator, protocol=2),
        torch_bytes(rosinality),
        torch_bytes(rosinality, legacy=True),
        torch_bytes({"params_ema": flat["basicsr"]}),
        torch_bytes({"state_dict": {f"generator_ema.{name}": value for name, value in flat["mmgeneration"].items()}}),
        torch_bytes({"generator_smooth": genforce_tensors(generator)}),
        torch_bytes(dict(generator.state_dict()), legacy=True),
        whole,
        native,
    ]


def _latents() -> list[bytes]:
    codes = np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 6)
    packed, loose = io.BytesIO(), io.BytesIO()
    np.savez_compressed(packed, w=codes, other=codes)
    np.savez(loose, latents=codes)
    tensor = torch.from_numpy(codes.copy())
    content = {"a.png": {"latent": tensor, "noise": [tensor]}}
    files = [torch_bytes(tensor), torch_bytes(content), torch_bytes(tensor, legacy=True), torch_bytes({"w": tensor})]
    return [_npy(codes), _npy(np.asfortranarray(codes)), packed.getvalue(), loose.getvalue(), *files]


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _directions() -> bytes:
    made = Directions(
        vectors=torch.eye(2, 3),
        dual_vectors=torch.eye(2, 3),
        mean=torch.zeros(3),
        span=torch.eye(2, 3),
        scales=torch.ones(2),
        metadata={"method": "topdis", "layers": [0, 1], "scores": {}},
    )
    with tempfile.TemporaryDirectory() as folder:
        return made.save(Path(folder) / "a.safetensors").read_bytes()


def _factors() -> bytes:
    network = FactorNetwork([Factor("hue", 4, "circular")], 16, width=4)
    with tempfile.TemporaryDirectory() as folder:
        return network.save(Path(folder) / "a.safetensors").read_bytes()


def _json(**value: object) -> bytes:
    return json.dumps(value, indent=2).encode()


_GRID = """name = "example"
seeds = [0, 1]
compare = { axis = "variant", baseline = "plain" }
[base]
data = "scenes"
steps = 10
[axes.method.beta-VAE]
method = "beta-vae"
[axes.variant.plain]
[axes.variant.TopDis]
topdis = { weight = 5.0 }
[[where]]
labels = { variant = "TopDis" }
settings = { topdis = { delay = 3 } }
"""


def _suite() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        SuiteFolder.make(Path(folder) / "a", parse_grid(_GRID))
        return (Path(folder) / "a" / "suite.json").read_bytes()


@add_layers()
@click.command()
@click.option("--steps", type=int, default=1)
@click.option("--shift", type=float, default=1.0)
@click.option("--batch-size", type=int, default=64)
@click.option("--layers", type=int, multiple=True)
def _command(dry_run: bool, **_: object) -> None:
    """A command with --config, in place of all."""


def _config(path: Path) -> object:
    return _command.main(["--config", str(path)], standalone_mode=False)


def _data_sets() -> dict[str, Reader]:
    made = {}
    for name in ("dsprites_npz", "dsprites_hdf5", "mpi3d", "faces", "celeba", "cars", "norb"):
        with tempfile.TemporaryDirectory() as folder:
            info, path = getattr(damaged_sets, f"small_{name}")(Path(folder))
            beside = {each.name: each.read_bytes() for each in Path(folder).iterdir() if each != path}
        made[f"data-{name}"] = Reader([_sample(name)], path.name, _opener(info, beside))
    made["data-npz"] = Reader(made["data-mpi3d"].samples, "a.npz", made["data-mpi3d"].read)
    return made


def _sample(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return getattr(damaged_sets, f"small_{name}")(Path(folder))[1].read_bytes()


def _opener(info: object, beside: dict[str, bytes]) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        for name, data in beside.items():
            if not (path.parent / name).exists():
                (path.parent / name).write_bytes(data)
        opened = open_set(info, root=path.parent if beside else path, store=ArrayStore(), verify=False)
        return opened.images(np.arange(len(opened)))

    return read
