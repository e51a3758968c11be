import json
import os
import subprocess
import sys

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.devices import choose_device, describe_environment, free_memory_bytes

MB = 1 << 20


@pytest.fixture
def cards(monkeypatch):
    """Pretend CUDA cards with so much free memory each."""

    def pretend(*free):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(free))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
        monkeypatch.setattr(
            torch.cuda,
            "mem_get_info",
            lambda device: (free[torch.device(f"cuda:{device}" if isinstance(device, int) else device).index], 99),
        )

    return pretend


def test_auto_selects_the_gpu_with_the_most_free_memory(cards):
    cards(5, 8)
    assert choose_device("auto") == torch.device("cuda:1")


def test_auto_without_a_gpu_selects_mps_or_the_cpu(cards, monkeypatch):
    cards()
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device() == torch.device("mps")


def test_an_available_gpu_is_selected(cards):
    cards(5, 8)
    assert choose_device("cuda:0") == torch.device("cuda:0")
    assert choose_device("cuda") == torch.device("cuda")


def test_a_missing_gpu_is_refused_listing_the_available_ones(cards):
    cards(5, 8)
    with pytest.raises(InvalidArgumentError, match=r"'cuda:2', but there is cuda:0 to cuda:1"):
        choose_device("cuda:2")
    cards()
    with pytest.raises(InvalidArgumentError, match="use auto or cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "cuda:-1", "CPU"])
def test_an_unknown_device_is_refused_listing_the_allowed_ones(name):
    with pytest.raises(InvalidArgumentError, match="allowed are auto, cpu, cuda, cuda:N and mps"):
        choose_device(name)


def test_mps_is_refused_on_other_machines(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InvalidArgumentError, match="no Apple GPU"):
        choose_device("mps")


def test_a_device_without_memory_or_module_is_refused():
    with pytest.raises(InvalidArgumentError, match="allowed are auto"):
        choose_device("meta")
    with pytest.raises(InvalidArgumentError, match="'xla', but this torch has 0 xla devices"):
        choose_device("xla")


def test_memory_that_torch_caches_on_a_gpu_counts_as_free(cards, monkeypatch):
    cards(5)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 7)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 4)
    assert free_memory_bytes("cuda:0") == 8


def test_free_memory_is_a_plausible_number():
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
def test_peak_memory_includes_freed_memory():
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
def test_tuned_malloc_reuses_the_pages_of_freed_tensors():
    done = subprocess.run([sys.executable, "-c", PAGE_FAULTS], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_the_environment_has_versions_and_device_and_is_json():
    environment = describe_environment("cpu")
    assert json.loads(json.dumps(environment)) == environment
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["device"] == "cpu"
    assert environment["num_threads"] == torch.get_num_threads()


def test_the_environment_does_not_name_the_user_or_git():
    assert not {"user", "home", "git", "commit", "host"} & describe_environment().keys()
