"""The server of the live page: three addresses, this machine only, nothing from the disk.

    GET  /         the page
    POST /frames   frames for it, as a WebP image; 204 where a newer question made this one stale
    POST /names    a new name or star of one direction, kept in the run's folder

No address names a file, so none can lead out of the run. Questions are answered for this server's own name only
(Host) and from its own page only (Origin, and JSON, which pages of other places may not send), so that a page
from the network can neither read nor change anything here, whatever its name resolves to.

Every request is answered, one that cannot be understood by a line that says why. Each connection has a thread; how
many there are and how long they may take is for `live.connections`.
"""

import dataclasses
import io
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError, TopdisError
from ganspace_topdis.traversal.labels import DirectionLabel
from ganspace_topdis.traversal.live.connections import (
    Connections,
    IncompleteRequestError,
    Phase,
    RequestReader,
    most_connections,
)
from ganspace_topdis.traversal.live.desk import StaleError
from ganspace_topdis.traversal.live.names_store import NamesStore
from ganspace_topdis.traversal.live.questions import MAX_STATES, read_frames, read_name
from ganspace_topdis.traversal.live.studio import Studio
from ganspace_topdis.traversal.names import apply_names
from ganspace_topdis.traversal.page import fill_page, page_data

__all__ = ["LiveServer", "PageSettings"]

