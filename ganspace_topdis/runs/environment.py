"""What the bits of a result depend on: versions, machine and random generators.

`record_environment` writes a record beside the results (without git) and warns if a run is resumed in an environment
that may change their last bits. `random_states` and `restore_random_states` carry the generators over a checkpoint:

    seed_everything(0)
    use_deterministic_algorithms()
    folder.save(step, *flatten({"random": random_states(), ...}))
    restore_random_states(unflatten(checkpoint.tensors, checkpoint.rest)["random"])
"""

import contextlib
import os
import platform
import random
import sys
import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.files import write_json
from ganspace_topdis.runs.reading import read_json

__all__ = [
    "describe_environment",
    "random_states",
    "record_environment",
    "restore_random_states",
    "seed_everything",
    "use_deterministic_algorithms",
]

_PACKAGES = ("topdis-gan", "torch", "numpy", "scipy", "scikit-learn", "numba", "ripser", "safetensors", "pillow")
_DECISIVE = ("python", "packages", "machine", "device_name")


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


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy (the global one) and torch, on every device.

    Raises:
        InvalidArgumentError: the seed is not in [0, 2^32 - 1], the range of NumPy.
    """
    if not 0 <= seed < 2**32:
        raise InvalidArgumentError(f"`seed` is {seed}, allowed are 0 to {2**32 - 1}", field="seed")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (libraries still draw from it)
    torch.manual_seed(seed)


def use_deterministic_algorithms() -> None:
    """Make torch choose deterministic algorithms, and warn where it has none.

    Must be called before the first CUDA operation of the process.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


def random_states() -> dict[str, Any]:
    """Return the states of the generators that `seed_everything` seeds, for `runs.checksummed.flatten`."""
    algorithm, key, *rest = np.random.get_state()  # noqa: NPY002 (libraries still draw from it)
    states: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (algorithm, np.asarray(key).astype(np.int64), *rest),  # older safetensors cannot store uint32
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def restore_random_states(states: dict[str, Any]) -> None:
    """Restore the states that `random_states` returned, except those of devices that are no longer available."""
    random.setstate(states["python"])
    algorithm, key, *rest = states["numpy"]
    np.random.set_state((algorithm, np.asarray(key).astype(np.uint32), *rest))  # noqa: NPY002 (libraries still draw from it)
    torch.set_rng_state(states["torch"])
    for index, state in enumerate(states.get("cuda", [])[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, index)


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
