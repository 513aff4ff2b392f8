"""
Many machines at one interface: C{python -m tests.e2e.support.crowd INTERFACE}.

Each machine is a number, the last four bytes of its hardware address.  Commands come on standard input, a line each:

    ================ ===============================================================================
    ask N...         these machines are switched on, all of them until each has an ACK
    load WIDTH NEW   from now on so many ask at any moment: NEW unknown ones at most, then known ones
    rest             whoever has no ACK yet is switched off; C{resting 0} is printed
    ================ ===============================================================================

Whatever is promised is printed: C{ack N ADDRESS}, C{nak N}, and C{offer N ADDRESS}.  Machines with odd numbers that had
an address before ask for it at once (INIT-REBOOT), the others begin with a DISCOVER.
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence

DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
PATIENCE = 0.15
"""Seconds until a machine starts again from the beginning."""

FIRST_NEW = 1000
PREFIX = b"\x02\x50"


def hardware_address(number: int) -> bytes:
    """A machine's."""
    return PREFIX + number.to_bytes(4, "big")


def message(kind: int, number: int, xid: int, requested: bytes = b"", server: bytes = b"") -> bytes:
    """What a machine sends; it asks for a broadcast answer."""
    header = struct.pack("!BBBBIHH16s16s192x", 1, 1, 6, 0, xid, 0, 0x8000, b"", hardware_address(number))
    options = b"\x63\x82\x53\x63" + bytes((53, 1, kind))
    if requested:
        options += b"\x32\x04" + requested
    if server:
        options += b"\x36\x04" + server
    return header + options + b"\x37\x04\x01\x03\x33\x36\xff"


def option(data: bytes, wanted: int) -> bytes:
    """One option of an answer, or nothing."""
    at = 240
    while at + 1 < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        if data[at] == wanted:
            return data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return b""


class Crowd:
    """The machines and what they are doing."""

    def __init__(self, interface: str) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind(("0.0.0.0", 68))
        self.sock.setblocking(False)
        self.addresses: dict[int, bytes] = {}
        self.asking: dict[int, float] = {}
        """Machines under way, and when each loses patience."""
        self.known: list[int] = []
        self.waiting: list[int] = []
        self.width = self.unknown = 0
        self.next = FIRST_NEW
        self.xid = random.getrandbits(31)

    def command(self, words: Sequence[str]) -> None:
        """One line of input."""
        if words[0] == "ask":
            self.waiting += map(int, words[1:])
        elif words[0] == "load":
            self.width, self.unknown = int(words[1]), int(words[2])
        else:
            self.width = self.unknown = 0
            self.waiting.clear()
            self.asking.clear()
            print("resting", 0)

    def fill(self) -> None:
        """Switch machines on until as many are under way as there should be."""
        while self.waiting and len(self.asking) < 64:
            self.begin(self.waiting.pop())
        while len(self.asking) < self.width:
            if self.unknown and (not self.known or random.random() < 0.15):
                self.unknown -= 1
                self.next += 1
                self.begin(self.next)
            elif self.known:
                self.begin(random.choice(self.known))
            else:
                break

    def begin(self, number: int) -> None:
        """A machine is switched on, or starts again."""
        self.asking[number] = time.monotonic() + PATIENCE * random.uniform(0.7, 1.3)
        known = self.addresses.get(number, b"")
        kind = REQUEST if known and number % 2 else DISCOVER
        self.send(message(kind, number, self.new_xid(), known if kind == REQUEST else b""))

    def new_xid(self) -> int:
        """Never the same twice."""
        self.xid = (self.xid + 1) & 0xFFFFFFFF
        return self.xid

    def send(self, data: bytes) -> None:
        """A full send buffer is a lost datagram."""
        with contextlib.suppress(BlockingIOError):
            self.sock.sendto(data, ("255.255.255.255", 67))

    def receive(self) -> None:
        """Everything that has come."""
        while True:
            try:
                data = self.sock.recv(2048)
            except BlockingIOError:
                return
            if len(data) > 240 and data[0] == 2 and data[28:30] == PREFIX:
                self.answer(data, int.from_bytes(data[30:34], "big"))

    def answer(self, data: bytes, number: int) -> None:
        """A promise is one, whichever question it answers."""
        kind, address = option(data, 53)[:1], data[16:20]
        if kind == bytes((OFFER,)):
            print("offer", number, socket.inet_ntoa(address))
            if number in self.asking:
                self.send(message(REQUEST, number, struct.unpack_from("!I", data, 4)[0], address, option(data, 54)))
        elif kind == bytes((ACK,)):
            print("ack", number, socket.inet_ntoa(address))
            if number not in self.addresses:
                self.known.append(number)
            self.addresses[number] = address
            self.asking.pop(number, None)
        elif kind == bytes((NAK,)):
            print("nak", number)

    def run(self) -> None:
        """Until the input ends."""
        pending = b""
        while True:
            self.fill()
            ready, _, _ = select.select([self.sock, sys.stdin], [], [], 0.02 if self.asking else 0.2)
            if self.sock in ready:
                self.receive()
            now = time.monotonic()
            for number in [number for number, until in self.asking.items() if until < now]:
                self.begin(number)
            if sys.stdin in ready:
                more = sys.stdin.buffer.raw.read(65536)  # type: ignore[attr-defined]
                if not more:
                    return
                *lines, pending = (pending + more).split(b"\n")
                for line in lines:
                    self.command(line.decode().split())
            sys.stdout.flush()


if __name__ == "__main__":
    Crowd(sys.argv[1]).run()
