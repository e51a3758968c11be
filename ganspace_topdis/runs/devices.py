"""The machine of a run: its torch device, free and peak memory, glibc's allocator, and a record of all of it.

    device = choose_device("auto")     # CUDA if available, else MPS, else the CPU

`record_environment` writes versions, machine and device beside the results (without git), and warns if a run is resumed
where the last bits of its result may differ.
"""

import contextlib
import ctypes
import os
import platform
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.reading import read_json

__all__ = [
    "choose_device",
    "describe_environment",
    "free_memory_bytes",
    "move_together",
    "peak_memory_bytes",
    "record_environment",
    "torch_defaults",
    "tune_malloc",
    "wait_for_device",
]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1
_PACKAGES = ("topdis-gan", "torch", "numpy", "scipy", "scikit-learn", "numba", "ripser", "safetensors", "pillow")
_DECISIVE = ("python", "packages", "machine", "device_name")


def choose_device(name: str = "auto") -> torch.device:
    """Return the torch device called "auto", "cpu", "cuda", "cuda:1", "mps", or any other that this torch offers.

    "auto" selects the CUDA device with the most free memory, else "mps", else the CPU.

    Raises:
        InvalidArgumentError: the device is unknown or not available.
    """
    if name == "auto":
        return _best_device()
    device = _parsed(name)
    if device.type == "cuda":
        _require_cuda(name, device.index or 0)
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise InvalidArgumentError(
                "`device` is 'mps', but this torch or machine has no Apple GPU; use auto or cpu", field="device"
            )
    elif device.type != "cpu":
        _require_other(name, device)
    return device


@contextlib.contextmanager
def torch_defaults() -> Iterator[None]:
    """float32 on the CPU, with gradients and without autocast, whatever the caller has set; a decorator, too.

    What creates networks and random matrices of its own is the same in a program that has set another default type or
    device, or that calls it under `torch.no_grad`, `torch.inference_mode` or `torch.autocast`.
    """
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            if torch.get_default_device().type != "cpu":  # entering it slows every call of torch
                stack.enter_context(torch.device("cpu"))
            yield
    finally:
        torch.set_default_dtype(dtype)


def free_memory_bytes(device: torch.device | str = "cpu") -> int | None:
    """Return the free memory of `device`, within the limits of a container; None if it is unknown.

    Memory that torch has cached on a GPU counts as free.
    """
    device = torch.device(device)
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    if device.type != "cpu":
        return None
    known = [free for free in (_free_in_kernel(), _free_in_cgroup()) if free is not None]
    return min(known, default=None)


def peak_memory_bytes() -> int | None:
    """Return the peak resident memory of this process; None on Windows."""
    with contextlib.suppress(OSError):  # Linux: getrusage would include the parent's memory before exec
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


def tune_malloc() -> bool:
    """Make glibc reuse freed memory; return whether it does.

    By default, glibc maps every large block anew, and the kernel clears its pages: a quarter of the time of large
    tensor operations. Without mapping, blocks come from the heap and stay there; the process then holds about a third
    more memory until it ends. Results do not change. Source: mallopt(3).
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))


def wait_for_device(device: torch.device | str) -> None:
    """Wait until `device` has done what was launched there, so that a clock can be read; CUDA alone so far."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def move_together(tensors: Sequence[Tensor], device: torch.device | str) -> list[Tensor]:
    """The tensors, of one device and dtype, on `device`: in one transfer, since each makes the host wait.

    >>> [moved.shape for moved in move_together([torch.zeros(()), torch.zeros(2, 3)], "cpu")]
    [torch.Size([]), torch.Size([2, 3])]
    """
    device = torch.device(device)
    if all(tensor.device == device for tensor in tensors):
        return list(tensors)
    pieces = torch.cat([tensor.flatten() for tensor in tensors]).to(device).split([each.numel() for each in tensors])
    return [piece.view(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)]


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
        return torch.device("cuda", free.index(max(free)))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _parsed(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type == "meta":  # holds no numbers
        raise InvalidArgumentError(
            f"`device` is {name!r}, allowed are auto, cpu, cuda, cuda:N and mps, or another device of this torch",
            field="device",
        )
    return device


def _require_other(name: str, device: torch.device) -> None:
    """Refuse a device, such as xpu, whose torch module is missing or counts no such device."""
    module: Any = getattr(torch, device.type, None)
    available = hasattr(module, "is_available") and module.is_available()
    count = module.device_count() if available and hasattr(module, "device_count") else int(available)
    if (device.index or 0) >= count:
        raise InvalidArgumentError(
            f"`device` is {name!r}, but this torch has {count} {device.type} devices; use auto or cpu", field="device"
        )


def _require_cuda(name: str, index: int) -> None:
    if not torch.cuda.is_available():
        why = "this torch was built without CUDA" if torch.version.cuda is None else "no usable NVIDIA GPU was found"
        raise InvalidArgumentError(f"`device` is {name!r}, but {why}; use auto or cpu", field="device")
    count = torch.cuda.device_count()
    if index >= count:
        available = "only cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise InvalidArgumentError(f"`device` is {name!r}, but there is {available}", field="device")


def _free_in_kernel() -> int | None:
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


def _free_in_cgroup() -> int | None:
    """Return the memory left to the control group (version 2), with reclaimable page cache counted as free."""
    root = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((root / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        statistics = (root / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # no control group, or its limit is "max"
        return None
    cache = next((int(line.split()[1]) for line in statistics if line.startswith("inactive_file ")), 0)
    return max(limit - used + cache, 0)


def describe_environment(device: str = "cpu") -> dict[str, Any]:
    """Return a JSON-able record of the interpreter, packages, machine and `device` (in torch's notation)."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "device": device,
        "device_name": _device_name(device),
        "num_cpus": os.cpu_count(),
        "num_threads": torch.get_num_threads(),
        "command_line": sys.argv,
    }


def record_environment(path: Path, device: str) -> None:
    """Write `describe_environment(device)` to `path`; warn if it differs from the earlier record there.

    Raises:
        RunFolderError: the file cannot be written.
    """
    now = describe_environment(device)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no earlier record, or a damaged one
        if changes := _list_changes(read_json(path), now):
            warnings.warn(
                f"{path.parent} was last worked on with {changes}; the result may differ in its last bits", stacklevel=4
            )
    write_json(path, now)


def _version(package: str) -> str | None:
    """Return the installed version; for torch, the version that includes the build (2.14.1+cu130)."""
    if package == "torch":
        return str(torch.__version__)
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _device_name(device: str) -> str:
    if device.startswith("cuda") and torch.cuda.is_available():
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def _list_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """List the differences that may change the bits of a result; empty if there are none."""
    old, new = _decisive(before), _decisive(now)
    return ", ".join(f"{key} {old[key]} (now {new.get(key)})" for key in old if old[key] != new.get(key))


def _decisive(environment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for key in _DECISIVE
        for name, value in (
            environment[key].items() if isinstance(environment[key], Mapping) else [(key, environment[key])]
        )
    }
