"""
A download that pauses: C{python -m tests.e2e.support.pausing NAME FILE}.

Of the file C{NAME}, by HTTP, the beginning is taken and no more until C{FILE} is there, then the rest.  Each step is a
line: C{begun}, C{again}, and C{ended} with the hash of what came.
"""

from __future__ import annotations

import hashlib
import socket
import sys
import time
from pathlib import Path

from tests.e2e.support.hostile import SERVER

ROOM = 1 << 13
"""Bytes that the system takes meanwhile, about; the server's keeps some, too."""

PATIENCE = 60.0
"""Seconds."""


def download(name: str, go: Path) -> None:
    """The whole of it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        sock.settimeout(PATIENCE)
        sock.connect((SERVER, 80))
        sock.sendall(b"GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % name.encode())
        data = bytearray()
        while not data.partition(b"\r\n\r\n")[2]:
            data += sock.recv(ROOM)
        print("begun", flush=True)
        deadline = time.monotonic() + PATIENCE
        while not go.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        print("again", flush=True)
        while piece := sock.recv(1 << 16):
            data += piece
    print("ended", hashlib.sha256(data.partition(b"\r\n\r\n")[2]).hexdigest(), flush=True)


if __name__ == "__main__":
    download(sys.argv[1], Path(sys.argv[2]))
