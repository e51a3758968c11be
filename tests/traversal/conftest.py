"""A generator whose frames are known, and a browser."""

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor

from tests.traversal.chromium import Browser, find_browser


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
