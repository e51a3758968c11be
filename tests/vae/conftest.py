import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No test touches this user's cache or data."""
    monkeypatch.setenv("TOPDIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TOPDIS_OFFLINE", "1")
    monkeypatch.delenv("TOPDIS_DATA", raising=False)
    return tmp_path / "cache"
