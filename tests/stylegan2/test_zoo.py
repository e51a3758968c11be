from urllib.parse import urlsplit

import pytest

from stylegan2.zoo import ZOO


@pytest.mark.parametrize("entry", ZOO.values(), ids=lambda entry: entry.name)
def test_every_entry_is_a_snapshot_on_nvidia_s_own_server_over_https(entry):
    parts = urlsplit(entry.url)
    assert (parts.scheme, parts.netloc) == ("https", "nvlabs-fi-cdn.nvidia.com")
    assert parts.path.endswith(".pkl")
    assert parts.query == ""


@pytest.mark.parametrize("entry", ZOO.values(), ids=lambda entry: entry.name)
def test_every_entry_is_found_under_its_name_and_says_what_it_shows(entry):
    assert ZOO[entry.name] is entry
    assert entry.shows
    assert entry.resolution_px in (32, 256, 512, 1024)
    assert entry.sha256 is None or len(entry.sha256) == 64


def test_no_two_names_mean_one_file():
    assert len({entry.url for entry in ZOO.values()}) == len(ZOO)