_HOST = "127.0.0.1"
_MAX_BODY_BYTES = 256 * 1024
_MAX_HEAD_BYTES = 64 * 1024
_LISTEN_QUEUE = 4096
"""Connections that wait to be accepted; the system may allow fewer (on Linux net.core.somaxconn)."""
_LINGER_S, _MOST_LINGER_BYTES = 2.0, 16_000_000
"""What a client still sends after it was refused is taken off the line, or the refusal would be lost with it."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageSettings:
    """What the page starts with.

    Attributes:
        labels: names and scores of the directions.
        seeds: the seeds that it offers; any other can be typed.
        title: its heading.
        subtitle: a line under it.
        source: a hash of the directions, for saved names.
        extent: the largest shift, standard deviations.
        truncation_psi: 0 to 1.
    """

    labels: Sequence[DirectionLabel]
    seeds: Sequence[int]
    title: str = "Directions"
    subtitle: str = ""
    source: str = ""
    extent: float = 3.0
    truncation_psi: float = 0.7

    def __post_init__(self) -> None:
        if not 0 < self.extent <= 100:
            raise InvalidArgumentError(f"extent is {self.extent}, allowed are more than 0 to 100 standard deviations")
        if not 0 <= self.truncation_psi <= 1:
            raise InvalidArgumentError(f"truncation is {self.truncation_psi}, allowed are 0 to 1")
        if not self.seeds:
            raise InvalidArgumentError("no seed was given for the page; give one or more, such as 0-5")


class LiveServer(ThreadingHTTPServer):
    """Serves the live page of `studio` at `url` once `serve_forever` runs.

    Args:
        studio: draws.
        names: keeps names.
        settings: what the page starts with.
        port: 0 takes any free one.
        max_connections: open at a time; by default 512, fewer where the process may not open so many files.

    Raises:
        InvalidArgumentError: the port cannot be used.
    """

    daemon_threads = True
    request_queue_size = _LISTEN_QUEUE

    def __init__(
        self,
        studio: Studio,
        names: NamesStore,
        settings: PageSettings,
        *,
        port: int = 0,
        max_connections: int | None = None,
    ) -> None:
        self.studio, self.names, self.settings = studio, names, settings
        self.connections = Connections(max_connections or most_connections())
        try:
            super().__init__((_HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "ports are 0 to 65535"
            raise InvalidArgumentError(f"port {port} cannot be used ({reason}); give another, or 0 for any") from error

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{_HOST}:{self.server_port}/"

    @property
    def own_names(self) -> tuple[str, str]:
        """The Host headers that are answered."""
        return f"{_HOST}:{self.server_port}", f"localhost:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the connection's thread, once there is a place for it."""
        self.connections.admit(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End the connection and free its place."""
        self.connections.release(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut the connections that take too long."""
        self.connections.sweep()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a page that has gone in the middle of a question; anything else is an error of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Free the port, and wait for the image that is being drawn."""
        super().server_close()
        self.studio.close()

    def page(self) -> str:
        """The page with the names as they are now."""
        settings, model = self.settings, self.studio.model
        data = page_data(apply_names(settings.labels, self.names.read()), [], source=settings.source)
        layers = None if model.num_layers is None else list(model.layers or range(model.num_layers))
        data |= {
            "seeds": [{"label": f"seed {seed}", "number": seed} for seed in settings.seeds],
            "transparent": model.num_channels == 4,
            "live": {
                "extent": settings.extent,
                "psi": settings.truncation_psi,
                "layers": layers,
                "numLayers": model.num_layers or 0,
                "layerRanges": [[name, list(chosen)] for name, chosen in model.layer_ranges],
                "viewSize": self.studio.size("view"),
                "thumbSize": self.studio.size("film"),
                "maxStates": MAX_STATES,
            },
        }
        return fill_page("live", title=settings.title, subtitle=settings.subtitle, data=data)


class _Handler(BaseHTTPRequestHandler):
    """One connection. Its requests are read whole before anything is done for them."""

    server: LiveServer
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
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a head has at most {_MAX_HEAD_BYTES} bytes")
        except IncompleteRequestError:
            if self.server.connections.is_cut(self.connection):
                self.send_error(HTTPStatus.REQUEST_TIMEOUT, "the request did not come in time")

    def _has_begun(self) -> bool:
        """Wait for the next request; whether there is one."""
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
            self.send_error(HTTPStatus.BAD_REQUEST, "the request names no version of HTTP")
        elif self.command == "GET":
            self.do_GET()
        elif self.command == "POST":
            self.do_POST()
        else:
            self.send_error(HTTPStatus.NOT_IMPLEMENTED, "allowed are GET and POST")

    def do_GET(self) -> None:
        """Answer with the page."""
        if "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0":
            self.close_connection = self._lingers = True  # a body that nobody reads is not the next request
        if self._is_refused():
            return
        if self.path != "/":
            self._answer(HTTPStatus.NOT_FOUND, "there is nothing here")
            return
        self._answer_with(lambda: (self.server.page().encode(), "text/html; charset=utf-8"))

    def do_POST(self) -> None:
        """Draw frames, or keep a name."""
        if self._is_refused():
            return
        body = self._body()
        if body is None:
            return
        if self.path == "/frames":
            self._answer_with(lambda: (self._draw(body), "image/webp"))
        elif self.path == "/names":
            self._answer_with(lambda: (self._rename(body), "text/plain; charset=utf-8"))
        else:
            self._answer(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _draw(self, body: bytes) -> bytes:
        studio, settings = self.server.studio, self.server.settings
        question = read_frames(
            body,
            num_directions=studio.model.directions.num_directions,
            num_layers=studio.model.num_layers,
            extent=settings.extent,
        )
        return studio.draw(question)

    def _rename(self, body: bytes) -> bytes:
        self.server.names.change(read_name(body, num_directions=self.server.studio.model.directions.num_directions))
        return b"kept"

    def _is_refused(self) -> bool:
        """Refuse other names for this server (DNS rebinding), and questions from pages of other places."""
        own = self.server.own_names
        hosts, origins = self.headers.get_all("Host", []), self.headers.get_all("Origin", [])
        if (
            len(hosts) == 1
            and hosts[0] in own
            and all(origin in [f"http://{name}" for name in own] for origin in origins)
        ):
            return False
        self.send_error(HTTPStatus.FORBIDDEN, f"this page is for this machine only; open {self.server.url}")
        return True

    def _body(self) -> bytes | None:
        """The JSON that was sent; None once it has been refused."""
        lengths = self.headers.get_all("Content-Length", [])
        length = lengths[0] if len(lengths) == 1 and "Transfer-Encoding" not in self.headers else ""
        if self.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            refusal = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "questions are application/json"
        elif not (length.isascii() and length.isdigit()):
            refusal = HTTPStatus.LENGTH_REQUIRED, "the length of the question is missing"
        elif len(length) > 9 or int(length) > _MAX_BODY_BYTES:
            refusal = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a question has at most {_MAX_BODY_BYTES} bytes"
        else:
            return self.rfile.read(int(length))
        self.send_error(*refusal)
        return None

    def _answer_with(self, make: Callable[[], tuple[bytes, str]]) -> None:
        """Send what `make` gives, or what went wrong as one line."""
        self._enter("working")
        try:
            content, kind = make()
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
        """Refuse a request in one line, and end the connection: what follows it there cannot be trusted."""
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
        """Close the streams; after a refusal, only once the client has heard it."""
        super().finish()
        if not self._lingers:
            return
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_S)
            until_s, num_bytes = time.monotonic() + _LINGER_S, 0
            while time.monotonic() < until_s and num_bytes < _MOST_LINGER_BYTES:
                if not (piece := self.connection.recv(1 << 16)):
                    return
                num_bytes += len(piece)

    def _enter(self, phase: Phase) -> None:
        self.server.connections.enter(self.connection, phase)

    def log_message(self, *_: Any) -> None:
        """Stay silent: a slider makes hundreds of questions."""
