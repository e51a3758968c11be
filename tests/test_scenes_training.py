import sys
from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import export_scenes  # noqa: E402
import train_scenes_factors  # noqa: E402
import train_scenes_fitted  # noqa: E402
import train_scenes_gan  # noqa: E402

import stylegan2  # noqa: E402
from vae.data.scenes_torch import (  # noqa: E402
    CodeToFactors,
    SceneTable,
    to_index_units,
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that stands for the full table of 32 px, without the minute of ray casting."""
    path = tmp_path_factory.mktemp("table") / "table.bin"
    small = SceneTable(32, num_scales=1, num_orientations=1, samples=1)
    path.write_bytes(np.tile(small.maps[:1].numpy().reshape(-1), 4 * 41 * 121).tobytes())
    return path


def run(script: object, folder: Path, table: Path, steps: int, *more: str) -> dict:
    folder.mkdir(exist_ok=True)
    (folder / "table.bin").write_bytes(table.read_bytes())
    script.main([str(folder), "--batch", "4", "--max-steps", str(steps), *more])
    return torch.load(folder / "state.pt", weights_only=True)


def flattened(state: dict) -> list[torch.Tensor]:
    found = []
    for value in state.values():
        if isinstance(value, dict):
            found += flattened(value)
        elif isinstance(value, torch.Tensor):
            found.append(value)
    return found


@pytest.mark.parametrize(
    ("script", "more"),
    [
        (train_scenes_gan, ("--style-mixing", "0.9", "--path-length", "2")),
        (train_scenes_fitted, ()),
    ],
)
def test_a_run_in_two_parts_equals_one_in_one_go(script: object, more: tuple, tmp_path: Path, table: Path) -> None:
    whole = run(script, tmp_path / "whole", table, 2, *more)
    run(script, tmp_path / "parts", table, 1, *more)
    parts = run(script, tmp_path / "parts", table, 1, *more)
    pairs = list(zip(flattened(whole), flattened(parts), strict=True))
    assert len(pairs) > 50
    assert all(torch.equal(a, b) for a, b in pairs)


def test_exported_generator_is_the_average_and_keeps_the_truth(tmp_path: Path, table: Path) -> None:
    state = run(train_scenes_fitted, tmp_path / "fit", table, 1)
    export_scenes.main([str(tmp_path / "fit"), str(tmp_path / "out.safetensors")])
    generator = stylegan2.load(tmp_path / "out.safetensors")
    assert torch.allclose(generator.synthesis.b4.const, state["average"]["synthesis.b4.const"], atol=2e-3)
    source = export_scenes.description(state, {"seed": 0, "batch": 4})
    again = CodeToFactors.from_metadata(source["truth"])
    assert torch.equal(again.rotation, CodeToFactors.random(64, 0).rotation)


def test_factors_of_a_code_follow_orthonormal_directions_uniformly() -> None:
    codes = CodeToFactors.random(64, 3)
    assert torch.allclose(codes.rotation @ codes.rotation.T, torch.eye(6), atol=1e-5)
    index = to_index_units(codes.values(torch.randn(8000, 64, generator=torch.Generator().manual_seed(0))))
    assert torch.allclose(index.mean(dim=0), torch.tensor([5.0, 5, 5, 3.5, 1.5, 7]), rtol=0.03)


def test_blur_of_width_zero_leaves_an_image_alone_and_others_keep_their_mean() -> None:
    images = torch.rand(2, 3, 32, 32)
    soft = train_scenes_factors.blurred(images, torch.tensor([0.0, 1.0]))
    assert torch.allclose(soft[0], images[0], atol=1e-6)
    assert soft[1].std() < 0.5 * images[1].std()
    assert soft[1].mean() == pytest.approx(float(images[1].mean()), abs=0.02)
