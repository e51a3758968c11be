"""What a run ran on: versions, platform, device. Written beside its results; knows nothing of git.

Results are the same bit for bit only where this record is the same.
"""

import os
import platform
import sys
from importlib import metadata
from typing import Any

__all__ = ["describe_environment"]

_PACKAGES = ("topdis-gan", "torch", "numpy", "scipy", "scikit-learn", "numba", "ripser", "safetensors", "pillow")


def describe_environment(device: str = "cpu") -> dict[str, Any]:
    """A JSON-able record of the interpreter, packages, machine and `device` (as torch names it)."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "device": device,
        "device_name": _device_name(device),
        "num_cpus": os.cpu_count(),
        "num_threads": _num_threads(),
        "command_line": sys.argv,
    }


def _version(package: str) -> str | None:
    """The installed version; torch's own, once it is loaded, names the build too (2.14.1+cu130)."""
    torch = sys.modules.get("torch")
    if package == "torch" and torch is not None:
        return str(torch.__version__)
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def _num_threads() -> int | None:
    torch = sys.modules.get("torch")
    return None if torch is None else torch.get_num_threads()
