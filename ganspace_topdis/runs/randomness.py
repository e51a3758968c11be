"""Every random generator of the process at once: seeding, the states for a checkpoint, determinism.

seed_everything(0)
use_deterministic_algorithms()
folder.save(step, *flatten({"random": random_states(), ...}))
restore_random_states(unflatten(checkpoint.tensors, checkpoint.rest)["random"])
"""

import os
import random
from typing import Any

import numpy as np
import torch

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["random_states", "restore_random_states", "seed_everything", "use_deterministic_algorithms"]


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's (the global one) and torch's generators, on every device.

    Raises:
        InvalidArgumentError: the seed is not within 0 to 2^32 - 1, which numpy can take.
    """
    if not 0 <= seed < 2**32:
        raise InvalidArgumentError(f"seed is {seed}, allowed are 0 to {2**32 - 1}")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (libraries still draw from it)
    torch.manual_seed(seed)


def use_deterministic_algorithms() -> None:
    """Have torch choose algorithms that give the same bits every time, and warn where it has none.

    Must be called before the first CUDA work of the process.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


def random_states() -> dict[str, Any]:
    """The states of the generators that `seed_everything` seeds, for `runs.trees.flatten`."""
    algorithm, key, *rest = np.random.get_state()  # noqa: NPY002 (libraries still draw from it)
    states: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (algorithm, np.asarray(key).astype(np.int64), *rest),  # older safetensors cannot hold uint32
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def restore_random_states(states: dict[str, Any]) -> None:
    """Undo every draw since `random_states` gave `states`. Devices that are no longer there are passed over."""
    random.setstate(states["python"])
    algorithm, key, *rest = states["numpy"]
    np.random.set_state((algorithm, np.asarray(key).astype(np.uint32), *rest))  # noqa: NPY002 (libraries still draw from it)
    torch.set_rng_state(states["torch"])
    for index, state in enumerate(states.get("cuda", [])[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, index)
