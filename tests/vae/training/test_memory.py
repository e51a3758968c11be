import ctypes
import sys

import pytest
import torch

from vae.training.memory import keep_freed_memory

NUM_BYTES = 20 << 20


class HeapStatistics(ctypes.Structure):
    _fields_ = [(f"other_{index}", ctypes.c_size_t) for index in range(8)]
    _fields_ += [("num_free_bytes", ctypes.c_size_t), ("last", ctypes.c_size_t)]


def num_free_bytes():
    """Bytes that were freed and that the process still has; glibc's mallinfo2."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = HeapStatistics
    return ask().num_free_bytes


@pytest.mark.skipif(not keep_freed_memory(), reason="another allocator than glibc's, or one that is set already")
def test_memory_that_was_freed_stays_with_the_process():
    tensor = torch.ones(NUM_BYTES // 4)
    before = num_free_bytes()
    del tensor
    assert num_free_bytes() - before >= NUM_BYTES


def test_settings_of_the_users_own_win(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
