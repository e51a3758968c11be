import pytest
import torch

from tests.device.mimic import Mimic, load_mimic, missing


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


@pytest.fixture(params=["float64", "no float64"])
def device(request: pytest.FixtureRequest, built: Mimic):
    """The second device, with float64 as on NVIDIA's GPUs and without it as on Apple's."""
    if request.param == "float64":
        yield torch.device("mimic")
        return
    with built.without_float64():
        yield torch.device("mimic")
