"""An HTTP server for this machine only, which answers every request, however malformed, with one line of reason.

Requests are accepted for this server's own name only (the Host header) and from its own pages only (the Origin header,
and JSON, which pages of other sites may not send), so that a page from the network can neither read nor change anything
here, whatever its name resolves to. Each connection has a thread; `live.connections` limits their number and duration.
"""

import io
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.traversal.live.connections import (
    Connections,
    IncompleteRequestError,
    Phase,
    RequestReader,
    most_connections,
)
from ganspace_topdis.traversal.live.renderer import StaleError

__all__ = ["Answer", "LocalServer"]

Answer = Callable[[bytes], tuple[bytes, str]]
"""The body of a request -> content and media type of the answer."""

_HOST = "127.0.0.1"
_MAX_BODY_BYTES = 256 * 1024
_MAX_HEAD_BYTES = 64 * 1024
_HTTP_PORT = 80
_LISTEN_QUEUE = 4096
"""Connections that wait to be accepted; the system may allow fewer (on Linux net.core.somaxconn)."""
_LINGER_S, _MAX_LINGER_BYTES = 2.0, 16_000_000
"""After a refusal, what the client still sends is read and dropped; otherwise it would not receive the refusal."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class LocalServer(ThreadingHTTPServer):
    """Serves `routes` at `url` once `serve_forever` runs.

    Args:
        routes: ("GET" or "POST", path) -> what answers it.
        port: 0 for any free one.
        max_connections: open at a time; by default 512, fewer if the process may not open so many files.

    Raises:
        InvalidArgumentError: the port cannot be used.
    """

    daemon_threads = True
    request_queue_size = _LISTEN_QUEUE

    def __init__(
        self, routes: Mapping[tuple[str, str], Answer], *, port: int = 0, max_connections: int | None = None
    ) -> None:
        self.routes = routes
        self.connections = Connections(max_connections or most_connections())
        try:
            super().__init__((_HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "ports are 0 to 65535"
            raise InvalidArgumentError(
                f"port {port} cannot be used ({reason}); choose another, or 0 for any", field="port"
            ) from error

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{_HOST}:{self.server_port}/"

    @property
    def own_names(self) -> tuple[str, ...]:
        """The Host headers that are accepted; browsers leave out the port of http, 80."""
        names = f"{_HOST}:{self.server_port}", f"localhost:{self.server_port}"
        return names if self.server_port != _HTTP_PORT else (*names, _HOST, "localhost")

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the thread of a connection, once there is a place for it."""
        self.connections.admit(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection and free its place."""
        self.connections.release(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Close the connections that take too long."""
        self.connections.sweep()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore client disconnects; report anything else, which is an error of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection. Each request is read completely before anything is done for it."""

    server: LocalServer
    connection: socket.socket
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "topdis-gan", ""
    disable_nagle_algorithm = True
    timeout = 60

    def setup(self) -> None:
        """Read through a `RequestReader`."""
        super().setup()
        assert isinstance(self.rfile, io.BufferedReader)
        self.rfile = self._reader = RequestReader(self.rfile, max_head_bytes=_MAX_HEAD_BYTES)
        self._is_first, self._lingers = True, False

    def handle_one_request(self) -> None:
        """Read a request and answer it."""
        self.close_connection = True
        self.requestline, self.command, self.request_version = "", "", self.protocol_version
        try:
            if self._has_begun():
                self._handle()
        except TimeoutError:
            return
        except HTTPException:
            self.send_error(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a request head has at most {_MAX_HEAD_BYTES} bytes"
            )
        except IncompleteRequestError:
            if self.server.connections.is_cut(self.connection):
                self.send_error(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time")

    def _has_begun(self) -> bool:
        """Wait for the next request; return whether there is one."""
        if not self._is_first:
            self._enter("idle")
        if not self._reader.begin():
            return False
        if not self._is_first:
            self._enter("asking")
        self._is_first = False
        return True

    def _handle(self) -> None:
        self.raw_requestline = self.rfile.readline()
        if not self.raw_requestline.strip():
            self.send_error(HTTPStatus.BAD_REQUEST, "the request line is empty")
        elif not self.parse_request():  # which has answered
            return
        elif self.request_version == "HTTP/0.9":
            self.send_error(HTTPStatus.BAD_REQUEST, "the request has no HTTP version")
        elif self.command not in ("GET", "POST"):
            self.send_error(HTTPStatus.NOT_IMPLEMENTED, "allowed are GET and POST")
        elif not self._is_refused():
            body = self._body() if self.command == "POST" else b""
            if body is not None:
                self._route(body)

    def _route(self, body: bytes) -> None:
        answer = self.server.routes.get((self.command, self.path))
        if answer is None:
            self._answer(HTTPStatus.NOT_FOUND, "there is nothing here")
        else:
            self._answer_with(answer, body)

    def _is_refused(self) -> bool:
        """Refuse other names for this server (DNS rebinding) and requests from pages of other sites."""
        has_body = "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0"
        if self.command == "GET" and has_body:
            self.close_connection = self._lingers = True  # an unread body must not become the next request
        own = self.server.own_names
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        own_origins = [f"http://{name}" for name in own]
        if len(hosts) == 1 and hosts[0] in own and all(origin in own_origins for origin in origins):
            return False
        self.send_error(HTTPStatus.FORBIDDEN, f"this page is for this machine only; open {self.server.url}")
        return True

    def _body(self) -> bytes | None:
        """Return the JSON that was sent; None if it was refused."""
        lengths = self.headers.get_all("Content-Length", [])
        length = lengths[0] if len(lengths) == 1 and "Transfer-Encoding" not in self.headers else ""
        if self.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            refusal = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "requests must be application/json"
        elif not (length.isascii() and length.isdigit()):
            refusal = HTTPStatus.LENGTH_REQUIRED, "the request has no valid Content-Length"
        elif len(length) > 9 or int(length) > _MAX_BODY_BYTES:
            refusal = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {_MAX_BODY_BYTES} bytes"
        else:
            return self.rfile.read(int(length))
        self.send_error(*refusal)
        return None

    def _answer_with(self, answer: Answer, body: bytes) -> None:
        """Send what `answer` returns, or its error as one line."""
        self._enter("working")
        try:
            content, kind = answer(body)
        except StaleError:
            self._send(HTTPStatus.NO_CONTENT, b"", "text/plain")
        except InvalidArgumentError as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error))
        except TopdisError as error:
            self._answer(HTTPStatus.CONFLICT, str(error))
        except Exception as error:
            print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"the generator failed ({type(error).__name__})")
        else:
            self._send(HTTPStatus.OK, content, kind)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request in one line and end the connection, because whatever follows on it cannot be trusted."""
        self.close_connection = self._lingers = True
        self.request_version = self.protocol_version  # 0.9, until a request line is understood, has no status line
        self._answer(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _answer(self, status: HTTPStatus, text: str) -> None:
        line = " ".join(text.split())[:500]
        self._send(status, line.encode("utf-8", "backslashreplace"), "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self._enter("answering")
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def finish(self) -> None:
        """Close the streams; after a refusal, only once the client has received it."""
        super().finish()
        if not self._lingers:
            return
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_S)
            until_s, num_bytes = time.monotonic() + _LINGER_S, 0
            while time.monotonic() < until_s and num_bytes < _MAX_LINGER_BYTES:
                if not (piece := self.connection.recv(1 << 16)):
                    return
                num_bytes += len(piece)

    def _enter(self, phase: Phase) -> None:
        self.server.connections.enter(self.connection, phase)

    def log_message(self, *_: Any) -> None:
        """Log nothing: a slider makes hundreds of requests."""
