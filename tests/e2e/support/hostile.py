"""
Programs of attackers, each run on a host of its own: C{python -m tests.e2e.support.hostile NAME INTERFACE COUNT}.

They print what they achieved as one line of JSON and end; those that hold connections say C{held} and stay.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Callable
from random import Random
from struct import pack

from pybootd.dhcp.packet import decode
from tests.fuzz import target
from tests.fuzz.mutation import mutated
from tests.support.dhcp import ACK, BIOS, BROADCAST, DISCOVER, OFFER, REQUEST, datagram

SERVER = "10.77.0.1"
LARGE = 3_000_000
"""Bytes of the file C{large}."""

AT_ONCE = 50
"""Datagrams between two looks at the answers."""


def starve(interface: str, count: int) -> object:
    """As many machines as that, none of which exists, each of which takes whatever address it is offered."""
    sock = client(interface)
    acks = 0
    for number in range(count):
        _broadcast(sock, datagram(DISCOVER, BIOS, mac=_mac(number), flags=BROADCAST, xid=number))
        if number % AT_ONCE == AT_ONCE - 1 or number == count - 1:
            acks += _take(sock, 0.05 if number < count - 1 else 1.5)
    return acks


def _take(sock: socket.socket, seconds: float) -> int:
    """Take what is offered; how many addresses were given for good."""
    acks, until = 0, time.monotonic() + seconds
    while select.select([sock], [], [], max(0, until - time.monotonic()))[0]:
        reply = decode(sock.recv(4096))
        kind = reply.options.get(53, b"\0")[0]
        if kind == OFFER:
            chosen = {**BIOS, 50: pack("!I", reply.yiaddr), 54: reply.options[54]}
            _broadcast(sock, datagram(REQUEST, chosen, mac=reply.chaddr, flags=BROADCAST, xid=reply.xid))
        acks += kind == ACK
    return acks


def flood(interface: str, count: int) -> object:
    """As many DISCOVERs, one a machine, as fast as they leave."""
    sock = client(interface)
    for number in range(count):
        _broadcast(sock, datagram(DISCOVER, BIOS, mac=_mac(number), flags=BROADCAST, xid=number))
        if number % AT_ONCE == 0:
            time.sleep(0.002)
    return count


def noise(interface: str, count: int) -> object:
    """Datagrams that are almost right, at every port of the server's; each time the same ones."""
    sock = client(interface)
    random = Random(count)
    sent = 0
    for name, port in (("packet", 67), ("packet", 4011), ("request", 69)):
        inputs = target(name).seeds
        for _ in range(count):
            data = mutated(random.choice(inputs), inputs, random)
            try:
                sock.sendto(data, (SERVER, port))
                sent += 1
            except OSError:
                continue  # larger than the link takes, or the queue is full
            if sent % AT_ONCE == 0:
                time.sleep(0.01)
    return sent


def idle(interface: str, count: int) -> None:
    """Connections, every other one of which has begun a header and drips; held until it is killed."""
    held = []
    for number in range(count):
        sock = socket.socket()
        sock.settimeout(5)
        try:
            sock.connect((SERVER, 80))
            if number % 2:
                sock.send(b"GET / HTTP/1.1\r\nA: ")
        except OSError:
            continue
        held.append(sock)
    print("held", flush=True)
    while True:
        for sock in held[1::2]:
            try:
                sock.send(b"x", socket.MSG_DONTWAIT)
            except OSError:
                continue
        time.sleep(1)


def vanish(interface: str, count: int) -> object:
    """Connections of all kinds that go away: unused, with half a header, in the middle of a file; some by a reset."""
    for number in range(count):
        sock = socket.socket()
        sock.settimeout(2)
        try:
            sock.connect((SERVER, 80))
            sock.send((b"", b"GET /large HT", b"GET /large HTTP/1.1\r\n\r\n")[number % 3])
            if number % 3 == 2:
                sock.recv(1000)
            if number % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("@ii", 1, 0))
        except OSError:
            pass
        sock.close()
    return count


def silent(interface: str, count: int) -> object:
    """Requests for a file from as many ports as that, and not a word after them; the bytes that came back."""
    socks, heard = [], 0
    for number in range(count):
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("", 20000 + number))
        options = b"blksize\x001428\0windowsize\x0064\0" if number % 2 else b""
        sock.sendto(b"\0\1large\0octet\0" + options, (SERVER, 69))
        socks.append(sock)
    until = time.monotonic() + 2
    while ready := select.select(socks, [], [], max(0, until - time.monotonic()))[0]:
        heard += sum(len(sock.recv(65536)) for sock in ready)
    for sock in socks:
        sock.close()
    return heard


def unanswered(interface: str, seconds: int) -> object:
    """Requests of several kinds that are never answered: for each its own size, and the datagrams that came back."""
    socks = []
    for options in (b"", b"blksize\x0065464\0", b"blksize\x001428\0windowsize\x0064\0tsize\x000\0timeout\x001\0"):
        sock = socket.socket(type=socket.SOCK_DGRAM)
        request = b"\0\1large\0octet\0" + options
        sock.sendto(request, (SERVER, 69))
        socks.append((sock, len(request), list[int]()))
    until = time.monotonic() + seconds
    while ready := select.select([sock for sock, *_ in socks], [], [], max(0, until - time.monotonic()))[0]:
        for sock, _, sizes in socks:
            if sock in ready:
                sizes.append(len(sock.recv(65536)))
    return [(size, sizes) for _, size, sizes in socks]


def greedy(interface: str, count: int) -> object:
    """As many transfers at once as that, each ACKed once so that it has begun: how many the server began."""
    begun = 0
    keep = []
    for _ in range(count):
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.settimeout(2)
        sock.sendto(b"\0\1large\0octet\0", (SERVER, 69))
        try:
            data, source = sock.recvfrom(65536)
        except TimeoutError:
            continue
        if data[:2] == b"\0\3":
            sock.sendto(b"\0\4\0\1", source)
            begun += sock.recv(65536)[:4] == b"\0\3\0\2"
        keep.append(sock)
    return begun


def client(interface: str) -> socket.socket:
    """A socket at a DHCP client's port, on this interface alone."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    sock.bind(("0.0.0.0", 68))
    return sock


def _broadcast(sock: socket.socket, data: bytes) -> None:
    sock.sendto(data, ("255.255.255.255", 67))


def _mac(number: int) -> bytes:
    return b"\x02\xbad" + number.to_bytes(3, "big")


PROGRAMS: dict[str, Callable[[str, int], object]] = {
    program.__name__: program for program in (starve, flood, noise, idle, vanish, silent, unanswered, greedy)
}


if __name__ == "__main__":
    name, where, many = sys.argv[1:]
    print(json.dumps(PROGRAMS[name](where, int(many))), flush=True)
