"""The Hugging Face Hub, played by a server on loopback: a HEAD names commit and SHA-256, a GET redirects to storage."""

import hashlib
import random
from dataclasses import replace
from pathlib import Path

import pytest

from ganspace_topdis.runs.hub import HubAddress, fetch_from_hub, is_cached, is_hub_address, pinned
from ganspace_topdis.runs.transfer import DownloadError, TransferLimits

BODY = random.Random(2).randbytes(30_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
COMMIT = "c0ffee" * 6 + "abcd"
ADDRESS = "hf://me/nets/models/ffhq.pkl"
LIMITS = TransferLimits(backoff_s=0, num_tries=2, read_timeout_s=2)


class Hub:
    """Answers as the hub does.

    Attributes:
        seen: (method, path, authorization) of every request.
        private: the token that is needed.
        commit, sha256: what HEAD names.
        storage: the file at the address that GET redirects to.
        cut: the number of bytes after which the first download breaks.
    """

    def __init__(self, host: str) -> None:
        self.host, self.seen, self.private, self.status = host, [], None, (200, "")
        self.commit, self.sha256, self.storage, self.cut = COMMIT, SHA256, BODY, None

    def __call__(self, handler) -> None:
        authorization = handler.headers.get("Authorization")
        self.seen.append((handler.command, handler.path, authorization))
        if handler.path.startswith("/storage/"):
            return self.send_file(handler)
        if self.private and authorization != f"Bearer {self.private}":
            return handler.reply(401, X_Error_Code="RepoNotFound")
        if self.status[0] != 200:
            return handler.reply(self.status[0], X_Error_Code=self.status[1])
        storage = f"http://localhost:{self.host.partition(':')[2]}/storage/{self.sha256}"
        linked = None if self.sha256 is None else f'"{self.sha256}"'
        headers = {"X_Repo_Commit": self.commit, "X_Linked_ETag": linked, "Location": storage}
        return handler.reply(302, **headers)

    def send_file(self, handler) -> None:
        first = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        body, size = self.storage[first:], len(self.storage)
        if self.cut is not None:
            body, self.cut = body[: self.cut], None
            return handler.reply(200, body, ETag='"1"', Content_Length=size)
        if first:
            return handler.reply(206, body, ETag='"1"', Content_Range=f"bytes {first}-{size - 1}/{size}")
        return handler.reply(200, body, ETag='"1"')


@pytest.fixture
def hub(server, tmp_path, monkeypatch):
    from ganspace_topdis.runs import transfer

    for name in ("TOPDIS_OFFLINE", "HF_TOKEN", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOPDIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", f"http://{server.host}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    storage = f"localhost:{server.host.partition(':')[2]}"
    monkeypatch.setattr(transfer, "_PLAIN_HTTP_HOSTS", {server.host, storage})
    server.answer = Hub(server.host)
    return server.answer


@pytest.mark.parametrize(
    ("text", "path", "revision"),
    [
        (ADDRESS, "models/ffhq.pkl", "main"),
        (f"{ADDRESS}@v1.0", "models/ffhq.pkl", "v1.0"),
        (f"{ADDRESS}@refs/pr/3", "models/ffhq.pkl", "refs/pr/3"),
        ("hf://me/nets@v1/models/ffhq.pkl", "models/ffhq.pkl", "v1"),
        (Path(ADDRESS).as_posix(), "models/ffhq.pkl", "main"),
    ],
)
def test_an_address_names_owner_repository_file_and_revision(text, path, revision):
    expected = HubAddress(owner="me", repo="nets", path=path, revision=revision)
    assert is_hub_address(text)
    assert HubAddress.parse(text) == expected
    assert HubAddress.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["hf://me", "hf://me/nets", "hf://me/nets/", "hf://me/nets/../a", "hf://me/n/a b@c@d"])
def test_another_form_is_refused_with_the_form_that_works(text):
    with pytest.raises(DownloadError, match="give hf://owner/repo/path/to/file"):
        fetch_from_hub(text)


def test_a_revision_is_resolved_once_and_its_commit_and_checksum_are_recorded(hub):
    path = fetch_from_hub(ADDRESS)
    assert path.read_bytes() == BODY
    assert path.name == "ffhq.pkl"
    assert pinned(ADDRESS) == f"{ADDRESS}@{COMMIT}"
    assert [request[:2] for request in hub.seen[:2]] == [
        ("HEAD", "/me/nets/resolve/main/models/ffhq.pkl"),
        ("GET", f"/me/nets/resolve/{COMMIT}/models/ffhq.pkl"),
    ]


def test_a_file_in_the_cache_needs_no_network(hub, monkeypatch):
    path, num_requests = fetch_from_hub(ADDRESS), len(hub.seen)
    hub.status, hub.commit = (500, ""), "f" * 40
    assert fetch_from_hub(ADDRESS) == path
    monkeypatch.setenv("TOPDIS_OFFLINE", "1")
    assert fetch_from_hub(ADDRESS) == path
    assert len(hub.seen) == num_requests
    with pytest.raises(DownloadError, match="TOPDIS_OFFLINE forbids downloading it; give a local file"):
        fetch_from_hub(f"{ADDRESS}@v2")


def test_a_lost_file_is_downloaded_again_at_the_recorded_commit(hub):
    fetch_from_hub(ADDRESS).unlink()
    hub.seen.clear()
    assert fetch_from_hub(ADDRESS).read_bytes() == BODY
    assert all(f"/resolve/{COMMIT}/" in path for _, path, _ in hub.seen if "/resolve/" in path)


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}@{COMMIT}"])
def test_a_file_is_known_to_be_in_the_cache_once_it_is(hub, address):
    assert not is_cached(address)
    path = fetch_from_hub(address)
    assert is_cached(address)
    path.unlink()
    assert not is_cached(address)


