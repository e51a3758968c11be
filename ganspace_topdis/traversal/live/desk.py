"""Whose turn it is to draw: one at a time, large images first, and of each page and channel only the newest.

A slider that is dragged asks for more images than can be drawn. Each question takes a `Ticket` when it arrives;
a ticket is stale as soon as a newer one of the same page and channel is there, and then it is not drawn. Long
work takes its turn again for each part, so that an urgent ticket waits for one part and not for all.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Desk", "StaleError", "Ticket"]

_MOST_QUEUES = 256


class StaleError(Exception):
    """A newer question of the same page and channel has arrived, or the desk is closed."""


@dataclass(frozen=True)
class Ticket:
    """A place in the queue `queue`; a larger `number` is newer."""

    queue: tuple[str, str]
    number: int
    urgent: bool


class Desk:
    """The turns of one generator. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._newest: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._busy = self._closed = False
        self._num_urgent = 0

    def take_ticket(self, queue: tuple[str, str], number: int, *, urgent: bool) -> Ticket:
        """A ticket that makes all older ones of its queue stale."""
        with self._condition:
            self._newest[queue] = max(number, self._newest.pop(queue, 0))
            if len(self._newest) > _MOST_QUEUES:
                self._newest.popitem(last=False)
            self._condition.notify_all()
        return Ticket(queue, number, urgent)

    @contextmanager
    def turn(self, ticket: Ticket) -> Iterator[None]:
        """Wait for a turn and hold it.

        Raises:
            StaleError: a newer ticket came while this one waited, or the desk was closed.
        """
        with self._condition:
            self._num_urgent += ticket.urgent
            try:
                self._condition.wait_for(lambda: self._is_stale(ticket) or self._may_go(ticket))
            finally:
                self._num_urgent -= ticket.urgent
            if self._is_stale(ticket):
                self._condition.notify_all()
                raise StaleError
            self._busy = True
        try:
            yield
        finally:
            with self._condition:
                self._busy = False
                self._condition.notify_all()

    def close(self) -> None:
        """Let nobody in any more, and wait until the turn that is under way is over."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: not self._busy)

    def _is_stale(self, ticket: Ticket) -> bool:
        return self._closed or ticket.number < self._newest.get(ticket.queue, 0)

    def _may_go(self, ticket: Ticket) -> bool:
        return not self._busy and (ticket.urgent or self._num_urgent == 0)
