"""The commands on the second device, from a checkpoint to pictures and scores: the files of the CPU."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import stylegan2.runs.pictures
import stylegan2.runs.scores
from ganspace_topdis import program
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from ganspace_topdis.evaluation.protocol import ProtocolSettings
from ganspace_topdis.evaluation.reconstructor import ReconstructorSettings
from ganspace_topdis.factors import Factor
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.traversal.live.requests import FramesRequest, FrameState
from stylegan2 import Generator, save
from stylegan2.commands.explore import open_server
from stylegan2.loading import load_run
from stylegan2.settings import PictureSettings, RunSettings

CLOSED_FORM = ["--num-span-codes", "100", "--batch-size", "8", "--num-directions", "3"]
SEARCH = ["--steps", "2", "--num-probes", "16", *CLOSED_FORM]
PICTURES = ["--seeds", "0", "--frames", "3"]
SCENES = {"data": "scenes of continuous factors (vae.data.scenes)"}


def run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as left:
        program.main([str(argument) for argument in arguments])
    assert not left.value.code


@pytest.fixture(scope="module", autouse=True)
def few_images():
    """Scores of untrained generators mean nothing, so few images will do."""
    with pytest.MonkeyPatch.context() as patch:
        for name, count in (("_NUM_CODES", 12), ("_NUM_ORACLE_CODES", 40), ("_NUM_RECONSTRUCTOR_CODES", 40)):
            patch.setattr(stylegan2.runs.scores, name, count)
        quick = ReconstructorSettings(num_steps=2, batch_size=8, held_out=0.1)
        patch.setattr(stylegan2.runs.scores, "_RECONSTRUCTOR", quick)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint that counts as one of scenes, and a factor network for its images."""
    folder = tmp_path_factory.mktemp("commands")
    torch.manual_seed(0)
    generator = Generator(z_dim=8, w_dim=8, img_resolution=32, num_mapping_layers=1, channel_base=64, channel_max=4)
    save(generator.eval(), folder / "scenes.safetensors", source=SCENES)
    factors = [Factor("size", 4, "linear"), Factor("hue", 4, "circular"), Factor("shape", 3, "categorical")]
    FactorNetwork(factors, 32, width=4).save(folder / "factors.safetensors")
    return folder


def discovered(folder: Path, device: str, name: str, *more: object) -> Path:
    """The run of this name; only that of w has pictures."""
    out = folder / f"{name}-{device}"
    options = SEARCH if {*more}.isdisjoint(("ganspace", "ganspace-features", "sefa", "axes", "random")) else CLOSED_FORM
    where = ("--ckpt", folder / "scenes.safetensors", "--out", out, "--device", device)
    with pytest.MonkeyPatch.context() as patch:
        if name != "w":
            patch.setattr(stylegan2.runs.pictures, "draw_run", lambda *_, **__: [])
        if not out.exists():
            run("discover", *where, *options, *PICTURES, *more)
    return out


def copied(folder: Path, name: str) -> Path:
    """A run of the CPU of its own."""
    return Path(shutil.copytree(discovered(folder, "cpu", "w"), folder / name, dirs_exist_ok=True))


def assert_same_images(here: Path, there: Path) -> None:
    names = {path.relative_to(here) for path in here.rglob("*.png")}
    assert names
    assert names == {path.relative_to(there) for path in there.rglob("*.png")}
    for name in names:
        mine, theirs = (np.asarray(Image.open(root / name).convert("RGB"), int) for root in (here, there))
        assert abs(mine - theirs).max() <= 2, name


@pytest.mark.parametrize("space", ["z", "w", "w+", "s"])
def test_discover_finds_the_directions_of_the_cpu_in_every_space(device, folder, space):
    here, there = (Directions.load(discovered(folder, where, space, "--space", space)) for where in ("cpu", "mimic"))
    cosines = torch.nn.functional.cosine_similarity(here.vectors, there.vectors)
    assert cosines.min() > 0.999
    assert there.metadata["effect"] == pytest.approx(here.metadata["effect"], rel=0.01)
    shutil.rmtree(discovered(folder, "mimic", space))


@pytest.mark.parametrize(
    "method", ["ganspace", "ganspace-features", "sefa", "axes", "random", "hessian", "reconstructor"]
)
def test_discover_by_every_method_finds_the_directions_of_the_cpu(device, folder, method):
    more = ("--method", method)
    here, there = (Directions.load(discovered(folder, where, method, *more)) for where in ("cpu", "mimic"))
    assert torch.nn.functional.cosine_similarity(here.vectors, there.vectors).min() > 0.999


def test_score_gives_the_numbers_of_the_cpu(device, folder, monkeypatch):
    quick = ProtocolSettings(num_steps=2, batch_size=16, num_train=60, num_test=30, num_votes=9, vote_size=4, width=4)
    protocol = stylegan2.runs.scores.encoder_protocol
    monkeypatch.setattr(stylegan2.runs.scores, "_NUM_PROTOCOL_CODES", 40, raising=False)
    monkeypatch.setattr(stylegan2.runs.scores, "encoder_protocol", lambda *given: protocol(*given[:5], quick))
    records = []
    for where in ("cpu", "mimic"):
        scored = copied(folder, f"scored-{where}")
        run("score", scored, "--factor-network", folder / "factors.safetensors", "--device", where, "--protocol")
        records.append(json.loads((scored / "scores.json").read_text()))
        shutil.rmtree(scored)
    here, there = (record["scores"] for record in records)
    assert {"rescoring", "oracle", "noise_floor", "reconstructor"} <= here.keys() == there.keys()
    assert there["rescoring"]["share"] == pytest.approx(here["rescoring"]["share"], abs=1e-2)
    assert there["noise_floor"] == pytest.approx(here["noise_floor"], rel=1e-2)


@pytest.mark.parametrize("command", [("traverse", *PICTURES), ("edit", "--set", "0=+1", "--seeds", "0,1")])
def test_traverse_and_edit_draw_the_pictures_of_the_cpu(device, folder, command):
    found, name = discovered(folder, "cpu", "w"), command[0]
    for where in ("cpu", "mimic"):
        run(*command, "--directions", found, "--out", folder / f"{name}-{where}", "--device", where)
    assert_same_images(folder / f"{name}-cpu", folder / f"{name}-mimic")
    shutil.rmtree(folder / f"{name}-mimic")


def test_compare_matches_as_on_the_cpu(device, folder):
    runs = [discovered(folder, "cpu", "w"), discovered(folder, "cpu", "z", "--space", "z")]
    for where in ("cpu", "mimic"):
        run("compare", *runs, "--out", folder / f"compared-{where}", "--device", where, "--frames", 3)
    assert_same_images(folder / "compared-cpu", folder / "compared-mimic")
    shutil.rmtree(folder / "compared-mimic")


def test_the_renderer_of_explore_draws_the_frames_of_the_cpu(device, folder):
    request = FramesRequest(
        page="p", channel="view", number=1, psi=0.7, layers=None, states=(FrameState(seed=3, shifts={0: 1.5}),)
    )
    frames = []
    for where in ("cpu", "mimic"):
        loaded = load_run(discovered(folder, "cpu", "w"), dataclasses.replace(RunSettings(), device=where))
        with open_server(loaded, PictureSettings()) as server:
            frames.append(server.renderer.draw(request))
    assert frames[0] == frames[1]
