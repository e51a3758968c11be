import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ganspace_topdis.errors import CheckpointError
from ganspace_topdis.runs import transfer
from ganspace_topdis.runs.hub import HubAddress, is_hub_address
from ganspace_topdis.runs.transfer import DownloadError
from stylegan2 import zoo
from stylegan2.zoo import ZOO, locate

BODY = b"weights" * 1000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path == "/net.pkl"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(BODY) if found else 0))
        self.end_headers()
        self.wfile.write(BODY if found else b"")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A server on loopback, spoken to without TLS, and a cache of the test's own."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TOPDIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TOPDIS_OFFLINE", raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host = f"127.0.0.1:{server.server_port}"
    monkeypatch.setattr(transfer, "_PLAIN_HTTP_HOSTS", {host})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield host
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fetched(monkeypatch):
    """What would have been downloaded, instead of downloading it."""
    seen = []
    for name in ("fetch", "fetch_from_hub"):
        monkeypatch.setattr(zoo, name, lambda url, **options: seen.append((url, options)) or Path("cached"))
    return seen


def put_in_the_zoo(monkeypatch, **changes):
    options = {"shows": "a test", "resolution_px": 256, "source": "ada", **changes}
    monkeypatch.setitem(zoo.ZOO, "test", zoo.ZooEntry(name="test", **options))


def test_a_file_that_exists_is_itself(tmp_path, fetched):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"x")
    assert locate(path) == path
    assert locate(str(path)) == path
    assert not fetched


def test_an_address_is_downloaded(fetched):
    assert locate("https://example.com/x.pkl") == Path("cached")
    assert fetched == [("https://example.com/x.pkl", {"progress": None})]


def test_a_name_of_the_zoo_is_downloaded_from_its_address_with_its_sum(monkeypatch, fetched):
    put_in_the_zoo(monkeypatch, url="https://example.com/t.pkl", sha256="ab")
    locate("test")
    assert fetched == [("https://example.com/t.pkl", {"sha256": "ab", "progress": None})]


def test_a_file_comes_before_a_name(tmp_path, monkeypatch, fetched):
    monkeypatch.chdir(tmp_path)
    Path("ffhq").write_bytes(b"mine")
    assert locate("ffhq") == Path("ffhq")
    assert not fetched


def test_a_path_object_is_never_a_name(fetched):
    with pytest.raises(CheckpointError, match="no file at ffhq"):
        locate(Path("ffhq"))
    assert not fetched


@pytest.mark.parametrize("given", ["missing.pkl", os.path.join("runs", "ffhq"), "ffhq.pkl"])  # noqa: PTH118
def test_what_looks_like_a_path_is_missed_as_a_file(given, fetched):
    with pytest.raises(CheckpointError, match="no file at"):
        locate(given)
    assert not fetched


def test_an_unknown_name_is_answered_with_the_nearest(fetched):
    with pytest.raises(CheckpointError, match=r"neither a file nor a known network.*metfaces"):
        locate("metface")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is no file"):
        locate(tmp_path)


@pytest.mark.parametrize("url", ["http://example.com/x.pkl", "ftp://example.com/x.pkl", "file:///x.pkl"])
def test_an_address_that_is_not_https_is_refused(url):
    with pytest.raises(DownloadError, match="is not https"):
        locate(url)


def test_a_name_ends_as_a_checked_file_in_the_cache(host, monkeypatch, tmp_path):
    put_in_the_zoo(monkeypatch, url=f"http://{host}/net.pkl", sha256=hashlib.sha256(BODY).hexdigest())
    path = locate("test")
    assert path.read_bytes() == BODY
    assert tmp_path / "cache" in path.parents
    monkeypatch.setenv("TOPDIS_OFFLINE", "1")
    assert locate("test") == path


def test_a_name_whose_file_is_another_is_refused_before_anybody_reads_it(host, monkeypatch, tmp_path):
    put_in_the_zoo(monkeypatch, url=f"http://{host}/net.pkl", sha256="0" * 64)
    with pytest.raises(DownloadError, match="came with SHA-256"):
        locate("test")
    assert not list((tmp_path / "cache").rglob("*.pkl"))


def test_a_missing_file_on_the_server_is_one_clear_error(host):
    with pytest.raises(DownloadError, match="answered 404"):
        locate(f"http://{host}/other.pkl")


@pytest.mark.parametrize("entry", ZOO.values(), ids=lambda entry: entry.name)
def test_every_entry_is_a_snapshot_on_nvidia_s_own_server_or_of_the_hub(entry):
    if is_hub_address(entry.url):
        address = HubAddress.parse(entry.url)
        assert address.path.endswith(".pkl")
        assert (len(address.revision) == 40) == (len(entry.sha256 or "") == 64)
        return
    parts = urlsplit(entry.url)
    assert (parts.scheme, parts.netloc) == ("https", "nvlabs-fi-cdn.nvidia.com")
    assert parts.path.endswith(".pkl")
    assert parts.query == ""


def test_a_name_of_a_file_of_the_hub_is_fetched_from_there_with_its_sum(fetched):
    entry = ZOO["human-512"]
    assert locate("human-512") == Path("cached")
    assert fetched == [(entry.url, {"sha256": entry.sha256, "progress": None})]


@pytest.mark.parametrize("entry", ZOO.values(), ids=lambda entry: entry.name)
def test_every_entry_has_its_name_and_a_description(entry):
    assert ZOO[entry.name] is entry
    assert entry.shows
    assert entry.resolution_px in (32, 256, 512, 1024)
    assert entry.sha256 is None or len(entry.sha256) == 64


def test_no_two_names_mean_one_file():
    assert len({entry.url for entry in ZOO.values()}) == len(ZOO)
