"""Progress on stderr, and signals that stop a command after the current step.

    with ProgressReporter("discover") as progress, Interrupt() as interrupt:
        for step in range(num_steps):
            progress(step + 1, num_steps, loss=loss)
            if interrupt.requested:
                save()
                interrupt.stop("saved after step 120; the same command resumes from there")

Library code takes any `Progress`, that is, any callable of that signature. A terminal shows a bar, drawn by rich.
Without a terminal, or if TERM=dumb is set, a plain line is written every ten seconds, and nothing for shorter work;
NO_COLOR removes the color of the bar. The ETA is based on the pace of the last minute, so that a slow first step or the
steps of an earlier run do not distort it.

The first SIGINT (Ctrl-C) or SIGTERM sets `requested` and prints a line to stderr. `stop` raises `StopRequestedError`,
with `exit_code` 130 for SIGINT and 143 for SIGTERM. A second signal stops the command at once. Outside the main
thread, where Python allows no handlers, `requested` stays False.
"""

import contextlib
import io
import math
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from ganspace_topdis.errors import TopdisError

if TYPE_CHECKING:
    import rich.progress

__all__ = [
    "Interrupt",
    "Progress",
    "ProgressReporter",
    "StopRequestedError",
    "TimeLeft",
    "format_duration",
    "is_secondary_process",
    "plan_table",
]

_PLAIN_INTERVAL_S = 10.0
_DRAW_INTERVAL_S = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STDERR = 2


def is_secondary_process() -> bool:
    """Whether torchrun started this process with a rank other than 0; only rank 0 writes and prints."""
    return int(os.environ.get("RANK", "0")) > 0


class Progress(Protocol):
    """Called after every step: `progress(step, num_steps, loss=...)`."""

    def __call__(self, step: int, num_steps: int, **values: float) -> None:
        """Report that `step` of `num_steps` steps are done, with the `values` of the last step."""


class ProgressReporter:
    """A `Progress` that draws a bar, or writes a line every ten seconds. A context manager.

    Args:
        description: the work, in one or two words.
        stream: the output; stderr by default.
        clock: returns seconds; for tests.
    """

    def __init__(
        self,
        description: str,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._description, self._clock = description, clock
        self._stream = stream or sys.stderr or io.StringIO()  # programs without a console have no stderr
        self._time_left = TimeLeft()
        self._bar = _Bar(description, self._stream) if _draws_on(self._stream) else None
        self._shown_s = clock() if self._bar is None else -math.inf
        self._wrote = False

    def __call__(self, step: int, num_steps: int, **values: float) -> None:
        """Report that `step` of `num_steps` are done; cheap enough to call after every step."""
        now_s = self._clock()
        left_s = self._time_left.update(step, num_steps, now_s)
        last = step >= num_steps
        interval_s = _PLAIN_INTERVAL_S if self._bar is None else _DRAW_INTERVAL_S
        early = now_s - self._shown_s < interval_s and not (last and (self._bar is not None or self._wrote))
        if early or is_secondary_process():
            return
        self._shown_s, self._wrote = now_s, True
        details = _details(values, left_s)
        if self._bar is not None:
            self._bar.show(step, num_steps, details)
        else:
            self._stream.write(f"{self._description} {step}/{num_steps}  {details}\n")
            self._stream.flush()

    def __enter__(self) -> "ProgressReporter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


class TimeLeft:
    """Estimates the remaining time from the pace of the last `window_s` seconds."""

    def __init__(self, window_s: float = 60.0) -> None:
        self._window_s = window_s
        self._seen: deque[tuple[float, int]] = deque()
        self._last_step = 0

    def update(self, step: int, num_steps: int, now_s: float) -> float | None:
        """Return the seconds left after `step` of `num_steps` at time `now_s`; None while they are unknown."""
        paused = len(self._seen) > 2 and now_s - self._seen[-1][0] > self._window_s  # steps were quick, then none came
        if step < self._last_step or paused:
            self._seen.clear()  # other work has begun, or the process was suspended
        self._last_step = step
        if not self._seen or now_s - self._seen[-1][0] >= self._window_s / 60:  # bounds the number of entries
            self._seen.append((now_s, step))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - self._window_s:
            self._seen.popleft()
        start_s, start = self._seen[0]
        if step >= num_steps:
            return 0.0
        if step == start or now_s <= start_s:
            return None
        return (num_steps - step) * (now_s - start_s) / (step - start)


class _Bar:
    """A rich progress bar that appears with the first step and keeps its last state on the screen."""

    def __init__(self, description: str, stream: TextIO) -> None:
        self._description, self._stream = description, stream
        self._bar: rich.progress.Progress | None = None

    def show(self, step: int, num_steps: int, details: str) -> None:
        if self._bar is None:
            self._bar = self._start()
        self._bar.update(self._task, completed=step, total=num_steps, details=details, refresh=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _start(self) -> "rich.progress.Progress":
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[details]}"),
        )
        console = Console(file=self._stream, no_color=bool(os.environ.get("NO_COLOR")))  # as no-color.org defines it
        bar = Progress(*columns, console=console, auto_refresh=False, redirect_stdout=False)
        self._task = bar.add_task(self._description, details="")
        bar.start()
        return bar


