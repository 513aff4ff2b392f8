"""
Load without an end: C{python -m tests.e2e.support.load honest|hostile INTERFACE SECONDS}.

Honest clients boot again and again, and see to it that they get what is theirs, whole; hostile ones do one harm after
the other.  At the end a line of JSON says how many rounds there were, and what went wrong.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import sys
import time
from collections.abc import Callable
from struct import pack

from pybootd.dhcp.packet import Packet, decode
from tests.e2e.support import hostile
from tests.e2e.support.hostile import SERVER
from tests.support.dhcp import ACK, BIOS, BROADCAST, DISCOVER, OFFER, REQUEST, datagram

MACHINES = [b"\x02\x60\x0d\0\0" + bytes((number,)) for number in range(8)]
"""The honest ones; the server is to have an address for each."""

TRIES = 4
PATIENCE = 2.0
"""Seconds that an honest client waits for an answer before it asks again."""

FILE = "large"


def honest(interface: str, seconds: float) -> object:
    """Machines that boot: an address, which is always the same one, then a file by TFTP and by HTTP."""
    sock = hostile.client(interface)
    addresses: dict[bytes, int] = {}
    rounds, wrong = 0, []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        mac = MACHINES[rounds % len(MACHINES)]
        for step in (_address, _tftp, _http):
            try:
                step(sock, mac, addresses)
            except (AssertionError, OSError, http.client.HTTPException) as error:
                wrong.append(f"{step.__name__} in round {rounds}: {error!r}")
        rounds += 1
    return {"rounds": rounds, "wrong": wrong}


def _address(sock: socket.socket, mac: bytes, addresses: dict[bytes, int]) -> None:
    offer = _said(sock, datagram(DISCOVER, BIOS, mac=mac, flags=BROADCAST), mac, OFFER)
    chosen = {**BIOS, 50: pack("!I", offer.yiaddr), 54: offer.options[54]}
    ack = _said(sock, datagram(REQUEST, chosen, mac=mac, flags=BROADCAST), mac, ACK)
    assert addresses.setdefault(mac, ack.yiaddr) == ack.yiaddr, "another address than before"
    assert len(set(addresses.values())) == len(addresses), "an address twice"


def _said(sock: socket.socket, data: bytes, mac: bytes, kind: int) -> Packet:
    """The answer, among those to others; asked for again while it does not come."""
    for _ in range(TRIES):
        sock.sendto(data, ("255.255.255.255", 67))
        until = time.monotonic() + PATIENCE
        while select.select([sock], [], [], max(0, until - time.monotonic()))[0]:
            reply = decode(sock.recv(4096))
            if reply.chaddr == mac and reply.options.get(53) == bytes((kind,)):
                return reply
    raise AssertionError(f"no answer of type {kind}")


class Unanswered(AssertionError):
    """Nothing came, however often it was asked for."""


def _tftp(sock: socket.socket, mac: bytes, addresses: dict[bytes, int]) -> None:
    """
    A file of zeros by blocks of 1400, of which the last ends it.

    To the server this is a stranger: as long as it has not answered, it may have to give way, and begins anew.
    """
    for attempt in range(TRIES):
        with socket.socket(type=socket.SOCK_DGRAM) as own:
            own.settimeout(PATIENCE)
            try:
                answer, source = _reply(own, b"\0\1%s\0octet\0blksize\0001400\0" % FILE.encode(), (SERVER, 69))
                assert answer[:2] == b"\0\6", answer[:60]
                data, source = _block(own, 1, source)
            except Unanswered:
                if attempt == TRIES - 1:
                    raise
                continue
            block, size = 1, len(data)
            while len(data) == 1400:
                block += 1
                data, source = _block(own, block, source)
                size += len(data)
            own.sendto(b"\0\4" + pack("!H", block), source)
        assert size == hostile.LARGE, size
        return


def _block(own: socket.socket, block: int, source: tuple[str, int]) -> tuple[bytes, tuple[str, int]]:
    """The bytes of a block, which comes for the ACK of the one before, and where it came from."""
    while True:
        answer, source = _reply(own, b"\0\4" + pack("!H", block - 1), source)
        assert answer[:2] in (b"\0\3", b"\0\6"), (block, answer[:60])
        if answer[:4] == b"\0\3" + pack("!H", block):
            return answer[4:], source


def _reply(own: socket.socket, data: bytes, to: tuple[str, int]) -> tuple[bytes, tuple[str, int]]:
    for _ in range(TRIES):
        own.sendto(data, to)
        try:
            return own.recvfrom(65536)
        except TimeoutError:
            continue
    raise Unanswered(f"no answer by TFTP to {data[:4]!r}")


def _http(sock: socket.socket, mac: bytes, addresses: dict[bytes, int]) -> None:
    """The same file twice over one connection; one that was dropped for those that wait longer begins anew."""
    for attempt in range(TRIES):
        connection = http.client.HTTPConnection(SERVER, 80, timeout=10)
        try:
            for _ in range(2):
                connection.request("GET", f"/{FILE}")
                answer = connection.getresponse()
                size = len(answer.read())
                assert (answer.status, size) == (200, hostile.LARGE), (answer.status, size)
            return
        except (ConnectionError, http.client.HTTPException):
            if attempt == TRIES - 1:
                raise
        finally:
            connection.close()


def attack(interface: str, seconds: float) -> object:
    """One harm after the other."""
    rounds = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        hostile.flood(interface, 300)
        hostile.starve(interface, 100)
        hostile.noise(interface, 100)
        hostile.vanish(interface, 60)
        hostile.silent(interface, 60)
        rounds += 1
    return {"rounds": rounds, "wrong": []}


KINDS: dict[str, Callable[[str, float], object]] = {"honest": honest, "hostile": attack}

if __name__ == "__main__":
    kind, where, how_long = sys.argv[1:]
    print(json.dumps(KINDS[kind](where, float(how_long))), flush=True)
