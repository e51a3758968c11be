"""The device that work goes to, and the memory that it has and took.

device = choose_device("auto")     # a CUDA card, else Apple's, else the CPU
"""

import contextlib
import os
import sys
from pathlib import Path

import torch

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["choose_device", "free_memory_bytes", "peak_memory_bytes"]


def choose_device(name: str = "auto") -> torch.device:
    """The torch device that `name` means: "auto", "cpu", "cuda", "cuda:1" or "mps".

    "auto" takes the CUDA card with the most free memory, else "mps", else the CPU.

    Raises:
        InvalidArgumentError: no such device here; the message says what there is and why.
    """
    if name == "auto":
        return _best_device()
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdecimal()):
        raise InvalidArgumentError(f"device is {name!r}, allowed are auto, cpu, cuda, cuda:N and mps")
    if kind == "cuda":
        _require_cuda(name, int(index or 0))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InvalidArgumentError("device is 'mps', but this torch or machine has no Apple GPU; use auto or cpu")
    return torch.device(name)


def free_memory_bytes(device: torch.device | str = "cpu") -> int | None:
    """Memory that `device` has free now; None where the system does not say. Limits of a container count."""
    device = torch.device(device)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    known = [free for free in (_free_by_kernel(), _free_by_container()) if free is not None]
    return min(known, default=None)


def peak_memory_bytes() -> int | None:
    """The most memory that this process ever held; None on Windows."""
    with contextlib.suppress(OSError):  # Linux: getrusage would count what the parent held before exec
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
        return torch.device("cuda", free.index(max(free)))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _require_cuda(name: str, index: int) -> None:
    if not torch.cuda.is_available():
        why = "this torch was built without CUDA" if torch.version.cuda is None else "no usable NVIDIA card was found"
        raise InvalidArgumentError(f"device is {name!r}, but {why}; use auto or cpu")
    count = torch.cuda.device_count()
    if index >= count:
        there = "only cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise InvalidArgumentError(f"device is {name!r}, but there is {there}")


def _free_by_kernel() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _free_by_sysconf()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _free_by_sysconf() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _free_by_container() -> int | None:
    """What the control group leaves (version 2); page cache that can be dropped counts as free."""
    root = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((root / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        statistics = (root / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # no control group, or its limit is "max"
        return None
    cache = next((int(line.split()[1]) for line in statistics if line.startswith("inactive_file ")), 0)
    return max(limit - used + cache, 0)
