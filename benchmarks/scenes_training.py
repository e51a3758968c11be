"""Shared by the training scripts for scenes: the run's state on disk, its log, averaged weights, and pictures."""

import argparse
import io
import json
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ganspace_topdis.runs.files import write_bytes, write_json

__all__ = ["Run", "cosine", "ema_update", "picture_sheet", "stop_requested"]


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
        kept = {name: value for name, value in vars(options).items() if name not in ("folder", "max_steps")}
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
