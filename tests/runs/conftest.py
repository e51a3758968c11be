import contextlib
import os
import shutil
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ganspace_topdis.runs import transfer

NOBODY = 65534


@pytest.fixture
def full_disk():
    """A context in which no file can grow beyond `num_bytes`: what a full disk does, without one."""
    resource = pytest.importorskip("resource", reason="this system has no resource limits")

    @contextlib.contextmanager
    def limit(num_bytes):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def read_only():
    """A context that gives a folder that this process cannot write in, even when run as root."""
    if os.name == "nt":
        pytest.skip("Windows has no read-only folders")

    @contextlib.contextmanager
    def make(prepare=lambda folder: None):
        folder = Path(tempfile.mkdtemp())
        prepare(folder)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)
            shutil.rmtree(folder)

    return make


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(dict(self.headers))
        try:
            self.server.answer(self)
        except OSError:  # the client had enough
            self.close_connection = True

    do_HEAD = do_GET  # noqa: N815  (the name that http.server calls)

    def reply(self, status=200, body=b"", **headers):
        """Answer with `body`; a header that is None is left out."""
        self.send_response(status)
        for name, value in {"Content_Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server on loopback, spoken to without TLS. Tests set `server.answer`, a function of the request's handler."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.requests = []
    server.host = f"127.0.0.1:{server.server_port}"
    server.url = f"http://{server.host}/models/net.pkl"
    server.answer = None
    monkeypatch.setattr(transfer, "_PLAIN_HTTP_HOSTS", {server.host})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
