"""Ctrl-C and SIGTERM that let the step finish and the work be saved.

    with Interrupt() as interrupt:
        while not finished:
            step()
            if interrupt.requested:
                save()
                interrupt.stop("saved after step 120; the same command goes on from there")

The first signal sets `requested` and says so on stderr. `stop` (or `check`, which does nothing while nothing was
requested) raises `StopRequestedError`, whose `exit_code` is 130 for SIGINT and 143 for SIGTERM. A second signal
ends the work at once. Outside the main thread, where Python allows no handlers, `requested` stays False.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from ganspace_topdis.errors import TopdisError

__all__ = ["Interrupt", "StopRequestedError"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STDERR = 2


class StopRequestedError(TopdisError):
    """A signal asked the command to stop, and it did, with its work saved."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Interrupt:
    """A context in which SIGINT and SIGTERM ask instead of kill. The former handlers come back after it.

    Args:
        notify: told once what happens next; writes a line to stderr by default.
    """

    def __init__(self, notify: Callable[[str], object] | None = None) -> None:
        self._notify = _to_stderr if notify is None else notify
        self._number: signal.Signals | None = None
        self._former: dict[signal.Signals, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal asked to stop."""
        return self._number is not None

    def check(self, message: str = "") -> None:
        """Raise `StopRequestedError` if a signal asked to stop."""
        if self.requested:
            self.stop(message)

    def stop(self, message: str = "") -> None:
        """Raise `StopRequestedError` for the signal that came (SIGINT if none); `message` says what was saved."""
        number = signal.SIGINT if self._number is None else self._number
        raise StopRequestedError(f"stopped by {number.name}{': ' if message else ''}{message}", number)

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)
        self._former.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._number is None:
            self._number = signal.Signals(number)
            self._notify(f"{self._number.name}: finishing the step and saving; once more stops at once")
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)


def _to_stderr(message: str) -> None:
    # Not print: a handler that interrupts a print to the same stream may not print to it again.
    start = "\n" if os.isatty(_STDERR) else ""
    with contextlib.suppress(OSError):
        os.write(_STDERR, f"{start}{message}\n".encode())
