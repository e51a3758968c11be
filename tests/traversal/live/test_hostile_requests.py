"""Hostile requests: each one is answered with one line of reason, and the server keeps running."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ganspace_topdis.traversal.live.connections import Connections
from ganspace_topdis.traversal.live.renderer import LiveModel, Renderer
from ganspace_topdis.traversal.live.server import LiveServer, PageSettings
from ganspace_topdis.traversal.names import NamesStore, default_labels

Serve = Callable[..., LiveServer]
STATE = {"seed": 1, "shifts": {"0": 1.0}}
REQUEST = {"page": "p", "channel": "view", "number": 1, "psi": 1.0, "layers": None, "states": [STATE]}
NAME = {"index": 0, "name": "Sky", "starred": True}


def code_of_seed(seed: int, psi: float) -> torch.Tensor:
    return psi * torch.randn(1, 3, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def serve(paint: Any, axes: Any, tmp_path: Path) -> Iterator[Serve]:
    """Starts servers of pages."""
    running: list[tuple[LiveServer, threading.Thread]] = []

    def start(**options: Any) -> LiveServer:
        draw = paint(3, 32, 32)
        model = LiveModel(
            generate=lambda codes, psi: draw(codes), directions=axes, code_of_seed=code_of_seed, image_px=(32, 32)
        )
        settings = PageSettings(labels=default_labels(3), seeds=[1, 2], source="abc")
        server = LiveServer(Renderer(model), NamesStore(tmp_path, num_directions=3, source="abc"), settings, **options)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


@pytest.fixture
def server(serve: Serve) -> LiveServer:
    return serve()


def connect(server: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=20)


def send(server: LiveServer, sent: bytes) -> tuple[int, bytes]:
    """The answer to the bytes `sent`."""
    with connect(server) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


def request(server: LiveServer, line: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([line, f"Host: 127.0.0.1:{server.server_port}", *headers, "", ""]).encode("latin-1") + body


def post(server: LiveServer, path: str, body: bytes) -> tuple[int, bytes]:
    length = f"Content-Length: {len(body)}"
    return send(server, request(server, f"POST {path} HTTP/1.1", JSON, length, body=body))


def is_well(server: LiveServer) -> bool:
    return send(server, request(server, "GET / HTTP/1.1"))[0] == 200


def frames(**fields: str) -> bytes:
    """A request for frames with fields put in as JSON text."""
    plain = {name: json.dumps(value) for name, value in REQUEST.items()} | fields
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in plain.items()) + "}").encode()


JSON = "Content-Type: application/json"
HUGE = "1" + "0" * 400
DEEP = "[" * 100_000 + "]" * 100_000
REQUESTS = [frames(psi=text) for text in (HUGE, "1e400", "NaN", "-Infinity", "9" * 5000, "[" * 900 + "]" * 900, DEEP)]
REQUESTS += [frames(number=text) for text in (HUGE, "1e400", "NaN", "true")]
REQUESTS += [frames(states=f'[{{"seed": {seed}, "shifts": {{}}}}]') for seed in (HUGE, "1e400", "-1", DEEP)]
REQUESTS += [frames(states=f'[{{"seed": 1, "shifts": {{"0": {shift}}}}}]') for shift in (HUGE, "1e400", "NaN", "[[]]")]
REQUESTS += [frames(states='[{"seed": 1, "shifts": {"\\ud800": 1}}]'), frames(page='"\\ud800' + "x" * 99 + '"')]
REQUESTS += [frames(channel='["view"]'), frames(layers=HUGE), DEEP.encode(), b"\xff\xfe", b"\x00" * 50, b"", b"null"]


@pytest.mark.parametrize("body", REQUESTS, ids=range(len(REQUESTS)))
def test_an_invalid_request_is_answered_400_in_one_line(server: LiveServer, body: bytes) -> None:
    status, content = post(server, "/frames", body)
    assert status == 400
    assert 0 < len(content) <= 500
    assert b"\n" not in content


@pytest.mark.parametrize("name", ["\\ud800", "a\\udfffb"])
def test_a_lone_surrogate_is_refused_as_a_name(server: LiveServer, tmp_path: Path, name: str) -> None:
    status, content = post(server, "/names", b'{"index": 0, "starred": true, "name": "%s"}' % name.encode())
    assert (status, content[:7]) == (400, b"name is")
    assert not (tmp_path / "names.json").exists()


@pytest.mark.parametrize("index", [HUGE, "1e400", "NaN", "0.0", "3", '"0"'])
def test_an_index_without_a_direction_is_refused(server: LiveServer, index: str) -> None:
    assert post(server, "/names", b'{"index": %s, "starred": true, "name": "x"}' % index.encode())[0] == 400


HEADS = {
    "a length of 5,000 digits": ("POST /frames HTTP/1.1", [JSON, "Content-Length: " + "9" * 5000], 413),
    "a length in other digits": ("POST /frames HTTP/1.1", [JSON, "Content-Length: \xb2"], 411),
    "two lengths": ("POST /names HTTP/1.1", [JSON, "Content-Length: 2", "Content-Length: 9"], 411),
    "chunks": ("POST /names HTTP/1.1", [JSON, "Transfer-Encoding: chunked"], 411),
    "a long line": ("GET /" + "x" * 70_000 + " HTTP/1.1", [], 431),
    "a long header": ("GET / HTTP/1.1", ["X: " + "x" * 70_000], 431),
    "long headers together": ("GET / HTTP/1.1", ["X: " + "x" * 1000] * 90, 431),
    "many headers": ("GET / HTTP/1.1", ["X: x"] * 200, 431),
    "a header without a colon": ("GET / HTTP/1.1", ["nonsense", "Origin: http://evil.example"], 200),
    "two hosts": ("GET / HTTP/1.1", ["Host: evil.example"], 403),
    "no version": ("GET /", [], 400),
    "a version of words": ("GET / HTTP/x.y", [], 400),
    "an old version": ("POST /", [], 400),
    "one word": ("GET", [], 400),
    "no line": ("", [], 400),
    "no letters": ("\x00\x01\xff", [], 400),
}  # fmt: skip


@pytest.mark.parametrize(("line", "headers", "status"), HEADS.values(), ids=HEADS.keys())
def test_a_malformed_head_is_answered_and_the_server_keeps_running(
    server: LiveServer, line: str, headers: list[str], status: int
) -> None:
    answered, content = send(server, request(server, line, *headers))
    assert answered == status
    assert status == 200 or b"\n" not in content
    assert is_well(server)


def test_a_refusal_reaches_a_client_that_is_still_sending(server: LiveServer) -> None:
    for _ in range(10):
        assert post(server, "/frames", bytes(8_000_000))[0] == 413


def test_an_unexpected_body_is_not_read_as_the_next_request(server: LiveServer, tmp_path: Path) -> None:
    body = json.dumps(NAME).encode()
    hidden = request(server, "POST /names HTTP/1.1", JSON, f"Content-Length: {len(body)}", body=body)
    assert send(server, request(server, "GET / HTTP/1.1", f"Content-Length: {len(hidden)}", body=hidden))[0] == 200
    time.sleep(0.2)
    assert not (tmp_path / "names.json").exists()


def test_several_requests_on_one_connection_are_answered_in_turn(server: LiveServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    for _ in range(3):
        connection.request("GET", "/")
        assert connection.getresponse().read().startswith(b"<!")
    connection.close()


@pytest.mark.parametrize("sent", [b"GET / HT", b"POST /names HTTP/1.1\r\nContent-Le", b"", "body"])
def test_an_incomplete_request_times_out(
    server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: Any
) -> None:
    monkeypatch.setitem(connections_module()._LIMITS_S, "asking", 0.3)
    if sent == "body":
        sent = request(server, "POST /names HTTP/1.1", JSON, "Content-Length: 99", body=b"{")
    with connect(server) as connection:
        connection.sendall(sent)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ") if sent else answer == b""
    assert not (tmp_path / "names.json").exists()


def connections_module() -> Any:
    from ganspace_topdis.traversal.live import connections

    return connections


def test_a_request_that_arrives_too_slowly_times_out(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections_module()._LIMITS_S, "asking", 0.5)
    start_s = time.monotonic()
    with connect(server) as connection, pytest.raises(OSError):  # noqa: PT012 (the line breaks at any of these)
        while time.monotonic() - start_s < 10:
            connection.sendall(b"x")
            time.sleep(0.05)
            if select_readable(connection):
                raise BrokenPipeError
    assert time.monotonic() - start_s < 5


def select_readable(connection: socket.socket) -> bool:
    import select

    return bool(select.select([connection], [], [], 0)[0])


def test_half_open_connections_on_all_places_block_nobody(serve: Serve) -> None:
    server = serve(max_connections=8)
    before = threading.active_count()
    half_open = [connect(server) for _ in range(40)]
    for connection in half_open:
        connection.sendall(b"GET / HT")
    try:
        assert all(is_well(server) for _ in range(3))
        assert threading.active_count() < before + 20
    finally:
        for connection in half_open:
            connection.close()


def test_a_client_that_never_reads_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections_module()._LIMITS_S, "answering", 0.1)
    places, (ours, theirs) = Connections(1), socket.socketpair()
    with ours, theirs:
        places.admit(ours)
        places.enter(ours, "answering")
        time.sleep(0.3)
        places.sweep()
        with pytest.raises(OSError):
            ours.sendall(b"x")


def test_every_request_of_a_mixed_burst_is_answered(server: LiveServer, tmp_path: Path) -> None:
    num_requests, answers = 240, {}
    gate = threading.Barrier(num_requests)

    def ask(place: int) -> None:
        bodies = {
            0: None,
            1: ("/frames", json.dumps({**REQUEST, "page": str(place)}).encode()),
            2: ("/names", json.dumps({**NAME, "index": place % 3}).encode()),
            3: ("/frames", REQUESTS[place % len(REQUESTS)]),
        }
        body = bodies[place % 4]
        gate.wait()
        answers[place] = post(server, *body) if body else send(server, request(server, "GET / HTTP/1.1"))

    half_open = [connect(server) for _ in range(60)]
    for connection in half_open:
        connection.sendall(b"POST /fra")
    threads = [threading.Thread(target=ask, args=(place,)) for place in range(num_requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for connection in half_open:
        connection.close()
    expected = {0: 200, 1: 200, 2: 200, 3: 400}
    assert {place: status for place, (status, _) in answers.items()} == {
        place: expected[place % 4] for place in range(num_requests)
    }
    assert set(NamesStore(tmp_path, num_directions=3, source="abc").read()) == {0, 1, 2}
