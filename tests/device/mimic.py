"""A second PyTorch device for tests: "mimic" computes on the host under the rules of a GPU.

    mimic = load_mimic()                    # compiles mimic.cpp at the first use
    x = torch.ones(3, device="mimic")
    x + torch.ones(3)                       # RuntimeError, as on CUDA
    mimic.counts()                          # launches, waits for the device, uploads since `reset`

Whatever runs on it has no tensor on the wrong device, and its values are comparable with the CPU's, because the same
kernels compute them. It counts what costs time on a GPU: launches of kernels, and waits of the host for the device.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

import torch

__all__ = ["Mimic", "load_mimic", "missing"]

_SOURCE = Path(__file__).with_name("mimic.cpp")
_loaded: "Mimic | None" = None


class Mimic:
    """Counters and limits of the device."""

    def counts(self) -> dict[str, int]:
        """Return "launches", "waits" and "uploads" since `reset`, and "allocated" bytes."""
        return dict(torch.ops.mimic.counts())

    def reset(self) -> None:
        """Set the counters to zero."""
        torch.ops.mimic.reset()

    @contextlib.contextmanager
    def without_float64(self) -> Iterator[None]:
        """Refuse float64, as Apple's GPUs do."""
        torch.ops.mimic.allow_float64(False)
        try:
            yield
        finally:
            torch.ops.mimic.allow_float64(True)

    @contextlib.contextmanager
    def memory_limit(self, num_bytes: int) -> Iterator[None]:
        """Raise torch.OutOfMemoryError beyond `num_bytes` more than now."""
        torch.ops.mimic.limit_memory(num_bytes)
        try:
            yield
        finally:
            torch.ops.mimic.limit_memory(-1)


def missing() -> str | None:
    """Return why the device cannot be built here, or None."""
    if not sys.platform.startswith("linux"):
        return "the second device is built on Linux only"
    return None if _compiler() else "the second device needs a C++ compiler (g++, c++ or clang++)"


def load_mimic() -> Mimic:
    """Make "mimic" a device of this process."""
    global _loaded
    if _loaded is None:
        torch.utils.rename_privateuse1_backend("mimic")
        torch._register_device_module("mimic", _module())
        torch.ops.load_library(str(_build()))
        _loaded = Mimic()
    return _loaded


def _module() -> types.ModuleType:
    module = types.ModuleType("torch.mimic")
    module.__dict__.update(
        is_available=lambda: True,
        is_initialized=lambda: True,
        device_count=lambda: 1,
        current_device=lambda: 0,
        set_device=lambda device: None,
        synchronize=lambda device=None: None,
        _is_in_bad_fork=lambda: False,
        _lazy_init=lambda: None,
        manual_seed_all=lambda seed: torch.ops.mimic.seed(seed % 2**63),
        get_rng_state=lambda device="mimic": torch.ops.mimic.rng_state(),
        set_rng_state=lambda state, device="mimic": torch.ops.mimic.set_rng_state(state),
        get_amp_supported_dtype=lambda: [torch.bfloat16, torch.float16],
    )
    return module


def _compiler() -> str | None:
    return next(
        (path for name in (os.environ.get("CXX"), "g++", "c++", "clang++") if name and (path := shutil.which(name))),
        None,
    )


def _build() -> Path:
    """Compile the library, once per source and version of torch."""
    key = hashlib.sha256(_SOURCE.read_bytes() + torch.__version__.encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "topdis-gan-tests"
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"mimic-{key}.so"
    with (folder / f"mimic-{key}.lock").open("w") as lock:  # released when a process ends, however it ends
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            _compile(library)
    return library


def _compile(library: Path) -> None:
    from torch.utils.cpp_extension import include_paths, library_paths

    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / library.name
        command = [_compiler(), "-std=c++20", "-O0", "-w", "-shared", "-fPIC", str(_SOURCE), "-o", str(made)]
        command += [f"-I{path}" for path in include_paths()]
        command += [f"-L{path}" for path in library_paths()] + ["-ltorch", "-ltorch_cpu", "-lc10"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the second device does not compile:\n{done.stderr[-4000:]}")
        made.replace(library)
