"""Renders the frames that pages request: one request at a time, large images first, stale requests never.

A slider that is dragged requests more images than can be drawn. Each request joins a queue when it arrives and is stale
as soon as a newer one of the same page and channel arrives; a stale request is dropped. The others are drawn in the
order of arrival, urgent ones (the large image) first. A long request gives up its turn after every few frames, so an
urgent one waits for a part of it only.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.traversal.explorer import encode_sprite
from ganspace_topdis.traversal.frames import Frames, LatentDirections, draw_frames
from ganspace_topdis.traversal.live.requests import CHANNELS, FramesRequest, FrameState

__all__ = ["LiveModel", "Renderer", "Request", "RequestQueue", "StaleError"]

_FILM_PX, _THUMB_PX = 256, 96
_TURN_S, _MAX_FRAMES_PER_TURN = 0.05, 8
"""An urgent request waits about this long: a turn draws as many frames as were drawn in that time before."""
_MAX_QUEUES = 256


class StaleError(Exception):
    """A newer request of the same page and channel has arrived, or the queue is closed."""


@dataclass(frozen=True)
class Request:
    """A queued request.

    Attributes:
        queue: page and channel.
        number: grows with every request of a page.
        urgent: whether it goes before requests that are not.
        arrival: its place in the order of arrival of all queues.
    """

    queue: tuple[str, str]
    number: int
    urgent: bool
    arrival: int


@dataclass(eq=False)
class _Waiting:
    """A waiting thread: `called` is set once its request may be drawn, or is stale."""

    request: Request
    called: threading.Event = field(default_factory=threading.Event)
    may_draw: bool = False


class RequestQueue:
    """The requests of one generator. All methods may be called from any thread and wake only the thread concerned."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn_over = threading.Condition(self._lock)
        self._newest: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._waiting: list[_Waiting] = []
        self._busy = self._closed = False
        self._num_arrived = 0

    def add(self, queue: tuple[str, str], number: int, *, urgent: bool) -> Request:
        """Return a new request, which makes all older ones of its queue stale."""
        with self._lock:
            self._newest[queue] = max(number, self._newest.pop(queue, 0))
            if len(self._newest) > _MAX_QUEUES:
                self._newest.popitem(last=False)
            self._num_arrived += 1
            self._dismiss_stale()
            return Request(queue, number, urgent, self._num_arrived)

    @contextmanager
    def turn(self, request: Request) -> Iterator[None]:
        """Wait for the generator and hold it.

        Raises:
            StaleError: a newer request arrived while this one waited, or the queue was closed.
        """
        waiting = _Waiting(request)
        with self._lock:
            if self._is_stale(request):
                raise StaleError
            self._waiting.append(waiting)
            self._call_next()
        waiting.called.wait()
        if not waiting.may_draw:
            raise StaleError
        try:
            yield
        finally:
            with self._lock:
                self._busy = False
                self._turn_over.notify_all()
                self._call_next()

    def close(self) -> None:
        """Refuse all requests from now on, and wait until the current turn is over."""
        with self._lock:
            self._closed = True
            self._dismiss_stale()
            self._turn_over.wait_for(lambda: not self._busy)

    def _call_next(self) -> None:
        """If the generator is free, give it to the first urgent request, else to the first."""
        if self._busy or not self._waiting:
            return
        chosen = min(self._waiting, key=lambda waiting: (not waiting.request.urgent, waiting.request.arrival))
        self._waiting.remove(chosen)
        self._busy = chosen.may_draw = True
        chosen.called.set()

    def _dismiss_stale(self) -> None:
        for waiting in [each for each in self._waiting if self._is_stale(each.request)]:
            self._waiting.remove(waiting)
            waiting.called.set()

    def _is_stale(self, request: Request) -> bool:
        return self._closed or request.number < self._newest.get(request.queue, 0)


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """A generator with its directions, as the live page uses them.

    Attributes:
        generate: codes and a truncation -> images (N, C, H, W), with constant noise.
        directions: the directions.
        code_of_seed: a seed and a truncation -> a code (1, D), or (1, num_layers, D).
        latents: codes of the user, in the same form, (N, ...); they are not truncated.
        image_px: height and width of the images.
        num_channels: of the images: 1, 3 or 4.
        num_layers: number of layers that can be shifted separately; None if codes have no layers.
        layers: the layers that are shifted initially; None for all.
        own_layers: those that the command of the page shifts where it names none; None for all.
        layer_ranges: named sets of layers, shown on the page.
    """

    generate: Callable[[Tensor, float], Tensor]
    directions: LatentDirections
    code_of_seed: Callable[[int, float], Tensor]
    image_px: tuple[int, int]
    num_channels: int = 3
    num_layers: int | None = None
    layers: tuple[int, ...] | None = None
    own_layers: tuple[int, ...] | None = None
    layer_ranges: Sequence[tuple[str, tuple[int, ...]]] = ()
    latents: Tensor | None = None

    @property
    def num_latents(self) -> int:
        """The number of codes of the user."""
        return 0 if self.latents is None else len(self.latents)


