"""Whether the compiled operations can be used, and their build at first use.

They are built once by ninja through torch's extension loader, into torch's extension folder (TORCH_EXTENSIONS_DIR),
when the first tensor on a CUDA device comes. Whatever goes wrong there is one warning, and plain torch does the
work. TOPDIS_CUDA_OPS says more: "auto" (the default) does this, "off" uses plain torch, "require" makes it an error.
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
    """The compiled operations, if they are to be used for `x`; None: use plain torch.

    Raises:
        InvalidArgumentError: TOPDIS_CUDA_OPS is none of its values.
        MissingDependencyError: TOPDIS_CUDA_OPS is "require", and they cannot be used.
    """
    if torch.compiler.is_compiling() or x.dtype not in TYPES:
        return None
    mode = _mode()
    return None if mode == "off" or (mode == "auto" and not x.is_cuda) else kernels()


def kernels() -> Kernels | None:
    """The compiled operations, built at the first call; None, and one warning, where that fails.

    Raises:
        MissingDependencyError: TOPDIS_CUDA_OPS is "require", and they cannot be used.
    """
    found, reason = _try_to_build()
    if found is None and _mode() == "require":
        raise MissingDependencyError(
            f"{VARIABLE}=require, but the CUDA operations cannot be used: {reason}; mend that, or set {VARIABLE}=auto"
        )
    return found


def build() -> Kernels:
    """Compile the operations for the GPUs that torch sees, or load what an earlier call compiled.

    Raises:
        RuntimeError: there is no GPU, compiler or ninja, or the build fails; the text is the compiler's.
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
    """The operations, or None and why not; one attempt and one warning a process."""
    try:
        return build(), ""
    except Exception as error:  # a toolchain fails in a hundred ways, and none may stop the work
        reason = _first_words(str(error) or type(error).__name__)
        if _mode() != "require":
            warnings.warn(
                f"the CUDA operations cannot be used ({reason}); plain torch is used, which is slower", stacklevel=3
            )
        return None, reason


def _mode() -> str:
    mode = os.environ.get(VARIABLE, "auto")
    if mode not in MODES:
        raise InvalidArgumentError(f"{VARIABLE}={mode!r} is not allowed; give one of {', '.join(MODES)}")
    return mode


def _folder(root: str) -> Path:
    """Where the library of these sources, this torch and these GPUs lies: no other build can be mistaken for it."""
    facts = hashlib.sha256(f"{torch.__version__} {torch.version.cuda}".encode())
    for index in range(torch.cuda.device_count()):
        facts.update(repr(torch.cuda.get_device_capability(index)).encode())
    for path in sorted(SOURCES.iterdir()):
        facts.update(path.read_bytes())
    folder = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or root) / f"topdis_gan_ops_{facts.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _refuse_stale_lock(folder: Path) -> None:
    """torch waits for another build's lock for ever; one that is old is left of a build that died."""
    lock = folder / "lock"
    while lock.exists():
        age_s = time.time() - lock.stat().st_mtime
        if age_s > STALE_AFTER_S:
            raise RuntimeError(f"an earlier build died and left {lock}; delete that file")
        time.sleep(0.5)


def _first_words(text: str) -> str:
    """The line of a compiler's output that says what was wrong, without the commands around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _COMPLAINT.search(line) and not line.startswith(_AROUND)]
    return (telling or lines)[0][:300]
