"""Progress for people, on stderr: steps done, the step's values, and a time left that can be believed.

    with ProgressReporter("discover") as progress:
        for step in range(num_steps):
            progress(step + 1, num_steps, loss=loss)

Library code takes any `Progress`, that is, any callable of that form. On a terminal a bar is drawn with rich.
Without a terminal, or where NO_COLOR or TERM=dumb ask for none, a plain line appears every half minute, and
nothing at all for work shorter than that. The time left comes from the pace of the last minute, not from the
start, so neither a slow first step nor steps of an earlier run distort it.
"""

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    import rich.progress

from ganspace_topdis.runs.ranks import is_follower

__all__ = ["Progress", "ProgressReporter", "TimeLeft", "format_duration"]

_PLAIN_INTERVAL_S = 30.0
_DRAW_INTERVAL_S = 0.1


class Progress(Protocol):
    """Called after every step: `progress(step, num_steps, loss=...)`."""

    def __call__(self, step: int, num_steps: int, **values: float) -> None:
        """`step` of `num_steps` steps are done; `values` are the last step's."""


class TimeLeft:
    """Estimates the time to the end from the pace within the last `window_s` seconds."""

    def __init__(self, window_s: float = 60.0) -> None:
        self._window_s = window_s
        self._seen: deque[tuple[float, int]] = deque()
        self._last_step = 0

    def update(self, step: int, num_steps: int, now_s: float) -> float | None:
        """Seconds left after `step` of `num_steps` at the time `now_s`; None while nothing can be said."""
        if step < self._last_step:
            self._seen.clear()  # other work began
        self._last_step = step
        if not self._seen or now_s - self._seen[-1][0] >= self._window_s / 60:  # few, however short the steps
            self._seen.append((now_s, step))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - self._window_s:
            self._seen.popleft()
        start_s, start = self._seen[0]
        if step >= num_steps:
            return 0.0
        if step == start or now_s <= start_s:
            return None
        return (num_steps - step) * (now_s - start_s) / (step - start)


class ProgressReporter:
    """A `Progress` that draws a bar, or writes a line now and then (see the module). A context manager.

    Args:
        description: what is being done, in a word or two.
        stream: where to; stderr by default.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        description: str,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._description, self._clock = description, clock
        self._stream = sys.stderr if stream is None else stream
        self._time_left = TimeLeft()
        self._bar = _Bar(description, self._stream) if _draws_on(self._stream) else None
        self._shown_s = clock() if self._bar is None else -math.inf
        self._wrote = False

    def __call__(self, step: int, num_steps: int, **values: float) -> None:
        """Show that `step` of `num_steps` are done; cheap enough for every step."""
        now_s = self._clock()
        left_s = self._time_left.update(step, num_steps, now_s)
        last = step >= num_steps
        interval_s = _PLAIN_INTERVAL_S if self._bar is None else _DRAW_INTERVAL_S
        early = now_s - self._shown_s < interval_s and not (last and (self._bar is not None or self._wrote))
        if early or is_follower():
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


class _Bar:
    """A rich bar that appears with the first step and leaves its last state on the screen."""

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
        bar = Progress(*columns, console=Console(file=self._stream), auto_refresh=False, redirect_stdout=False)
        self._task = bar.add_task(self._description, details="")
        bar.start()
        return bar


def format_duration(seconds: float) -> str:
    """A duration with two units at most.

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


def _details(values: dict[str, float], left_s: float | None) -> str:
    shown = [f"{name} {value:.4g}" for name, value in values.items()]
    if left_s is None:
        return "  ".join(shown)
    return "  ".join([*shown, "done" if left_s == 0 else f"{format_duration(left_s)} left"])


def _draws_on(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
