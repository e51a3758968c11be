import resource
import sys

import pytest
import torch

from vae.training.memory import keep_freed_memory


@pytest.mark.skipif(not keep_freed_memory(), reason="another allocator than glibc's, or one that is set already")
def test_memory_that_was_freed_is_not_asked_for_again():
    def once():
        return torch.zeros(5 << 20).sum()

    once()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        once()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 20_000, "ten such tensors have 51,200 pages"


def test_settings_of_the_users_own_win(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
