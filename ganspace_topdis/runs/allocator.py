"""Memory that was freed is used again, instead of being given back to the system and asked for anew.

The C library maps every large block afresh, and the system clears each of its pages: a quarter of the time of work
on large tensors. Told not to map, glibc takes blocks from its heap, where they stay. The process then holds about a
third more memory, until its end. Source: mallopt(3).
"""

import ctypes
import sys

__all__ = ["reuse_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def reuse_freed_memory() -> bool:
    """Keep freed memory in this process; whether the C library does so. It changes speed alone."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
