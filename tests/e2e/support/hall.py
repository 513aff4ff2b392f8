"""
Many downloads that begin at once: C{python -m tests.e2e.support.hall tftp|http COUNT NAME}.

The clients live in one process, each with a socket of its own.  When all of them are ready, C{ready} is printed; they
begin when a line comes.  A line of JSON says how many seconds each of them took, which hashes of content there were,
and how often a client had to ask again.
"""

from __future__ import annotations

import hashlib
import json
import resource
import selectors
import socket
import sys
import time
from abc import ABC, abstractmethod
from struct import pack

SERVER = "10.77.0.1"
BLKSIZE = 1428
PATIENCE = 5.0
"""Seconds without progress after which a TFTP client says again what it said last."""

SECONDS = 150
"""After which whoever is not done has failed."""


class Client(ABC):
    """One download."""

    def __init__(self, kind: int) -> None:
        self.sock = socket.socket(socket.AF_INET, kind)
        self.sock.setblocking(False)
        self.hash = hashlib.sha256()
        self.due = float("inf")
        self.again = 0
        self.done = False

    @abstractmethod
    def begin(self, name: str) -> None:
        """Ask."""

    @abstractmethod
    def receive(self) -> None:
        """Something came."""

    def repeat(self) -> None:  # noqa: B027 - over TCP there is nothing to repeat
        """Nothing came."""

    def first(self) -> int:
        """Which events to wait for in the beginning."""
        return selectors.EVENT_READ


class TftpClient(Client):
    """Block by block."""

    def __init__(self) -> None:
        super().__init__(socket.SOCK_DGRAM)
        self.block = 0
        self.to = (SERVER, 69)

    def begin(self, name: str) -> None:
        self.say(b"\0\1%s\0octet\0blksize\0%d\0" % (name.encode(), BLKSIZE))

    def say(self, data: bytes) -> None:
        """Send it, and remember it."""
        self.said = data
        self.sock.sendto(data, self.to)
        self.due = time.monotonic() + PATIENCE

    def repeat(self) -> None:
        self.again += 1
        self.say(self.said)

    def receive(self) -> None:
        data, source = self.sock.recvfrom(2048)
        expected = self.block + 1
        if data[:2] == b"\0\6" and not self.block:
            self.to = source
            self.say(b"\0\4\0\0")
        elif data[:4] == b"\0\3" + pack("!H", expected):
            self.block = expected
            self.hash.update(data[4:])
            self.say(b"\0\4" + data[2:4])
            self.done = len(data) < BLKSIZE + 4
        elif data[:2] == b"\0\5":
            raise AssertionError(f"refused: {data!r}")


class HttpClient(Client):
    """One connection, one request."""

    def __init__(self) -> None:
        super().__init__(socket.SOCK_STREAM)
        self.head = b""
        self.left = -1

    def begin(self, name: str) -> None:
        self.request = f"GET /{name} HTTP/1.1\r\nHost: boot\r\n\r\n".encode()
        self.sock.connect_ex((SERVER, 80))

    def first(self) -> int:
        return selectors.EVENT_WRITE

    def connected(self) -> None:
        """Ask now."""
        self.sock.sendall(self.request)

    def receive(self) -> None:
        data = self.sock.recv(1 << 18)
        if not data:
            raise AssertionError(f"closed with {self.left} bytes to come: {self.head!r}")
        if self.left < 0:
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 200 "), head
            self.left = int(head.lower().partition(b"content-length:")[2].split()[0])
        self.hash.update(data)
        self.left -= len(data)
        self.done = not self.left


def run(kind: str, count: int, name: str) -> None:
    """All of them, until the last is done."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    clients: list[Client] = [TftpClient() if kind == "tftp" else HttpClient() for _ in range(count)]
    print("ready", flush=True)
    sys.stdin.readline()
    selector = selectors.DefaultSelector()
    begun = time.monotonic()
    for client in clients:
        client.begin(name)
        selector.register(client.sock, client.first(), client)
    took: list[float] = []
    while len(took) < count and time.monotonic() < begun + SECONDS:
        for key, events in selector.select(0.5):
            client = key.data
            if events & selectors.EVENT_WRITE:
                client.connected()
                selector.modify(client.sock, selectors.EVENT_READ, client)
                continue
            client.receive()
            if client.done:
                took.append(time.monotonic() - begun)
                selector.unregister(client.sock)
        now = time.monotonic()
        for client in clients:
            if client.due < now and not client.done:
                client.repeat()
    hashes = sorted({client.hash.hexdigest() for client in clients})
    print(json.dumps({"took": took, "hashes": hashes, "again": sum(client.again for client in clients)}), flush=True)


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), sys.argv[3])
