"""
Many machines at once, on one cable: each of them asks for an address, and asks again until it has one.

They live in one host, which has all of their addresses, so that a server can reach each of them.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network
from struct import pack, unpack

from attrs import Factory, define, frozen

from pybootd.dhcp.packet import Packet, decode
from tests.e2e.support.lab import Namespace, within
from tests.support.dhcp import ACK, BROADCAST, DISCOVER, NAK, OFFER, REQUEST, datagram

AGAIN = 1.0
"""Seconds until a machine that got no answer asks again."""

TRIES = 4
"""REQUESTs without an answer after which a machine begins anew."""

ABREAST = 200
"""Machines that ask for more time at once."""

CHOICE = 0.15
"""Seconds for which a machine waits for the offer of the server that it would rather have."""

SO_RCVBUFFORCE = 33


@frozen
class Answer:
    """An OFFER, ACK or NAK."""

    kind: int
    machine: int
    address: str
    server: str
    seconds: int
    """Lease time."""


@define
class _Machine:
    """How far a machine is."""

    number: int
    due: float
    chosen: Answer | None = None
    offers: list[Answer] = Factory(list)
    tries: int = 0


def mac(machine: int) -> bytes:
    """The hardware address of a machine."""
    return b"\x52\x54\x01" + machine.to_bytes(3)


class Swarm:
    """
    The machines of one host.

    @ivar answers: all that was heard, in order.
    """

    def __init__(self, host: Namespace, network: str) -> None:
        """@param network: all addresses that the machines may be given; the host takes them."""
        host.ip("route", "add", "local", str(IPv4Network(network)), "dev", "eth0")
        self.answers: list[Answer] = []
        self._socket = within(host, _socket)

    def close(self) -> None:
        """They are switched off."""
        self._socket.close()

    def obtain(
        self, machines: Iterable[int], timeout: float, *, abreast: int = 40, acked: Callable[[int], None] | None = None
    ) -> dict[int, Answer]:
        """
        Each machine gets an address: DISCOVER, OFFER, REQUEST, ACK.

        Half of them would rather have the server with the lower address, half of them the other.

        @param abreast: how many are at it at once.
        @param acked: called with how many have got their ACK, after each of them.
        @return: the ACKs; who got none within C{timeout} seconds is not in it.
        """
        deadline = time.monotonic() + timeout
        waiting, busy, done = list(reversed(list(machines))), {}, {}
        while (waiting or busy) and time.monotonic() < deadline:
            while waiting and len(busy) < abreast:
                number = waiting.pop()
                busy[number] = _Machine(number, 0.0)
            for answer in self._heard(0.01):
                machine = busy.get(answer.machine)
                if machine is not None and self._takes(machine, answer):
                    done[answer.machine] = answer
                    del busy[answer.machine]
                    if acked is not None:
                        acked(len(done))
            now = time.monotonic()
            for machine in busy.values():
                if machine.due <= now:
                    self._next(machine, now)
        return done

    def renew(self, leases: Iterable[Answer], timeout: float, answers: int = 1) -> dict[int, list[Answer]]:
        """
        Machines ask all servers for more time (RFC 2131 4.3.2, rebinding).

        @param answers: how many each of them waits for.
        @return: what each of them was told within C{timeout} seconds.
        """
        told: dict[int, list[Answer]] = {lease.machine: [] for lease in leases}
        addresses = {lease.machine: lease.address for lease in leases}
        deadline, again = time.monotonic() + timeout, 0.0
        while (now := time.monotonic()) < deadline:
            lacking = [machine for machine, heard in told.items() if len(heard) < answers]
            if not lacking:
                break
            if again <= now:
                again = now + AGAIN
                for machine in lacking[:ABREAST]:
                    self._say(machine, REQUEST, {}, ciaddr=addresses[machine])
            for answer in self._heard(0.05):
                heard = told.get(answer.machine, [])
                if answer.kind in (ACK, NAK) and answer.server not in [one.server for one in heard]:
                    heard.append(answer)
        return told

    def offers(self, machine: int, timeout: float, answers: int = 1) -> list[Answer]:
        """What a machine is offered, by how many servers; it takes none of it."""
        deadline, again = time.monotonic() + timeout, 0.0
        offers: dict[str, Answer] = {}
        while (now := time.monotonic()) < deadline and len(offers) < answers:
            if again <= now:
                again = now + AGAIN
                self._say(machine, DISCOVER, {})
            for answer in self._heard(0.05):
                if answer.kind == OFFER and answer.machine == machine:
                    offers[answer.server] = answer
        return list(offers.values())

    def _takes(self, machine: _Machine, answer: Answer) -> bool:
        """Whether this ends it."""
        if answer.kind == OFFER and machine.chosen is None:
            machine.offers.append(answer)
            if len(machine.offers) == 1:
                machine.due = time.monotonic() + CHOICE
            else:
                machine.due = 0.0
        elif machine.chosen is not None and answer.server == machine.chosen.server:
            if answer.kind == ACK:
                return True
            if answer.kind == NAK:
                machine.chosen, machine.offers, machine.due = None, [], 0.0
        return False

    def _next(self, machine: _Machine, now: float) -> None:
        """Nothing came, or all that will: say the next thing."""
        machine.due = now + AGAIN
        if machine.tries >= TRIES:
            machine.chosen, machine.offers = None, []
        if machine.chosen is None and machine.offers:
            offers = sorted(machine.offers, key=lambda offer: offer.server)
            machine.chosen, machine.tries = offers[machine.number % len(offers)], 0
        if machine.chosen is None:
            machine.tries = 0
            self._say(machine.number, DISCOVER, {})
            return
        machine.tries += 1
        chosen = {50: IPv4Address(machine.chosen.address).packed, 54: IPv4Address(machine.chosen.server).packed}
        self._say(machine.number, REQUEST, chosen)

    def _say(self, machine: int, kind: int, options: dict[int, bytes], ciaddr: str = "0.0.0.0") -> None:
        data = datagram(kind, {55: bytes((1, 3, 51)), **options}, mac=mac(machine), ciaddr=ciaddr, flags=BROADCAST)
        self._socket.sendto(data, ("255.255.255.255", 67))

    def _heard(self, patience: float) -> list[Answer]:
        """What arrived; waits for the first for C{patience} seconds."""
        heard: list[Answer] = []
        while select.select([self._socket], [], [], 0 if heard else patience)[0]:
            heard.append(_answer(decode(self._socket.recv(4096))))
        self.answers += heard
        return heard


def _answer(packet: Packet) -> Answer:
    options = packet.options
    seconds = unpack("!I", options.get(51, pack("!I", 0)))[0]
    address, server = str(IPv4Address(packet.yiaddr)), str(IPv4Address(options[54]))
    return Answer(options[53][0], int.from_bytes(packet.chaddr[3:]), address, server, seconds)


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    sock.bind(("0.0.0.0", 68))
    return sock
