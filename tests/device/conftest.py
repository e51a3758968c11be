from collections.abc import Iterator

import pytest
import torch

from tests.device.mimic import Mimic, load_mimic, missing

if missing() is None:
    load_mimic()  # while tests are collected: the threads of autograd know the devices that are there at its first use


@pytest.fixture(scope="session")
def built() -> Mimic:
    """The second device, or a skip where it cannot be built."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    return load_mimic()


@pytest.fixture
def mimic(built: Mimic) -> Mimic:
    """The second device with counters at zero."""
    built.reset()
    return built


@pytest.fixture
def device(mimic: Mimic) -> Iterator[torch.device]:
    """The second device without float64, as Apple's GPUs are: whatever runs there runs with float64 too."""
    with mimic.without_float64():
        yield torch.device("mimic")
