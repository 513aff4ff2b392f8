"""Real web servers on the loopback interface, for what cannot do with less."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


class Quiet(BaseHTTPRequestHandler):
    """What a test's web server answers with; it logs nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@contextmanager
def loopback(answers: type[Quiet]) -> Iterator[tuple[HTTPServer, str]]:
    """A web server while it is there, and its host and port."""
    server = HTTPServer(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server, f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
