import contextlib
import http.client
import io
import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from PIL import Image

from ganspace_topdis import program
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.traversal.frames import to_uint8
from ganspace_topdis.traversal.live.requests import FramesRequest, FrameState
from ganspace_topdis.traversal.names import read_names
from stylegan2 import load
from stylegan2.commands.explore import OwnLatents, open_server
from stylegan2.loading import LoadedRun, load_run
from stylegan2.settings import PictureSettings
from stylegan2.space import LatentSpace
from tests.stylegan2.commands.found_directions import main as run
from tests.stylegan2.commands.found_directions import write_found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explore")
    ckpt, _, _ = write_found(folder)
    write_json(folder / "config.json", {"command": "discover", "config": {"ckpt": str(ckpt)}})
    return folder


class Explorer:
    """`topdis-gan explore` in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "cli", "explore", str(folder), "--no-browser", *options]
        self.process = subprocess.Popen(
            command, cwd=Path(program.__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @cached_property
    def url(self) -> str:
        """The address, once the server answers."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def post(self, path: str, body: dict) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        _, error = self.process.communicate(timeout=30)
        return self.process.returncode, error


@pytest.fixture
def two_explorers(finished: Path) -> Iterator[tuple[Explorer, Explorer]]:
    both = Explorer(finished, "--seeds", "3"), Explorer(finished)
    yield both
    for explorer in both:
        if explorer.process.poll() is None:
            explorer.process.kill()
            explorer.process.communicate()


def test_two_explore_one_run_no_name_is_lost_and_both_end_cleanly(
    finished: Path, two_explorers: tuple[Explorer, Explorer]
) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    for index, explorer in enumerate(two_explorers):
        state = {"seed": 5, "shifts": {"1": 2.5}}
        question = {"page": "p", "channel": "view", "number": 1, "psi": 0.5, "layers": [0, 1], "states": [state]}
        status, image = explorer.post("/frames", question)
        assert (status, image[:4], image[8:12]) == (200, b"RIFF", b"WEBP")
        name = {"index": index, "name": f"name {index}", "starred": False}
        assert explorer.post("/names", name) == (200, b"saved")
    assert {index: name.name for index, name in read_names(finished / "names.json").items()} == {
        0: "name 0",
        1: "name 1",
    }
    for explorer, number in zip(two_explorers, (signal.SIGINT, signal.SIGTERM), strict=True):
        code, error = explorer.stop(number)
        assert code == (0 if number == signal.SIGINT else 128 + number)
        assert "Traceback" not in error
    assert {path: path.read_bytes() for path in before} == before
    (finished / "names.json").unlink()


