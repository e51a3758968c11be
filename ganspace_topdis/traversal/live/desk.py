"""Whose turn it is to draw: one at a time, large images first, and of each page and channel only the newest.

A slider that is dragged asks for more images than can be drawn. Each question takes a `Ticket` when it arrives;
a ticket is stale as soon as a newer one of the same page and channel is there, and then it is not drawn. The others
are drawn in the order of their arrival. Long work takes its turn again for each part, so that an urgent ticket waits
for one part and not for all.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Desk", "StaleError", "Ticket"]

_MOST_QUEUES = 256


class StaleError(Exception):
    """A newer question of the same page and channel has arrived, or the desk is closed."""


@dataclass(frozen=True)
class Ticket:
    """A place in the queue `queue`; a larger `number` is newer. `arrival` counts the tickets of all queues."""

    queue: tuple[str, str]
    number: int
    urgent: bool
    arrival: int


@dataclass(eq=False)
class _Waiting:
    """A thread that waits: `called` is set once it may go, or is stale."""

    ticket: Ticket
    called: threading.Event = field(default_factory=threading.Event)
    may_go: bool = False


class Desk:
    """The turns of one generator. All methods may be called from any thread; each wakes only whom it concerns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn_over = threading.Condition(self._lock)
        self._newest: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._waiting: list[_Waiting] = []
        self._busy = self._closed = False
        self._num_arrived = 0

    def take_ticket(self, queue: tuple[str, str], number: int, *, urgent: bool) -> Ticket:
        """A ticket that makes all older ones of its queue stale."""
        with self._lock:
            self._newest[queue] = max(number, self._newest.pop(queue, 0))
            if len(self._newest) > _MOST_QUEUES:
                self._newest.popitem(last=False)
            self._num_arrived += 1
            self._dismiss_stale()
            return Ticket(queue, number, urgent, self._num_arrived)

    @contextmanager
    def turn(self, ticket: Ticket) -> Iterator[None]:
        """Wait for a turn and hold it.

        Raises:
            StaleError: a newer ticket came while this one waited, or the desk was closed.
        """
        waiting = _Waiting(ticket)
        with self._lock:
            if self._is_stale(ticket):
                raise StaleError
            self._waiting.append(waiting)
            self._call_next()
        waiting.called.wait()
        if not waiting.may_go:
            raise StaleError
        try:
            yield
        finally:
            with self._lock:
                self._busy = False
                self._turn_over.notify_all()
                self._call_next()

    def close(self) -> None:
        """Let nobody in any more, and wait until the turn that is under way is over."""
        with self._lock:
            self._closed = True
            self._dismiss_stale()
            self._turn_over.wait_for(lambda: not self._busy)

    def _call_next(self) -> None:
        """Give the turn, where it is free, to the first urgent ticket, else to the first."""
        if self._busy or not self._waiting:
            return
        chosen = min(self._waiting, key=lambda waiting: (not waiting.ticket.urgent, waiting.ticket.arrival))
        self._waiting.remove(chosen)
        self._busy = chosen.may_go = True
        chosen.called.set()

    def _dismiss_stale(self) -> None:
        for waiting in [each for each in self._waiting if self._is_stale(each.ticket)]:
            self._waiting.remove(waiting)
            waiting.called.set()

    def _is_stale(self, ticket: Ticket) -> bool:
        return self._closed or ticket.number < self._newest.get(ticket.queue, 0)
