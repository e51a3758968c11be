"""Builds the compiled operations at first use, and decides whether to use them.

The first tensor on a CUDA device builds them, with ninja and torch's extension loader, in torch's extension folder
(TORCH_EXTENSIONS_DIR). A failure gives one warning, and plain torch is used. The environment variable TOPDIS_CUDA_OPS
is "auto" (the default: as above), "off" (plain torch) or "require" (a failure is an error).
"""

import ctypes
import functools
import hashlib
import os
import re
import time
import warnings
from pathlib import Path

import torch
from torch import Tensor

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError
from stylegan2.ops.kernels import TYPES, Kernels

__all__ = ["SOURCES", "VARIABLE", "build", "kernels", "kernels_for"]

VARIABLE = "TOPDIS_CUDA_OPS"
SOURCES = Path(__file__).parent / "cuda"
MODES = ("auto", "off", "require")
STALE_AFTER_S = 600.0
_COMPLAINT = re.compile(r"\b(error|fatal)\b", re.IGNORECASE)
_AROUND = ("Error building extension", "FAILED:", "ninja:", "[")


def kernels_for(x: Tensor) -> Kernels | None:
    """Return the compiled operations if `x` should use them, None for plain torch.

    Raises:
        InvalidArgumentError: TOPDIS_CUDA_OPS has an unknown value.
        MissingDependencyError: TOPDIS_CUDA_OPS is "require", and they cannot be built.
    """
    if torch.compiler.is_compiling() or x.dtype not in TYPES:
        return None
    mode = _mode()
    return None if mode == "off" or (mode == "auto" and not x.is_cuda) else kernels()


def kernels() -> Kernels | None:
    """Return the compiled operations, built at the first call; None, and one warning, if that fails.

    Raises:
        MissingDependencyError: TOPDIS_CUDA_OPS is "require", and they cannot be built.
    """
    found, reason = _try_to_build()
    if found is None and _mode() == "require":
        raise MissingDependencyError(
            f"{VARIABLE}=require, but the CUDA operations cannot be built: {reason}; fix that, or set {VARIABLE}=auto"
        )
    return found


def build() -> Kernels:
    """Compile the operations for the GPUs that torch sees, or load the library of an earlier call.

    Raises:
        RuntimeError: there is no GPU, compiler or ninja, or the build fails, with the compiler's message.
    """
    if not torch.cuda.is_available():
        raise RuntimeError("torch sees no CUDA device")
    from torch.utils import cpp_extension

    if cpp_extension.CUDA_HOME is None:
        raise RuntimeError("no nvcc was found; install the CUDA toolkit of torch's version, or set CUDA_HOME")
    folder = _folder(cpp_extension.get_default_build_root())
    _refuse_stale_lock(folder)
    path = cpp_extension.load(
        name="topdis_gan_ops",
        sources=[str(SOURCES / "kernels.cu")],
        extra_cuda_cflags=["-O3"],
        build_directory=str(folder),
        is_python_module=False,
    )
    library = path if isinstance(path, str) else folder / f"topdis_gan_ops{cpp_extension.LIB_EXT}"
    return Kernels(ctypes.CDLL(str(library)))


@functools.cache
def _try_to_build() -> tuple[Kernels | None, str]:
    """Return the operations, or None and the reason. One attempt and one warning per process."""
    try:
        return build(), ""
    except Exception as error:  # a toolchain can fail in any way, and plain torch still works
        reason = _first_complaint(str(error) or type(error).__name__)
        if _mode() != "require":
            warnings.warn(
                f"the CUDA operations cannot be built ({reason}); plain torch is used instead, which is slower",
                stacklevel=3,
            )
        return None, reason


def _mode() -> str:
    mode = os.environ.get(VARIABLE, "auto")
    if mode not in MODES:
        raise InvalidArgumentError(f"{VARIABLE}={mode!r} is not allowed; give one of {', '.join(MODES)}")
    return mode


def _folder(root: str) -> Path:
    """Return the folder of the library. Its name identifies the sources, the torch release and the GPUs."""
    facts = hashlib.sha256(f"{torch.__version__} {torch.version.cuda}".encode())
    for index in range(torch.cuda.device_count()):
        facts.update(repr(torch.cuda.get_device_capability(index)).encode())
    for path in sorted(SOURCES.iterdir()):
        facts.update(path.read_bytes())
    folder = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or root) / f"topdis_gan_ops_{facts.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _refuse_stale_lock(folder: Path) -> None:
    """Raise if the lock of another build is old. torch would wait forever for a build that died."""
    lock = folder / "lock"
    while lock.exists():
        age_s = time.time() - lock.stat().st_mtime
        if age_s > STALE_AFTER_S:
            raise RuntimeError(f"an earlier build died and left {lock}; delete that file")
        time.sleep(0.5)


def _first_complaint(text: str) -> str:
    """Return the line of a compiler's output that names the error, without the commands around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _COMPLAINT.search(line) and not line.startswith(_AROUND)]
    return (telling or lines)[0][:300]
