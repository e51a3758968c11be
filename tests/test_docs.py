"""The documentation's Python runs as it is printed: every block of the pages, the examples, and the notebook."""

import dataclasses
import functools
import http.client
import json
import os
import re
import runpy
import shlex
import sys
import textwrap
import threading
import webbrowser
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from PIL import Image

import ganspace_topdis
import stylegan2
import vae.evaluation.run
import vae.training
from ganspace_topdis import program
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs import progress
from ganspace_topdis.traversal.live.server import LiveServer
from vae.data import open_data
from vae.evaluation.metrics import EvaluationSettings
from vae.settings import TopDisSettings, TrainSettings

nbformat = pytest.importorskip("nbformat", reason="the test extra brings it")
nbclient = pytest.importorskip("nbclient", reason="the test extra brings it")

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
EXAMPLES = ROOT / "examples"
SMALL_SPRITES = "dsprites:posX=4,posY=4,orientation=4"


def python_blocks(page: Path) -> list[str]:
    """The fenced Python blocks of a page, and the indented ones that import something."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", rest, flags=re.MULTILINE)
    return fenced + [textwrap.dedent(block) for block in indented if re.search(r"^ {4}(from|import) ", block, re.M)]


def axes(num_codes: int) -> Directions:
    """Directions along the first four latents."""
    vectors = torch.eye(4, num_codes)
    return Directions(
        vectors=vectors, dual_vectors=vectors, mean=torch.zeros(num_codes), span=vectors, scales=torch.ones(4)
    )


def readme() -> dict[str, Any]:
    torch.manual_seed(0)
    return {
        "generate": lambda codes: torch.tanh(codes @ torch.eye(5, 12)),
        "sample_codes": lambda num, generator: torch.randn(num, 5, generator=generator),
        "codes": torch.randn(6, 5),
        "features_before": torch.randn(6, 3),
        "features_after": torch.randn(6, 3),
    }


def traversals() -> dict[str, Any]:
    axes(10).save(Path("runs/ffhq/directions.safetensors"))
    names = {"format": "topdis-gan names", "directions": {"3": {"name": "Smile"}}}
    Path("names.json").write_text(json.dumps(names), encoding="utf-8")
    return {"generate": lambda codes: codes[:, :3, None, None].expand(-1, -1, 64, 64), "codes": torch.randn(2, 10)}


def checkpoints() -> dict[str, Any]:
    generator = stylegan2.Generator(z_dim=8, w_dim=8, img_resolution=16, channel_base=128, channel_max=16)
    stylegan2.save(generator.eval(), "own.safetensors")
    Path("own.safetensors").rename("ffhq.pkl")  # formats are detected from the content
    return {}


def spaces() -> dict[str, Any]:
    from stylegan2.space import LatentSpace

    space = LatentSpace(generator=stylegan2.load("scenes"), name="s", resolution=16)
    return {"directions": axes(space.codes_of_seeds([1]).shape[1])}


def train_vae() -> dict[str, Any]:
    return {"images": torch.rand(2, 1, 64, 64)}


def evaluate_vae() -> dict[str, Any]:
    settings = TrainSettings(data=SMALL_SPRITES, num_latents=4, network="fc", width=0.1, steps=2, batch_size=16)
    vae.training.train(settings, "runs/x", progress=lambda *_, **__: None)
    return {"model": vae.training.load_trained("runs/x").model, "data": open_data(SMALL_SPRITES)}


def metrics() -> dict[str, Any]:
    torch.manual_seed(0)
    factors = torch.randint(4, (150, 3))
    codes = factors + 0.1 * torch.randn(150, 3)
    return {
        "codes": codes,
        "factors": factors,
        "codes_test": codes,
        "factors_test": factors,
        "batches": [(codes, factors)],
        "encode": lambda images: images,
    }


def datasets() -> dict[str, Any]:
    import numpy as np

    return {"generator": np.random.default_rng(0)}


def explore() -> dict[str, Any]:
    return {
        "torch": torch,
        "generate": lambda codes: codes[:, :3, None, None].expand(-1, -1, 64, 64),
        "directions": axes(10),
    }


GIVEN = {
    "README.md": readme,
    "docs/checkpoints.md": checkpoints,
    "docs/datasets.md": datasets,
    "docs/directions.md": dict,
    "docs/evaluate-vae.md": evaluate_vae,
    "docs/explore.md": explore,
    "docs/metrics.md": metrics,
    "docs/scenes.md": dict,
    "docs/spaces.md": spaces,
    "docs/train-vae.md": train_vae,
    "docs/traversals.md": traversals,
}
"""What each page takes as given: the reader's own generator, codes and files."""
ELSEWHERE = {"docs/other-generators.md"}  # its blocks are the examples, which are tested below


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Shortens trainings and searches, and asks a live page for its answer instead of serving for ever."""
    answers: list[int] = []
    train = vae.training.train

    def few_steps(settings: TrainSettings, *arguments: Any, **options: Any) -> Any:
        return train(
            dataclasses.replace(settings, data=SMALL_SPRITES, steps=1, topdis=TopDisSettings(weight=1.0)),
            *arguments,
            **{"progress": lambda *_, **__: None, **options},
        )

    def ask(server: Any) -> None:
        threading.Thread(target=forever, args=(server, 0.02), daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        answers.append(answer.status)
        server.shutdown()

    forever = LiveServer.serve_forever
    monkeypatch.setattr(LiveServer, "serve_forever", ask)
    monkeypatch.setattr(vae.training, "train", few_steps)
    search = functools.partial(ganspace_topdis.discover_directions, steps=2)
    monkeypatch.setattr(ganspace_topdis, "discover_directions", search, raising=False)
    measure = vae.evaluation.run.measure
    one_metric = EvaluationSettings(metrics=("mig",))

    def one(model: Any, data: Any, settings: EvaluationSettings, **options: Any) -> Any:
        return measure(model, data, one_metric, **options)

    monkeypatch.setattr(vae.evaluation.run, "measure", one)
    return answers


@pytest.mark.parametrize("page", sorted(GIVEN))
def test_the_python_of_a_page_runs_as_it_is_printed(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: list[int]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "ffhq").mkdir(parents=True)
    blocks = python_blocks(ROOT / page)
    assert blocks
    given = GIVEN[page]()
    for block in blocks:
        exec(compile(block.replace("port=8000", "port=0"), page, "exec"), given)
    assert quick == ([200] if page == "docs/explore.md" else [])


def test_every_page_with_python_is_tested() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    with_python = {page.relative_to(ROOT).as_posix() for page in pages if python_blocks(page)}
    assert with_python == set(GIVEN) | ELSEWHERE


def commands_of(page: Path) -> list[list[str]]:
    """The words of every `topdis-gan COMMAND ...` that a page shows, without those after a comment or `&&`."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [found.split() for found in re.findall(r"topdis-gan ((?:[a-z][a-z-]* ?)[^`\n#|&]*)", text)]


def unknown_options(words: list[str]) -> list[str]:
    """The options of a command line that the command does not have."""
    command: Any = program.cli
    context = click.Context(command)
    while isinstance(command, click.Group) and words and (inner := command.get_command(context, words[0])):
        command, words, context = inner, words[1:], click.Context(inner, parent=context)
    known = {name for option in command.get_params(context) for name in [*option.opts, *option.secondary_opts]}
    typed = [word.partition("=")[0].strip(".,;:)") for word in words if re.match(r"--[a-z]", word)]
    return [option for option in typed if option not in known | {"--help"}]


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))])
def test_every_option_of_a_command_that_a_page_shows_exists(page: str) -> None:
    wrong = {" ".join(words): unknown_options(words) for words in commands_of(ROOT / page)}
    assert {command: options for command, options in wrong.items() if options} == {}


def test_unknown_options_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("    topdis-gan discover --out x \\\n        --offset=1 && topdis-gan data check --all  # --not\n")
    assert [unknown_options(words) for words in commands_of(page)] == [["--offset"], ["--all"]]


SHORT = {"STEPS": "1", "NUM_SPAN_CODES": "200", "BATCH_SIZE": "16", "MIX": "0"}
"""Options of a search, given in the environment together with a small checkpoint, so that commands run as printed."""


@pytest.mark.slow
def test_the_commands_of_the_gallery_run_as_they_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    small = stylegan2.Generator(
        z_dim=8, w_dim=8, img_resolution=32, num_mapping_layers=1, channel_base=64, channel_max=8
    )
    for name, value in {**SHORT, "CKPT": str(stylegan2.save(small.eval(), tmp_path / "small.safetensors"))}.items():
        monkeypatch.setenv(f"TOPDIS_{name}", value)
    monkeypatch.setattr(webbrowser, "open", lambda url: None)
    commands = re.findall(r"^ {4}topdis-gan (.*)$", (ROOT / "docs/gallery.md").read_text(encoding="utf-8"), re.M)
    assert len(commands) >= 10
    for line in commands:
        is_search = line.startswith("discover")
        monkeypatch.setattr(progress.Interrupt, "requested", not is_search)  # the live page ends when it answers
        assert program.cli.main(args=shlex.split(line), prog_name="topdis-gan", standalone_mode=False) in (None, 0), (
            line
        )
    printed = capsys.readouterr().out.split()
    assert [path for path in printed if path.endswith(".png") and not Path(path).exists()] == []


def test_the_pictures_of_the_gallery_exist_and_are_small() -> None:
    page = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")
    pictures = [ROOT / "docs" / path for path in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)]
    assert len(pictures) == 10
    assert sum(path.stat().st_size for path in pictures) < 1_500_000


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name))


def test_the_hand_built_generators_directions_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    example("hand_built_generator.py")["main"](steps=60)
    *matrix, path = capsys.readouterr().out.replace("[", " ").replace("]", " ").split("\n")[:4]
    cosines = torch.tensor([[float(part) for part in row.strip("tensor( ,)").split(",")] for row in matrix])
    assert (cosines.max(dim=1).values > 0.9).all()
    assert sorted(cosines.argmax(dim=1).tolist()) == [0, 1, 2]
    with Image.open(tmp_path / path) as picture:
        assert picture.format == "PNG"


def test_a_trained_vaes_decoder_has_directions_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = TrainSettings(data=SMALL_SPRITES, num_latents=4, network="fc", width=0.1, steps=20, batch_size=16)
    vae.training.train(settings, tmp_path / "run", progress=lambda *_, **__: None)
    example("vae_decoder.py")["main"](str(tmp_path / "run"), steps=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("direction 0: rtd_before")
    assert lines[-1] == "vae.png"
    assert (tmp_path / "vae.png").stat().st_size > 0


@pytest.mark.parametrize("name", ["hand_built_generator.py", "vae_decoder.py"])
def test_the_documentation_shows_the_examples_as_they_are(name: str) -> None:
    page = (EXAMPLES.parent / "docs" / "other-generators.md").read_text(encoding="utf-8")
    assert f"```python\n{(EXAMPLES / name).read_text(encoding='utf-8')}```" in page


@pytest.fixture(scope="module")
def stored() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def kinds(notebook: Any) -> list[list[str]]:
    """For each code cell what it showed: pictures, tables, text."""
    return [
        sorted({kind for output in cell.outputs for kind in output.get("data", {"text/plain": ""})})
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_the_stored_notebook_is_executed_in_order_and_small(stored: Any) -> None:
    nbformat.validate(stored)
    cells = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert NOTEBOOK.stat().st_size < 1_000_000
    shown = {kind for cell in kinds(stored) for kind in cell}
    assert {"image/png", "text/html"} <= shown


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_and_shows_what_is_stored(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    notebook = nbformat.from_dict(stored)
    expected = kinds(stored)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    )
    client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/jpeg", None)
    assert kinds(notebook) == expected
