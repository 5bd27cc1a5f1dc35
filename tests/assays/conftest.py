"""A loopback server in place of the upstream repositories."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest


class Upstream(NamedTuple):
    """A loopback server: what it serves, what was asked, and where it is."""

    files: dict[str, bytes]
    asked: list[str]
    url: str
    release: threading.Event


class _Handler(BaseHTTPRequestHandler):
    upstream: Upstream

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        self.upstream.asked.append(self.path)
        body = self.upstream.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        missing = 10 if ".short" in self.path else 0
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + missing))
        self.end_headers()
        if ".slow" in self.path:
            self.wfile.write(body[:5])
            self.wfile.flush()
            self.upstream.release.wait(30)
            body = body[5:]
        self.wfile.write(body)


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """Serve files on loopback as the upstream, with an empty cache and no data folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    state = Upstream({}, [], f"http://127.0.0.1:{server.server_port}", threading.Event())
    _Handler.upstream = state
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("MPRA_MIRROR", state.url)
    monkeypatch.setenv("MPRA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MPRA_OFFLINE", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("MPRA_DATA_DIR", raising=False)
    yield state
    state.release.set()
    server.shutdown()
    server.server_close()
    thread.join()