def test_a_checksum_of_the_caller_is_what_the_file_must_have(hub):
    with pytest.raises(DownloadError, match="SHA-256"):
        fetch_from_hub(ADDRESS, sha256="0" * 64)
    assert fetch_from_hub(ADDRESS, sha256=SHA256).read_bytes() == BODY


def test_an_interrupted_download_is_resumed(hub):
    hub.cut = 10_000
    assert fetch_from_hub(ADDRESS, limits=LIMITS).read_bytes() == BODY
    assert len([path for _, path, _ in hub.seen if path.startswith("/storage/")]) == 2


def test_a_file_with_another_checksum_is_refused_and_removed(hub, tmp_path):
    hub.storage = b"something else"
    with pytest.raises(DownloadError, match=f"expected is {SHA256}; it was deleted"):
        fetch_from_hub(ADDRESS)
    assert not list(tmp_path.rglob("ffhq.pkl"))


def test_a_small_file_outside_lfs_gets_the_checksum_of_its_first_download(hub):
    hub.sha256 = None
    assert fetch_from_hub(ADDRESS).read_bytes() == BODY


@pytest.mark.parametrize("source", ["HF_TOKEN", "file"])
def test_the_token_opens_a_private_repository_and_reaches_no_other_host(hub, monkeypatch, tmp_path, source):
    hub.private = "hf_secret"
    with pytest.raises(DownloadError, match="private, or does not exist; check the name, or set HF_TOKEN"):
        fetch_from_hub(ADDRESS)
    if source == "file":
        (tmp_path / "hf").mkdir()
        (tmp_path / "hf/token").write_text("hf_secret\n")
    else:
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.seen.clear()
    assert fetch_from_hub(ADDRESS).read_bytes() == BODY
    assert [token for _, path, token in hub.seen if path.startswith("/storage/")] == [None]
    assert {token for _, path, token in hub.seen if "/resolve/" in path} == {"Bearer hf_secret"}
    assert not [file for file in (tmp_path / "cache").rglob("*.json") if "hf_secret" in file.read_text()]
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(DownloadError, match="your token may not read it"):
        fetch_from_hub(f"{ADDRESS}@v2")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ((404, "RepoNotFound"), "there is no repository me/nets .*check the name"),
        ((404, "RevisionNotFound"), "has no revision 'main'; give a branch, tag or commit"),
        ((404, "EntryNotFound"), r"has no file models/ffhq\.pkl at main; its files are listed at http"),
        ((403, "GatedRepo"), "is gated: accept its terms on its page, then set HF_TOKEN"),
        ((403, ""), "set HF_TOKEN to a token that may read it"),
        ((503, ""), "answered 503 .*try again later"),
    ],
)
def test_each_refusal_of_the_server_is_one_line_with_the_next_step(hub, status, message):
    hub.status = status
    with pytest.raises(DownloadError, match=message) as caught:
        fetch_from_hub(ADDRESS)
    assert "\n" not in str(caught.value)


def test_a_server_that_names_no_commit_is_refused(hub):
    hub.commit = "main"
    with pytest.raises(DownloadError, match=r"did not name the commit .*check HF_ENDPOINT"):
        fetch_from_hub(ADDRESS)


def test_without_a_network_the_message_names_what_works(hub, monkeypatch):
    from ganspace_topdis.runs import transfer

    monkeypatch.setattr(transfer, "_PLAIN_HTTP_HOSTS", {"127.0.0.1:9"})
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"does not answer .*check the network, or give a local file"):
        fetch_from_hub(ADDRESS)


def test_a_renamed_repository_is_followed_on_the_endpoint_and_nowhere_else(server, hub):
    def renamed(location):
        def answer(handler):
            if "/old/" in handler.path:
                return handler.reply(307, Location=location + handler.path.replace("/old/", "/nets/"))
            return hub(handler)

        return answer

    server.answer = renamed("")
    assert fetch_from_hub("hf://me/old/models/ffhq.pkl").read_bytes() == BODY
    server.answer = renamed("http://localhost:1")
    with pytest.raises(DownloadError, match="redirects to localhost:1; check HF_ENDPOINT"):
        fetch_from_hub("hf://me/old/models/ffhq.pkl@v2")


def test_a_damaged_record_of_a_commit_is_asked_for_again(hub, tmp_path):
    path = fetch_from_hub(ADDRESS)
    (record,) = (tmp_path / "cache/hub").iterdir()
    for damage in ("{", '{"commit": "../../x", "sha256": null}', '{"commit": 5, "sha256": 6}'):
        record.write_text(damage)
        assert pinned(ADDRESS) == ADDRESS
        assert fetch_from_hub(ADDRESS) == path
    assert pinned("ffhq") == "ffhq"
    assert replace(HubAddress.parse(ADDRESS), revision=COMMIT) == HubAddress.parse(pinned(ADDRESS))
