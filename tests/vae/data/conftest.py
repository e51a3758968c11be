import pytest

from vae.data.array_dataset import ArrayStore


@pytest.fixture(params=["cache", "memory"])
def store(request, tmp_path):
    """A store on disk, and one in memory: readers behave the same."""
    return ArrayStore(folder=tmp_path / "arrays" if request.param == "cache" else None)


@pytest.fixture
def memory():
    return ArrayStore()
