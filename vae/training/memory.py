"""Let the process keep the memory that a step frees for the next step.

By default glibc gives large blocks back to the system when they are freed, and the next step's first write to each page
of a new one is an interruption. Activations of tens of megabytes are freed and asked for in every step.
"""

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK = 1 << 25
_NEVER = (1 << 31) - 1
_THEIRS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Ask glibc not to give freed memory back; whether it will. The user's own settings of glibc's allocator win."""
    if sys.platform != "linux" or any(name in os.environ for name in _THEIRS):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
