"""Fixtures: a 32 px generator of random weights with the images of NVIDIA's reference implementation on a CPU, and the
compiled operations built for the CPU, so that everything except the GPU's threads is tested on any machine.
"""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan2 import Generator
from stylegan2.ops.build import SOURCES
from stylegan2.ops.kernels import Kernels


@pytest.fixture(scope="session")
def reference() -> dict[str, torch.Tensor]:
    """z, w and images of the reference implementation, for several truncations."""
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


@pytest.fixture(scope="session")
def host_kernels(tmp_path_factory):
    """`Kernels` of a library that loops over the same elements on the CPU."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ to build the elements with")
    library = tmp_path_factory.mktemp("host") / "host_kernels.so"
    source = Path(__file__).parent / "ops" / "host_kernels.cpp"
    flags = ["-std=c++17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES}"]
    built = subprocess.run([compiler, *flags, source, "-o", library], capture_output=True, text=True, check=False)
    if "_Float16" in built.stderr:
        pytest.skip("this g++ has no half-precision type")
    assert built.returncode == 0, built.stderr
    return Kernels(ctypes.CDLL(str(library)))


@pytest.fixture(params=[torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
def layout(request):
    return request.param