class Renderer:
    """Draws frames for any number of pages.

    Args:
        model: the generator and its directions.
        max_size_px: larger images are reduced to this before they are sent.
    """

    def __init__(self, model: LiveModel, *, max_size_px: int = 1024) -> None:
        self.model = model
        self._max_size_px = max_size_px
        self._queue = RequestQueue()
        self._frame_s = _TURN_S

    def size(self, channel: str) -> tuple[int, int]:
        """Return width and height of a channel's frames, in pixels."""
        height, width = self.model.image_px
        scale = min(1.0, self._limit(channel) / max(height, width))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def draw(self, frames: FramesRequest) -> bytes:
        """Return the requested frames side by side, as a WebP image.

        Raises:
            StaleError: a newer request of the same page and channel came before this one was drawn.
            TopdisError: the generator drew NaN.
        """
        urgent = frames.channel == CHANNELS[0]
        request = self._queue.add((frames.page, frames.channel), frames.number, urgent=urgent)
        parts: list[Frames] = []
        while (num_drawn := sum(map(len, parts))) < len(frames.states):
            with self._queue.turn(request):
                part = frames.states[num_drawn : num_drawn + self._frames_per_turn()]
                parts.append(self._draw_states(part, frames))
        return encode_sprite(np.concatenate(parts))

    def close(self) -> None:
        """Draw nothing more, and wait for the current turn: a process must not exit inside the generator."""
        self._queue.close()

    def _frames_per_turn(self) -> int:
        return max(1, min(_MAX_FRAMES_PER_TURN, int(_TURN_S / self._frame_s)))

    def _draw_states(self, states: Sequence[FrameState], request: FramesRequest) -> Frames:
        start_s = time.monotonic()
        parts: list[Frames] = []
        for is_seed, group in groupby(states, lambda state: state.latent is None):
            with torch.no_grad():
                codes = torch.cat([self._code(state, request) for state in group])
            draw = partial(self._generate, request.psi if is_seed else 1.0)
            parts.append(draw_frames(draw, codes, max_size_px=self._limit(request.channel)))
        self._frame_s = max(1e-4, (time.monotonic() - start_s) / len(states))
        return np.concatenate(parts)

    def _code(self, state: FrameState, request: FramesRequest) -> Tensor:
        if state.latent is None:
            code = self.model.code_of_seed(state.seed, request.psi)
        else:
            assert self.model.latents is not None, "the request was validated"
            code = self.model.latents[state.latent : state.latent + 1]
        for index, shift in state.shifts.items():
            code = self.model.directions.move(code, index, shift, layers=request.layers)
        return code

    def _generate(self, psi: float, codes: Tensor) -> Tensor:
        return self.model.generate(codes, psi)

    def _limit(self, channel: str) -> int:
        return {"view": self._max_size_px, "film": _FILM_PX}.get(channel, _THUMB_PX)
