"""A 32 px generator of random weights with what NVIDIA's reference implementation makes of it on a CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan2 import Generator


@pytest.fixture(scope="session")
def reference() -> dict[str, torch.Tensor]:
    """z, and w and images for several truncations, of the reference implementation."""
    with np.load(Path(__file__).parent / "reference" / "skip32.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files if name != "config"}


@pytest.fixture(scope="session")
def reference_state(reference: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of the reference generator."""
    return {name.removeprefix("state/"): tensor for name, tensor in reference.items() if name.startswith("state/")}


@pytest.fixture(scope="session")
def reference_generator(reference_state: dict[str, torch.Tensor]) -> Generator:
    """The generator of those weights, frozen."""
    return Generator.from_state_dict(reference_state).requires_grad_(False)