def format_duration(seconds: float) -> str:
    """Format a duration with at most two units.

    Example:
        >>> [format_duration(s) for s in (4.2, 75, 3700, 90000)]
        ['4 s', '1 min 15 s', '1 h 1 min', '1 d 1 h']
    """
    total = round(seconds)
    days, hours, minutes = total // 86400, total // 3600 % 24, total // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {total % 60} s" if minutes else f"{total} s"


def plan_table(measured_on: str, parts: Sequence[tuple[str, float, str]], *, width: int) -> str:
    """The plan of a run: a heading, and a line for each part with its name, duration in seconds, and what it is.

    Args:
        measured_on: what was timed.
        parts: in their order; the last one is all.
        width: of the names.

    >>> print(plan_table("a step", [("search", 75, "100 steps"), ("all", 80, "")], width=8))
    plan, measured on a step here:
    search  about 1 min 15 s   100 steps
    all     about 1 min 20 s
    """
    lines = [
        f"{name:<{width}}about {format_duration(max(part_s, 1)):<13}{what}".rstrip() for name, part_s, what in parts
    ]
    return "\n".join([f"plan, measured on {measured_on} here:", *lines])


class StopRequestedError(TopdisError):
    """A signal stopped the command, after its work was saved."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Interrupt:
    """A context in which SIGINT and SIGTERM request a stop; on exit, the previous handlers are restored.

    Args:
        notify: called once with a message; writes a line to stderr by default.
    """

    def __init__(self, notify: Callable[[str], object] | None = None) -> None:
        self._notify = _to_stderr if notify is None else notify
        self._number: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has requested a stop."""
        return self._number is not None

    def check(self, message: str = "") -> None:
        """Raise `StopRequestedError` if a signal has requested a stop."""
        if self.requested:
            self.stop(message)

    def stop(self, message: str = "") -> None:
        """Raise `StopRequestedError` for the received signal (SIGINT if none); `message` describes what was saved."""
        number = signal.SIGINT if self._number is None else self._number
        raise StopRequestedError(f"stopped by {number.name}{': ' if message else ''}{message}", number)

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, signal.SIG_DFL if previous is None else previous)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._number is None:
            self._number = signal.Signals(number)
            self._notify(f"{self._number.name}: finishing the step and saving; once more stops at once")
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(128 + number)


def _details(values: dict[str, float], left_s: float | None) -> str:
    shown = [f"{name} {value:.4g}" for name, value in values.items()]
    if left_s is None:
        return "  ".join(shown)
    return "  ".join([*shown, "done" if left_s == 0 else f"{format_duration(left_s)} left"])


def _draws_on(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _to_stderr(message: str) -> None:
    # Not print: a handler that interrupts a print to the same stream must not print to it again.
    start = "\n" if os.isatty(_STDERR) else ""
    with contextlib.suppress(OSError):
        os.write(_STDERR, f"{start}{message}\n".encode())
