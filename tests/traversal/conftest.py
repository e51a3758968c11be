"""A generator whose frames are known, and a browser."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganspace_topdis.traversal.explorer import build_explorer, write_explorer
from ganspace_topdis.traversal.frames import Frames, step_values, traverse_all
from ganspace_topdis.traversal.mixing import MixedFrames, draw_mixed
from ganspace_topdis.traversal.names import DirectionLabel
from tests.traversal.chromium import Browser, find_browser
from tests.traversal.pages import LABELS, NUM_STEPS, SEEDS, Open, settle


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium or Chrome is installed")
    chromium = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.close()


class Paint:
    """A generator with one number of the code a channel: channel c of the image is tanh(code[c] / 2) all over."""

    def __init__(self, num_channels: int = 3, height: int = 8, width: int = 8) -> None:
        self.num_channels, self.height, self.width = num_channels, height, width
        self.batches: list[int] = []

    def __call__(self, codes: Tensor) -> Tensor:
        self.batches.append(len(codes))
        flat = codes if codes.ndim == 2 else codes.mean(1)
        values = torch.tanh(flat[:, : self.num_channels] / 2)
        return values[:, :, None, None].expand(-1, -1, self.height, self.width)


class Axes:
    """Directions that are the coordinate axes of a code of `num_directions` numbers."""

    def __init__(self, num_directions: int = 3) -> None:
        self.num_directions = num_directions

    def move(self, codes: Tensor, index: int, amount: float | Tensor, *, layers: Sequence[int] | None = None) -> Tensor:
        moved = codes.clone()
        if layers is None:
            moved[..., index] += amount
        else:
            moved[:, list(layers), index] += amount
        return moved


@pytest.fixture
def paint() -> Callable[..., Paint]:
    return Paint


@pytest.fixture
def axes() -> Axes:
    return Axes()


@pytest.fixture
def codes() -> torch.Tensor:
    return torch.randn(3, 3, generator=torch.Generator().manual_seed(1)) / 2


@pytest.fixture
def frames(paint: Any, axes: Any, codes: torch.Tensor) -> Frames:
    return traverse_all(paint(3, 32, 32), codes, axes, num_steps=NUM_STEPS, extent=2.0)


@pytest.fixture
def mixed(paint: Any, axes: Any, codes: torch.Tensor) -> MixedFrames:
    return draw_mixed(paint(3, 32, 32), codes, axes, indices=[0, 1, 2], extent=2.0, num_steps=NUM_STEPS)


@pytest.fixture
def open_page(browser: Any, tmp_path: Path, frames: Frames) -> Open:
    """Write the page, open it, and wait for its first image."""

    def opened(labels: list[DirectionLabel] = LABELS, **options: Any) -> Any:
        options = {"source": tmp_path.name, **options}  # what the browser keeps of one test is not of another
        page = build_explorer(frames, labels, step_values(2.0, NUM_STEPS), SEEDS, **options)
        browser.open(write_explorer(tmp_path / "explorer.html", page))
        settle(browser)
        return browser

    return opened
