"""Shared by the scripts that train on drawn data: the data, a run's state on disk, its log, and pictures."""

import argparse
import dataclasses
import functools
import io
import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ganspace_topdis.factors import Factor
from ganspace_topdis.runs.files import write_bytes, write_json
from vae.data import pebbles, scenes, scenes_torch

__all__ = ["DATA", "DrawnData", "Run", "cosine", "drawn_data", "ema_update", "picture_sheet", "stop_requested"]

DATA = ("scenes", "pebbles")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DrawnData:
    """Images that are drawn from K continuous factors.

    Attributes:
        factors: as a factor network reads them.
        uniform_values: (n, torch.Generator) -> random factor values (n, K).
        images: values (N, K) -> images (N, 3, R, R) in [-1, 1].
        to_index_units: values (N, K) -> index units, as in `Factor`.
        of_indices: indices (N, K) -> images of the grid, as `images`.
    """

    factors: tuple[Factor, ...]
    uniform_values: Callable[[int, torch.Generator], Tensor]
    images: Callable[[Tensor], Tensor]
    to_index_units: Callable[[Tensor], Tensor]
    of_indices: Callable[[Tensor], Tensor]

    def draw(self, num: int, random: torch.Generator) -> Tensor:
        """Random images (num, 3, R, R)."""
        return self.images(self.uniform_values(num, random)).contiguous()


def drawn_data(name: str, resolution: int, table: Path | None = None) -> DrawnData:
    """The data set of that name in `DATA`; `table` is a file that keeps the table of geometries of scenes."""
    if name == "pebbles":
        return DrawnData(
            factors=pebbles.FACTORS,
            uniform_values=pebbles.uniform_values,
            images=lambda values: pebbles.draw(values, resolution),
            to_index_units=pebbles.to_index_units,
            of_indices=lambda indices: pebbles.draw(pebbles.from_index_units(indices), resolution),
        )
    geometries = functools.cache(lambda: scenes_torch.SceneTable(resolution, cache=table))  # a minute of ray casting
    return DrawnData(
        factors=scenes.FACTORS,
        uniform_values=scenes_torch.uniform_values,
        images=lambda values: geometries().images(values),
        to_index_units=scenes_torch.to_index_units,
        of_indices=lambda indices: _in_range(scenes.draw(indices.numpy(), resolution)),
    )


def _in_range(images: np.ndarray) -> Tensor:
    """Pixels (N, H, W, 3) of 0 to 255 as images (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1


class Run:
    """A folder with `state.pt` (everything needed to resume), `log.jsonl`, and whatever else a script writes."""

    def __init__(self, folder: Path, save_every_s: float = 240) -> None:
        self.folder = folder
        self.save_every_s = save_every_s
        folder.mkdir(parents=True, exist_ok=True)
        self._saved = time.monotonic()
        self._started = time.monotonic()

    def record_settings(self, options: argparse.Namespace) -> None:
        """Keep the command's options as `settings.json`, which the exported checkpoint includes."""
        of_process = ("folder", "max_steps", "max_minutes")
        kept = {name: value for name, value in vars(options).items() if name not in of_process}
        write_json(self.folder / "settings.json", json.loads(json.dumps(kept, default=str)))

    def load(self) -> dict[str, Any] | None:
        """The last state, or None for a new run."""
        path = self.folder / "state.pt"
        return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None

    def save(self, state: dict[str, Any]) -> None:
        """Replace the state atomically."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_bytes(self.folder / "state.pt", buffer.getvalue())
        self._saved = time.monotonic()

    @property
    def save_is_due(self) -> bool:
        """Whether the last state is older than `save_every_s`."""
        return time.monotonic() - self._saved >= self.save_every_s

    @property
    def elapsed_s(self) -> float:
        """Seconds since this process opened the run."""
        return time.monotonic() - self._started

    def log(self, **record: float) -> None:
        """Append a line to the log and print it."""
        line = json.dumps({"time": time.strftime("%H:%M:%S", time.gmtime()), **record})
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


@contextmanager
def stop_requested() -> Iterator[list[int]]:
    """A list that is empty until SIGINT or SIGTERM arrives, so that a loop can finish its step and save."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def cosine(progress: float, warmup: float = 0.01) -> float:
    """Learning-rate factor: a short linear start, then half a cosine down to zero at progress 1."""
    if progress < warmup:
        return max(progress, 1e-4) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


@torch.no_grad()
def ema_update(average: nn.Module, model: nn.Module, beta: float) -> None:
    """Move the averaged weights toward the model's by 1 - beta; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - beta)
    for mine, theirs in zip(average.buffers(), model.buffers(), strict=True):
        mine.copy_(theirs)


def picture_sheet(rows: list[Tensor], path: Path, zoom: int = 2) -> None:
    """Write rows of images (N, 3, H, W) in [-1, 1], one under the other, as PNG."""
    lines = [torch.cat(list(row), dim=2) for row in rows]
    sheet = torch.cat(lines, dim=1).float().clamp(-1, 1).permute(1, 2, 0).numpy()
    pixels = np.rint((sheet + 1) * 127.5).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)).save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())
