"""
Slow downloads, and others beside them: C{python -m tests.e2e.support.beside INTERFACE TFTP HTTP SMALL SIZE}.

One client downloads the file C{TFTP} by TFTP, another one C{HTTP} by HTTP.  Until both are done, one machine asks for
an offer again and again, and two clients ask for the file C{SMALL} of that size, by TFTP and by HTTP.  A line of JSON
says what each download took and brought, how many answers the others had meanwhile, the longest that one of them
waited, and in which share of all moments there was an answer while both downloads went on.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from struct import pack

from tests.e2e.support import hostile
from tests.e2e.support.hostile import SERVER
from tests.support.dhcp import BIOS, BROADCAST, DISCOVER, OFFER, datagram

MAC = b"\x02\x60\x0d\0\0\x01"
BLKSIZE = 1400
PATIENCE = 5.0
"""Seconds until a client without an answer asks again; longer than any read of the disk takes."""

TRIES = 6

MOMENT = 0.06
"""Seconds."""


def tftp(name: str) -> bytes:
    """A file, block by block."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        request = b"\0\1%s\0octet\0blksize\0%d\0" % (name.encode(), BLKSIZE)
        answer, source = _reply(sock, request, (SERVER, 69), b"\0\6")
        pieces: list[bytes] = []
        while not pieces or len(pieces[-1]) == BLKSIZE:
            ack, header = b"\0\4" + pack("!H", len(pieces)), b"\0\3" + pack("!H", len(pieces) + 1)
            answer, source = _reply(sock, ack, source, header)
            pieces.append(answer[4:])
        sock.sendto(b"\0\4" + pack("!H", len(pieces)), source)
    return b"".join(pieces)


def _reply(sock: socket.socket, data: bytes, to: tuple[str, int], begins: bytes) -> tuple[bytes, tuple[str, int]]:
    """The answer that begins so; asked for again while it does not come."""
    for _ in range(TRIES):
        sock.sendto(data, to)
        try:
            while True:
                answer, source = sock.recvfrom(65536)
                if answer.startswith(begins):
                    return answer, source
        except TimeoutError:
            continue
    raise TimeoutError(f"no answer by TFTP to {data[:4]!r}")


def web(name: str) -> bytes:
    """A file, over a connection of its own."""
    connection = http.client.HTTPConnection(SERVER, 80, timeout=PATIENCE * TRIES)
    try:
        connection.request("GET", f"/{name}")
        return connection.getresponse().read()
    finally:
        connection.close()


class Beside:
    """The slow ones and the others."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.slow: dict[str, tuple[float, str]] = {}
        self.answers: dict[str, int] = {}
        self.longest: dict[str, float] = {}
        self.moments: dict[str, set[int]] = {}
        self.begun = time.monotonic()
        self.done = threading.Event()

    def download(self, kind: str, fetch: Callable[[], bytes]) -> None:
        """What it took, and the hash of what came."""
        data = fetch()
        self.slow[kind] = (time.monotonic() - self.begun, hashlib.sha256(data).hexdigest())

    def repeat(self, kind: str, ask: Callable[[], bool]) -> None:
        """Ask until the downloads are done; what is answered later counts no more."""
        self.answers[kind], self.longest[kind], self.moments[kind] = 0, 0.0, set()
        while not self.done.is_set():
            begun = time.monotonic()
            good = ask()
            if good and not self.done.is_set():
                self.answers[kind] += 1
                self.moments[kind].add(int((time.monotonic() - self.begun) / MOMENT))
            self.longest[kind] = max(self.longest[kind], time.monotonic() - begun)

    def shares(self) -> dict[str, float]:
        """In how many of the moments until the first download was done there was an answer; 1.0: in all of them."""
        count = int(min(seconds for seconds, _ in self.slow.values()) / MOMENT)
        return {kind: len(moments & set(range(count))) / count for kind, moments in self.moments.items()}

    def address(self) -> Callable[[], bool]:
        """Asks for an offer."""
        sock = hostile.client(self.interface)
        sock.settimeout(PATIENCE)

        def ask() -> bool:
            sock.sendto(datagram(DISCOVER, BIOS, mac=MAC, flags=BROADCAST), ("255.255.255.255", 67))
            return bytes((53, 1, OFFER)) in sock.recv(4096)

        return ask

    def run(self, slow_tftp: str, slow_web: str, small: str, size: int) -> None:
        """Until both downloads are done."""
        others = {
            "dhcp": self.address(),
            "tftp": lambda: len(tftp(small)) == size,
            "http": lambda: len(web(small)) == size,
        }
        threads = [threading.Thread(target=self.repeat, args=item, daemon=True) for item in others.items()]
        downloads = [
            threading.Thread(target=self.download, args=("tftp", lambda: tftp(slow_tftp))),
            threading.Thread(target=self.download, args=("http", lambda: web(slow_web))),
        ]
        for thread in (*downloads, *threads):
            thread.start()
        for thread in downloads:
            thread.join()
        self.done.set()
        for thread in threads:
            thread.join(PATIENCE * TRIES)
        seen = {"slow": self.slow, "answers": self.answers, "longest": self.longest, "shares": self.shares()}
        print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    Beside(sys.argv[1]).run(*sys.argv[2:5], int(sys.argv[5]))