@pytest.mark.parametrize(
    "content", [b'{"format": "topdis-gan names", "source": "0123", "directions": {}}', b"{", b"[" * 100_000]
)
def test_names_that_cannot_be_used_are_one_warning_and_the_page_opens(finished: Path, content: bytes) -> None:
    (finished / "names.json").write_bytes(content)
    explorer = Explorer(finished)
    try:
        with urllib.request.urlopen(explorer.url) as page:
            assert b"<html" in page.read()
        status, line = explorer.post("/names", {"index": 0, "name": "x", "starred": False})
        _, error = explorer.stop()
        assert status == 409
        assert line.startswith(b"not saved: names file")
        assert error.count("warning: ") == 1
        assert "Traceback" not in error
        assert (finished / "names.json").read_bytes() == content
    finally:
        explorer.process.kill()
        explorer.process.communicate()
        (finished / "names.json").unlink()


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        (["--port", "70000"], "--port", 2),
        (["--seeds", "x"], "--seeds", 2),
        (["--layers", "0-99"], "do not exist", 2),
        (["--truncation-psi", "3"], "runcation", 2),
        (["--extent", "-1"], "--extent is -1", 2),
        (["--ckpt", "nowhere.pkl"], "nowhere.pkl", 1),
    ],
)
def test_bad_input_is_one_line_and_the_right_exit_code(
    finished: Path, capsys: pytest.CaptureFixture, options: list[str], message: str, code: int
) -> None:
    assert run("explore", str(finished), "--no-browser", *options) == code
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize("space", ["z", "w", "w+", "s"])
def test_the_server_draws_what_the_run_would_in_every_space(finished: Path, tmp_path: Path, space: str) -> None:
    generator = load(finished / "small.safetensors")
    where = LatentSpace(generator=generator, name=space)
    axes = torch.eye(2, where.code_dim)
    directions = Directions(
        vectors=axes, dual_vectors=axes, mean=torch.zeros(where.code_dim), span=axes, scales=torch.ones(2)
    )
    run = LoadedRun(folder=tmp_path, directions=where.placed(directions), space=where)
    with open_server(run, PictureSettings()) as server:
        layers = None if server.renderer.model.num_layers is None else tuple(range(generator.num_ws))
        assert (layers is None) == (space == "z")
        state = FrameState(seed=3, shifts={1: 2.0})
        question = FramesRequest(page="p", channel="view", number=1, psi=0.5, layers=layers, states=(state,))
        image = server.renderer.draw(question)
    truncated = where.truncated(0.5)
    expected = to_uint8(truncated.images(directions.move(truncated.codes_of_seeds([3]), 1, 2.0)))[0]
    with Image.open(io.BytesIO(image)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), expected)


def test_ctrl_c_while_an_image_is_being_drawn_ends_cleanly(finished: Path) -> None:
    explorer = Explorer(finished)
    assert explorer.url.startswith("http://127.0.0.1:")
    states = [{"seed": seed, "shifts": {}} for seed in range(64)]

    def ask_for_more(number: int) -> None:
        question = {"page": "p", "channel": "film", "number": number, "psi": 1, "layers": None, "states": states}
        with contextlib.suppress(OSError, http.client.HTTPException):
            explorer.post("/frames", question)

    threads = [threading.Thread(target=ask_for_more, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    code, error = explorer.stop()
    for thread in threads:
        thread.join(timeout=30)
    assert (code, error) == (0, "")


def test_codes_of_a_file_are_drawn_as_edit_draws_them(finished: Path, tmp_path: Path) -> None:
    loaded = load_run(finished)
    codes = torch.randn(3, loaded.space.generator.w_dim, generator=torch.Generator().manual_seed(2))
    np.save(tmp_path / "photo.npy", codes.numpy())
    latents = OwnLatents.read(tmp_path / "photo.npy", loaded.space)
    assert latents.names == ("photo 0", "photo 1", "photo 2")
    state = FrameState(latent=1, shifts={0: 1.5})
    question = FramesRequest(page="p", channel="view", number=1, psi=0.3, layers=None, states=(state,))
    with open_server(loaded, PictureSettings(), latents=latents) as server:
        image = server.renderer.draw(question)
    given = {"--directions": finished, "--latents": tmp_path / "photo.npy", "--set": "0=1.5", "--out": tmp_path / "e"}
    assert run("edit", *(str(word) for option in given.items() for word in option)) == 0
    with Image.open(io.BytesIO(image)) as picture, Image.open(tmp_path / "e" / "edited_01.png") as edited:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(edited))


@pytest.mark.parametrize(
    ("codes", "reason"), [(np.zeros((2, 5)), "has shape"), (np.zeros((65, 8)), "at most 64"), (None, "cannot be read")]
)
def test_codes_that_the_page_cannot_show_are_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture, codes: np.ndarray | None, reason: str
) -> None:
    if codes is not None:
        np.save(tmp_path / "codes.npy", codes)
    assert run("explore", str(finished), "--no-browser", "--latents", str(tmp_path / "codes.npy")) in (1, 2)
    error = capsys.readouterr().err
    assert reason in error
    assert "--latents" in error
