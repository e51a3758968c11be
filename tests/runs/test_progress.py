import io
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from ganspace_topdis.runs.progress import Interrupt, ProgressReporter, StopRequestedError, TimeLeft

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def run(stream, *, num_steps, step_s, first=1):
    clock = Clock()
    with ProgressReporter("search", stream=stream, clock=clock) as progress:
        for step in range(first, num_steps + 1):
            clock.now_s += step_s
            progress(step, num_steps, loss=1 / step)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_constant_pace_gives_the_exact_eta():
    left = TimeLeft()
    assert left.update(1, 100, 2.0) is None
    assert [left.update(step, 100, 2.0 * step) for step in (2, 50, 100)] == [196.0, 100.0, 0.0]


def test_a_slow_start_does_not_distort_the_eta():
    left = TimeLeft(window_s=10)
    left.update(1, 1000, 100.0)
    for step in range(2, 40):
        estimate = left.update(step, 1000, 200.0 + step)
    assert estimate == pytest.approx(1000 - 39, rel=0.01)


def test_short_steps_use_bounded_memory():
    left = TimeLeft()
    for step in range(100_000):
        estimate = left.update(step, 200_000, 0.001 * step)
    assert estimate == pytest.approx(100.0, rel=0.01)
    assert len(left._seen) < 100


def test_steps_of_an_earlier_run_do_not_distort_the_eta():
    left = TimeLeft()
    left.update(500, 1000, 0.0)
    assert left.update(501, 1000, 2.0) == 998.0


def test_other_work_under_the_same_reporter_restarts_the_eta():
    left = TimeLeft()
    left.update(1, 10, 0.0)
    left.update(10, 10, 9.0)
    assert left.update(1, 5, 10.0) is None


def test_a_suspended_process_does_not_distort_the_eta():
    left = TimeLeft()
    for step in range(1, 200):
        left.update(step, 1000, float(step))
    assert left.update(200, 1000, 3800.0) is None  # an hour later: unknown, rather than twenty hours
    assert left.update(201, 1000, 3801.0) == 799.0


def test_steps_longer_than_the_window_have_an_eta():
    left = TimeLeft()
    for step in range(1, 5):
        estimate = left.update(step, 10, 90.0 * step)
    assert estimate == 540.0


def test_without_a_terminal_plain_lines_are_written():
    lines = run(io.StringIO(), num_steps=35, step_s=1.0).splitlines()
    assert [line.split()[1] for line in lines] == ["10/35", "20/35", "30/35", "35/35"]
    assert lines[1] == "search 20/35  loss 0.05  15 s left"
    assert lines[-1].endswith("done")


def test_short_work_without_a_terminal_writes_nothing():
    assert run(io.StringIO(), num_steps=9, step_s=1.0) == ""


def test_a_terminal_shows_a_bar_with_steps_and_values():
    text = run(Terminal(), num_steps=5, step_s=1.0)
    assert "\x1b" in text
    assert "5/5" in text
    assert "loss 0.2" in text


def test_a_terminal_without_a_cursor_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    text = run(Terminal(), num_steps=31, step_s=1.0)
    assert "\x1b" not in text
    assert text.startswith("search 10/31")


COLOR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|9\d)[\d;]*m")


@pytest.mark.parametrize(("value", "has_color"), [("1", False), ("", True)])
def test_no_color_removes_the_color_of_the_bar_and_nothing_else(monkeypatch, value, has_color):
    monkeypatch.setenv("NO_COLOR", value)
    text = run(Terminal(), num_steps=5, step_s=1.0)
    assert "\x1b" in text
    assert "5/5" in text
    assert bool(COLOR.search(text)) == has_color


def test_results_printed_during_progress_go_to_stdout(capsys):
    with ProgressReporter("search", stream=Terminal()) as progress:
        progress(1, 3)
        print("a result")
    assert capsys.readouterr().out == "a result\n"


def test_a_bar_is_drawn_at_most_ten_times_a_second():
    assert run(Terminal(), num_steps=1000, step_s=0.001).count("search") < 15


def test_the_cursor_is_restored_after_an_error():
    stream = Terminal()

    def fail():
        with ProgressReporter("search", stream=stream) as progress:
            progress(1, 3)
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l") >= 0


def send(number):
    os.kill(os.getpid(), number)


@POSIX
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_requests_a_stop(number, code):
    messages = []
    with Interrupt(messages.append) as interrupt:
        assert not interrupt.requested
        interrupt.check()
        send(number)
        assert interrupt.requested
        with pytest.raises(StopRequestedError, match="saved after step 3") as caught:
            interrupt.check("saved after step 3")
    assert caught.value.exit_code == code
    assert len(messages) == 1
    assert "once more stops at once" in messages[0]


def send_twice(second):
    with Interrupt(lambda message: None):
        send(signal.SIGINT)
        send(second)


@POSIX
def test_a_second_ctrl_c_stops_at_once():
    with pytest.raises(KeyboardInterrupt):
        send_twice(signal.SIGINT)


@POSIX
def test_a_second_sigterm_stops_at_once_with_its_exit_code():
    with pytest.raises(SystemExit) as caught:
        send_twice(signal.SIGTERM)
    assert caught.value.code == 143


@POSIX
@pytest.mark.parametrize("error", [None, ValueError])
def test_the_previous_handlers_are_restored_on_exit_and_error(error):
    former = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with Interrupt():
            assert signal.getsignal(signal.SIGINT) != former[0]
            if error:
                raise error
    except ValueError:
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == former


@POSIX
def test_outside_the_main_thread_no_handler_is_installed():
    seen = []

    def work():
        with Interrupt() as interrupt:
            seen.append(interrupt.requested)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
    assert signal.getsignal(signal.SIGINT) is before


PRINTING = """
import os, signal, sys
from ganspace_topdis.runs.progress import Interrupt
with Interrupt() as interrupt:
    print("ready", flush=True)
    while not interrupt.requested:
        print("x" * 1000, file=sys.stderr)
"""


@POSIX
def test_a_signal_during_a_print_is_reported_on_stderr_without_an_error():
    arguments = [sys.executable, "-c", PRINTING]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"SIGTERM: finishing the step and saving" in stderr
    assert b"Traceback" not in stderr


WITHOUT_TORCH = """
import sys
from ganspace_topdis.runs import archives, downloads, files, progress, reading, transfer
assert not {"torch", "numpy", "requests", "rich"} & sys.modules.keys()
"""


def test_modules_that_the_command_line_imports_at_its_start_import_no_heavy_packages():
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH], check=True)
