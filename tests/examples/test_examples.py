import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.vae.training.conftest import TinySprites
from vae.settings import TrainSettings
from vae.training import train

EXAMPLES = Path(__file__).parents[2] / "examples"


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
    settings = TrainSettings(num_latents=4, network="fc", width=0.1, steps=20, batch_size=16)
    train(settings, tmp_path / "run", data=TinySprites(), progress=lambda *_, **__: None)
    example("vae_decoder.py")["main"](str(tmp_path / "run"), steps=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("direction 0: rtd_before")
    assert lines[-1] == "vae.png"
    assert (tmp_path / "vae.png").stat().st_size > 0


@pytest.mark.parametrize("name", ["hand_built_generator.py", "vae_decoder.py"])
def test_the_documentation_shows_the_examples_as_they_are(name: str) -> None:
    page = (EXAMPLES.parent / "docs" / "other-generators.md").read_text(encoding="utf-8")
    assert f"```python\n{(EXAMPLES / name).read_text(encoding='utf-8')}```" in page
