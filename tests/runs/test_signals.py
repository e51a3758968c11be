import os
import signal
import subprocess
import sys
import threading

import pytest

from ganspace_topdis.runs.signals import Interrupt, StopRequestedError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_asks_and_the_step_goes_on(number, code):
    said = []
    with Interrupt(said.append) as interrupt:
        assert not interrupt.requested
        interrupt.check()
        send(number)
        assert interrupt.requested
        with pytest.raises(StopRequestedError, match="saved after step 3") as caught:
            interrupt.check("saved after step 3")
    assert caught.value.exit_code == code
    assert len(said) == 1
    assert "once more stops at once" in said[0]


def send_twice(second):
    with Interrupt(lambda message: None):
        send(signal.SIGINT)
        send(second)


def test_a_second_ctrl_c_goes_at_once():
    with pytest.raises(KeyboardInterrupt):
        send_twice(signal.SIGINT)


def test_a_second_sigterm_goes_at_once_with_its_code():
    with pytest.raises(SystemExit) as caught:
        send_twice(signal.SIGTERM)
    assert caught.value.code == 143


@pytest.mark.parametrize("error", [None, ValueError])
def test_former_handlers_come_back_however_the_block_ends(error):
    former = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with Interrupt():
            assert signal.getsignal(signal.SIGINT) != former[0]
            if error:
                raise error
    except ValueError:
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == former


def test_outside_the_main_thread_it_does_nothing():
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
from ganspace_topdis.runs.signals import Interrupt
with Interrupt() as interrupt:
    print("ready", flush=True)
    while not interrupt.requested:
        print("x" * 1000, file=sys.stderr)
"""


def test_a_signal_amid_printing_is_told_on_stderr_without_an_error():
    arguments = [sys.executable, "-c", PRINTING]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"SIGTERM: finishing the step and saving" in stderr
    assert b"Traceback" not in stderr
