"""Limits the number and the duration of the live server's connections, so that none of them blocks the others.

A connection is *asking* until its request has arrived, *working* while the answer is computed, *answering* while it is
sent, and *idle* until its next request. Only *working* has no time limit. If all places are taken, the connection that
has kept the server waiting longest is closed; new ones wait in the system's listen queue. A half-open connection
therefore occupies one place for seconds and never displaces another client's request.
"""

import io
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import LineTooLong
from typing import Literal

__all__ = ["Connections", "IncompleteRequestError", "Phase", "RequestReader", "most_connections"]

Phase = Literal["asking", "working", "answering", "idle"]

_LIMITS_S: dict[Phase, float] = {"asking": 10.0, "answering": 20.0, "idle": 30.0}
_GRACES_S: dict[Phase, float] = {"idle": 0.0, "asking": 1.0, "answering": 5.0}
"""Time limits of a connection while places are free, and while none is, in the order of closing."""

_MOST_CONNECTIONS = 512
_SWEEP_INTERVAL_S = 0.25


def most_connections() -> int:
    """Return 512, or half of the number of files that this process may open, if that is smaller."""
    try:
        import resource
    except ImportError:  # Windows
        return _MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(_MOST_CONNECTIONS, soft // 2))


@dataclass
class _Place:
    phase: Phase
    since_s: float
    cut: bool = False


class Connections:
    """The open connections, at most `most`. All methods may be called from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._places: dict[socket.socket, _Place] = {}
        self._swept_s = time.monotonic()

    def admit(self, connection: socket.socket) -> None:
        """Give `connection` a place, waiting until there is one."""
        with self._changed:
            while len(self._places) >= self._most:
                self._cut_one()
                self._changed.wait(0.05)
            self._places[connection] = _Place("asking", time.monotonic())

    def enter(self, connection: socket.socket, phase: Phase) -> None:
        """Record that `connection` is now in `phase`."""
        with self._changed:
            place = self._places[connection]
            place.phase, place.since_s = phase, time.monotonic()

    def is_cut(self, connection: socket.socket) -> bool:
        """Return whether this side closed the connection because it took too long."""
        with self._changed:
            return self._places[connection].cut

    def release(self, connection: socket.socket) -> None:
        """Free the place of `connection`, if it has one."""
        with self._changed:
            self._places.pop(connection, None)
            self._changed.notify_all()

    def sweep(self) -> None:
        """Close the connections that exceed their limit; cheap enough to be called continuously."""
        now_s = time.monotonic()
        with self._changed:
            if now_s - self._swept_s < _SWEEP_INTERVAL_S:
                return
            self._swept_s = now_s
            for connection, place in self._places.items():
                if place.phase != "working" and now_s - place.since_s > _LIMITS_S[place.phase]:
                    _cut(connection, place)

    def _cut_one(self) -> None:
        """Close the most dispensable connection, unless one that was closed has not been released yet."""
        if any(place.cut for place in self._places.values()):
            return
        now_s = time.monotonic()
        for phase, grace_s in _GRACES_S.items():
            waiting = [item for item in self._places.items() if item[1].phase == phase]
            oldest = min(waiting, key=lambda item: item[1].since_s, default=None)
            if oldest is not None and now_s - oldest[1].since_s >= grace_s:
                _cut(*oldest)
                return


def _cut(connection: socket.socket, place: _Place) -> None:
    """Close the connection; one that is still asking is only no longer read, so that it can receive the reason."""
    if not place.cut:
        place.cut = True
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD if place.phase == "asking" else socket.SHUT_RDWR)


class IncompleteRequestError(Exception):
    """The connection ended before its request was complete."""


class RequestReader(io.BufferedIOBase):
    """Reads requests from `stream`, with a limit on the size of heads, and detects incomplete ones.

    Args:
        stream: of the connection.
        max_head_bytes: request line and headers together.
    """

    def __init__(self, stream: io.BufferedReader, *, max_head_bytes: int) -> None:
        self._stream, self._max_head_bytes = stream, max_head_bytes
        self._left = max_head_bytes

    def begin(self) -> bool:
        """Wait for the first byte of a request; return whether there is one."""
        self._left = self._max_head_bytes
        return bool(self._stream.peek(1))

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line of the head.

        Raises:
            LineTooLong: the head is too large.
            IncompleteRequestError: the connection ended first.
        """
        line = self._stream.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("head of a request")
        if not line.endswith(b"\n"):
            raise IncompleteRequestError
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes of the body.

        Raises:
            IncompleteRequestError: the connection ended first.
        """
        assert size is not None, "a body is read by its length"
        body = self._stream.read(size)
        if len(body) < size:
            raise IncompleteRequestError
        return body

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
        super().close()
