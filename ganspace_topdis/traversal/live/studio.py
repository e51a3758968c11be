"""From a page's question to an image: codes of seeds, moved along directions, drawn in their turn."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.traversal.frames import Frames, MovesCodes, draw_frames
from ganspace_topdis.traversal.live.desk import Desk
from ganspace_topdis.traversal.live.questions import CHANNELS, FramesQuestion, FrameState
from ganspace_topdis.traversal.strips import encode_strip

__all__ = ["LiveModel", "Studio"]

_THUMB_PX = 96
_TURN_S, _MOST_A_TURN = 0.05, 8
"""An urgent question waits for about this long: a turn has as many frames as were drawn in that time before."""


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """A generator with its directions, as the live page uses them.

    Attributes:
        generate: draws images (N, C, H, W) of codes, under a truncation, with constant noise.
        directions: the directions.
        code_of_seed: a seed and a truncation to a code (1, D), or (1, num_layers, D).
        image_px: height and width of its images.
        num_channels: of its images: 1, 3 or 4.
        num_layers: layers that can move one by one; None where codes have none.
        layers: the layers that move at first; None for all.
        layer_ranges: named choices of layers, for the page.
    """

    generate: Callable[[Tensor, float], Tensor]
    directions: MovesCodes
    code_of_seed: Callable[[int, float], Tensor]
    image_px: tuple[int, int]
    num_channels: int = 3
    num_layers: int | None = None
    layers: tuple[int, ...] | None = None
    layer_ranges: Sequence[tuple[str, tuple[int, ...]]] = ()


class Studio:
    """Draws for any number of pages at once.

    Args:
        model: what draws.
        max_size_px: larger images are reduced to this before they are sent.
    """

    def __init__(self, model: LiveModel, *, max_size_px: int = 1024) -> None:
        self.model = model
        self._max_size_px = max_size_px
        self._desk = Desk()
        self._frame_s = _TURN_S

    def size(self, channel: str) -> tuple[int, int]:
        """Width and height of a channel's frames, pixels."""
        height, width = self.model.image_px
        scale = min(1.0, self._limit(channel) / max(height, width))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def draw(self, question: FramesQuestion) -> bytes:
        """The frames asked for, side by side, as a WebP image.

        Raises:
            StaleError: a newer question of the same page and channel came before this one was drawn.
            TopdisError: the generator drew NaN.
        """
        urgent = question.channel == CHANNELS[0]
        ticket = self._desk.take_ticket((question.page, question.channel), question.number, urgent=urgent)
        parts: list[Frames] = []
        while (num_drawn := sum(map(len, parts))) < len(question.states):
            with self._desk.turn(ticket):
                part = question.states[num_drawn : num_drawn + self._num_a_turn()]
                parts.append(self._frames(part, question))
        return encode_strip(np.concatenate(parts))

    def close(self) -> None:
        """Draw nothing more, and wait for what is being drawn: a process must not end inside the generator."""
        self._desk.close()

    def _num_a_turn(self) -> int:
        return max(1, min(_MOST_A_TURN, int(_TURN_S / self._frame_s)))

    def _frames(self, states: Sequence[FrameState], question: FramesQuestion) -> Frames:
        start_s = time.monotonic()
        with torch.no_grad():
            codes = torch.cat([self._code(state, question) for state in states])
        frames = draw_frames(partial(self._generate, question.psi), codes, max_size_px=self._limit(question.channel))
        self._frame_s = max(1e-4, (time.monotonic() - start_s) / len(frames))
        return frames

    def _code(self, state: FrameState, question: FramesQuestion) -> Tensor:
        code = self.model.code_of_seed(state.seed, question.psi)
        for index, shift in state.shifts.items():
            code = self.model.directions.move(code, index, shift, layers=question.layers)
        return code

    def _generate(self, psi: float, codes: Tensor) -> Tensor:
        return self.model.generate(codes, psi)

    def _limit(self, channel: str) -> int:
        return self._max_size_px if channel == CHANNELS[0] else _THUMB_PX
