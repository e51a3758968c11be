import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from ganspace_topdis.runs import downloads
from ganspace_topdis.runs.downloads import cache_folder, cached_file, fetch, is_offline
from ganspace_topdis.runs.transfer import DownloadError, TransferLimits

BODY = random.Random(1).randbytes(50_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
LIMITS = TransferLimits(backoff_s=0, num_tries=2, read_timeout_s=2)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPDIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TOPDIS_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def serve(server):
    def answer_with(body):
        server.answer = lambda handler: handler.reply(200, body, ETag='"1"')
        return server.url

    return answer_with


def record_of(path):
    return json.loads((path.parent / "record.json").read_text())


def test_the_first_download_is_stored_and_its_checksum_recorded(serve, cache):
    path = fetch(serve(BODY) + "?token=secret")
    assert path.read_bytes() == BODY
    assert path.name == "net.pkl"
    assert cache in path.parents
    assert record_of(path)["sha256"] == SHA256
    assert record_of(path)["num_bytes"] == len(BODY)
    assert "secret" not in json.dumps(record_of(path))
    assert sorted(file.name for file in path.parent.iterdir()) == [".lock", "net.pkl", "record.json"]


def test_a_second_use_sends_no_request(serve, server):
    assert fetch(serve(BODY)) == fetch(server.url)
    assert len(server.requests) == 1


def test_a_file_is_in_the_cache_only_after_its_download(serve, server):
    assert cached_file(server.url) is None
    assert fetch(serve(BODY)) == cached_file(server.url)
    assert cached_file(server.url, kind="data") is None


def test_a_file_with_another_checksum_is_refused(serve, cache):
    assert fetch(serve(BODY), sha256=SHA256).read_bytes() == BODY
    with pytest.raises(DownloadError, match=f"came with SHA-256 .*, expected is {'0' * 64}") as caught:
        fetch(serve(BODY) + "2", sha256="0" * 64)
    assert "it was deleted" in str(caught.value)
    assert not list(cache.rglob("net.pkl2"))
    assert not list(cache.rglob("unfinished*"))


def test_a_file_that_changed_on_its_server_is_refused_even_without_a_copy(serve):
    path = fetch(serve(BODY))
    path.unlink()
    with pytest.raises(DownloadError, match=f"at the first download it was {SHA256}"):
        fetch(serve(b"something else"))
    assert fetch(serve(BODY)).read_bytes() == BODY


def test_a_damaged_copy_is_detected_and_downloaded_again(serve, server):
    path = fetch(serve(BODY))
    damaged = bytearray(BODY)
    damaged[1000] ^= 1
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match="is damaged; downloading it again"):
        assert fetch(server.url).read_bytes() == BODY


def test_a_copy_without_a_record_is_downloaded_again(serve):
    path = fetch(serve(BODY))
    (path.parent / "record.json").write_text("{")
    with pytest.warns(UserWarning, match="downloading it again"):
        fetch(serve(BODY))
    assert record_of(path)["sha256"] == SHA256


def test_offline_uses_the_cache_and_downloads_nothing(serve, server, monkeypatch):
    path = fetch(serve(BODY))
    monkeypatch.setenv("TOPDIS_OFFLINE", "1")
    assert fetch(server.url) == path
    with pytest.raises(DownloadError, match="TOPDIS_OFFLINE forbids downloading it; give a local file"):
        fetch(server.url + "2")
    path.write_bytes(b"damaged")
    with pytest.raises(DownloadError, match="is damaged, and TOPDIS_OFFLINE forbids"):
        fetch(server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("yes", True), ("0", False), ("", False), ("No", False)])
def test_offline_accepts_the_usual_spellings(monkeypatch, value, offline):
    monkeypatch.setenv("TOPDIS_OFFLINE", value)
    assert is_offline() is offline


def test_an_interrupted_download_is_resumed(server, serve):
    server.answer = lambda handler: handler.reply(200, BODY[:20_000], ETag='"1"', Content_Length=len(BODY))
    with pytest.raises(DownloadError, match="20000 bytes are kept"):
        fetch(server.url, limits=LIMITS)

    def rest(handler):
        handler.reply(206, BODY[20_000:], ETag='"1"', Content_Range=f"bytes 20000-{len(BODY) - 1}/{len(BODY)}")

    server.answer = rest
    assert fetch(server.url, limits=LIMITS).read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "name"),
    [("a%2F..%2F..%2Fb.pkl", "b.pkl"), ("..", "file"), ("", "file"), (".hidden", "hidden"), ("a b:c.pkl", "a_b_c.pkl")],
)
def test_no_address_can_name_a_file_outside_its_folder(serve, server, cache, path, name):
    serve(BODY)
    got = fetch(f"http://{server.host}/models/{path}")
    assert got.name == name
    assert got.parent.parent == cache / "checkpoints"


@pytest.mark.parametrize("name", ["unfinished", "unfinished_network.pkl", "record.json"])
def test_names_of_the_cache_itself_are_left_to_it(serve, server, name):
    serve(BODY)
    for _ in range(2):
        got = fetch(f"http://{server.host}/models/{name}")
        assert (got.name, got.read_bytes()) == (f"file_{name}", BODY)
        assert record_of(got)["sha256"] == SHA256
    assert len(server.requests) == 1


def test_a_long_name_is_cut_by_bytes_and_a_checksum_may_be_in_capitals(serve, server):
    serve(BODY)
    got = fetch(f"http://{server.host}/{100 * '%E7%8C%AB'}.pkl", sha256=SHA256.upper())
    assert got.name.endswith("\N{CJK UNIFIED IDEOGRAPH-732B}.pkl")
    assert len(got.name.encode()) <= 100


HOLDER = """
import sys, time
from pathlib import Path
from ganspace_topdis.runs.files import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
def test_two_processes_do_not_download_one_file(serve, server):
    path = fetch(serve(BODY))
    path.unlink()
    arguments = [sys.executable, "-c", HOLDER, str(path.parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(DownloadError, match=f"process {process.pid} is downloading .*wait for it"):
            fetch(server.url)
        process.kill()
    assert fetch(server.url).read_bytes() == BODY


def test_a_read_only_cache_raises_a_typed_error(server, read_only, monkeypatch):
    with read_only() as folder:
        monkeypatch.setenv("TOPDIS_CACHE", str(folder))
        with pytest.raises(DownloadError, match="set TOPDIS_CACHE"):
            fetch(server.url)


def test_an_address_without_https_is_refused_even_with_a_copy(serve, server, monkeypatch):
    fetch(serve(BODY))
    monkeypatch.setattr("ganspace_topdis.runs.transfer._PLAIN_HTTP_HOSTS", set())
    with pytest.raises(DownloadError, match="is not https"):
        fetch(server.url)


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/topdis-gan"),
        ("linux", {"HOME": "/h"}, "/h/.cache/topdis-gan"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Caches/topdis-gan"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/topdis-gan/cache"),
        ("linux", {"TOPDIS_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, "/c"),
    ],
)
def test_the_cache_folder_follows_the_platform(monkeypatch, platform, variables, expected):
    for name in ("TOPDIS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(downloads.sys, "platform", platform)
    assert cache_folder() == Path(expected)
