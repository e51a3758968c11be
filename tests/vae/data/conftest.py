import pytest

from vae.data.array_store import ArrayStore


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No test touches this user's cache or data."""
    monkeypatch.setenv("TOPDIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TOPDIS_OFFLINE", "1")
    monkeypatch.delenv("TOPDIS_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture(params=["cache", "memory"])
def store(request, tmp_path):
    """A store on disk, and one in memory: readers behave the same."""
    return ArrayStore(folder=tmp_path / "arrays" if request.param == "cache" else None)


@pytest.fixture
def memory():
    return ArrayStore()
