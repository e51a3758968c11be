import os
import subprocess
import sys

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.devices import choose_device, free_memory_bytes

MB = 1 << 20


@pytest.fixture
def cards(monkeypatch):
    """Pretend CUDA cards with so much free memory each."""

    def pretend(*free):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(free))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[torch.device("cuda", device).index], 99))

    return pretend


def test_auto_takes_the_card_with_the_most_free_memory(cards):
    cards(5, 8)
    assert choose_device("auto") == torch.device("cuda:1")


def test_auto_without_any_card_takes_what_there_is(cards, monkeypatch):
    cards()
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device() == torch.device("mps")


def test_a_card_that_is_there_is_taken(cards):
    cards(5, 8)
    assert choose_device("cuda:0") == torch.device("cuda:0")
    assert choose_device("cuda") == torch.device("cuda")


def test_a_card_that_is_not_there_is_refused_saying_what_there_is(cards):
    cards(5, 8)
    with pytest.raises(InvalidArgumentError, match=r"'cuda:2', but there is cuda:0 to cuda:1"):
        choose_device("cuda:2")
    cards()
    with pytest.raises(InvalidArgumentError, match="use auto or cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "cuda:-1", "CPU"])
def test_a_name_that_means_nothing_is_refused_saying_what_is_allowed(name):
    with pytest.raises(InvalidArgumentError, match="allowed are auto, cpu, cuda, cuda:N and mps"):
        choose_device(name)


def test_apple_s_device_elsewhere_is_refused(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InvalidArgumentError, match="no Apple GPU"):
        choose_device("mps")


def test_free_memory_is_a_sensible_number():
    free = free_memory_bytes("cpu")
    assert free is None or MB < free < 1 << 50


HOLDING = """
from ganspace_topdis.runs.devices import peak_memory_bytes
before = peak_memory_bytes()
held = bytearray(400 << 20)
del held
print(before, peak_memory_bytes())
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows does not say")
def test_the_peak_remembers_what_the_process_no_longer_holds():
    output = subprocess.run([sys.executable, "-c", HOLDING], capture_output=True, check=True, text=True).stdout
    before, after = map(int, output.split())
    assert 300 * MB < after - before < 500 * MB


PAGE_FAULTS = """
import resource, torch
from ganspace_topdis.runs.devices import tune_malloc

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(1 << 22).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = faults()
assert tune_malloc()
faults()
print(faults() < plain / 4)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is Linux's")
def test_large_tensors_take_the_pages_of_those_freed_before():
    done = subprocess.run([sys.executable, "-c", PAGE_FAULTS], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
