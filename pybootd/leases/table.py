"""
Who has which address: every lease and every open offer, indexed both ways.

Pure: time is an argument, and what is durable is somebody else's care.  A machine is known by its hardware address,
which its ROM, its loader and its operating system share.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from math import inf

from attrs import evolve

from pybootd.leases.lease import Lease, State

OFFER_SECONDS = 60.0
"""How long an address is held for a machine that was offered it (RFC 2131 4.3.1 leaves it to the server)."""

REST_SECONDS = 3600.0
"""How long an address rests that somebody else was found to use."""


class LeaseTable:
    """Leases by machine and by address, offers, and the claims that are being written down."""

    def __init__(self, leases: Iterable[Lease] = (), offers: int = 4096) -> None:
        """
        @param leases: what the store knew, the oldest record first.
        @param offers: how many offers may be open at once; past it the oldest gives way.
        """
        self.limit = offers
        self._by_address: dict[int, Lease] = {}
        self._by_key: dict[bytes, Lease | tuple[Lease, ...]] = {}
        self._offers: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        self._offered: dict[int, bytes] = {}
        self._pending: dict[bytes, Lease] = {}
        self._promised: dict[int, bytes] = {}
        self._heard: set[int] = set()
        for lease in leases:
            self.learn(lease)

    def __len__(self) -> int:
        return len(self._by_address)

    def __iter__(self) -> Iterator[Lease]:
        return iter(tuple(self._by_address.values()))

    # leases

    def learn(self, lease: Lease) -> None:
        """The store says so: when the lease ends was reckoned by another clock than that of this process."""
        self.record(lease)
        self._heard.add(lease.address)

    def shift(self, step: float) -> Sequence[Lease]:
        """
        The clock was set: what was reckoned by it ends as many seconds from now as before.

        @param step: seconds by which it was set forward; negative: back.
        @return: the leases that are others now.
        """
        moved = []
        for lease in tuple(self._by_address.values()):
            if lease.address not in self._heard and lease.expires < inf:
                moved.append(evolve(lease, expires=lease.expires + step))
                self._replace(moved[-1])
        for key, (address, until) in self._offers.items():
            self._offers[key] = (address, until + step)
        return moved

    def _replace(self, lease: Lease) -> None:
        """The same lease with another end."""
        self._by_address[lease.address] = lease
        known = self._by_key.get(lease.key)
        if isinstance(known, Lease):
            self._by_key[lease.key] = lease
        elif known:
            self._by_key[lease.key] = tuple(lease if one.address == lease.address else one for one in known)

    def record(self, lease: Lease) -> None:
        """This lease is durable: it is the truth about its address from now on."""
        self._heard.discard(lease.address)
        before = self._by_address.get(lease.address)
        if before is not None and before.key != lease.key:
            self._detach(before)
        self._by_address[lease.address] = lease
        if lease.key:
            self._attach(lease)
        holder = self._offered.get(lease.address, lease.key)
        if holder != lease.key:
            self.withdraw(holder)

    def at(self, address: int) -> Lease | None:
        """The record of an address."""
        return self._by_address.get(address)

    def within(self, addresses: range) -> Iterator[Lease]:
        """The records of these addresses."""
        if len(addresses) > len(self._by_address):
            return iter([lease for lease in self._by_address.values() if lease.address in addresses])
        return iter([self._by_address[address] for address in addresses if address in self._by_address])

    def of(self, key: bytes, first: int, last: int) -> Lease | None:
        """
        The machine's latest lease within a network, C{first} to C{last} included; ended ones too.

        One whose address is just being given to another machine, or laid to rest, counts no more.
        """
        known = self._by_key.get(key)
        if known is None:
            return None
        for lease in (known,) if isinstance(known, Lease) else known:
            if first <= lease.address <= last and self._promised.get(lease.address, key) == key:
                return lease
        return None

    def all_of(self, key: bytes) -> tuple[Lease, ...]:
        """The machine's leases in all networks, the latest first; ended ones too."""
        known = self._by_key.get(key, ())
        return (known,) if isinstance(known, Lease) else known

    def forget(self, address: int) -> None:
        """Nothing is known of this address any more."""
        lease = self._by_address.pop(address, None)
        if lease is not None:
            self._detach(lease)

    def _attach(self, lease: Lease) -> None:
        known = self._by_key.get(lease.key)
        if known is None or (isinstance(known, Lease) and known.address == lease.address):
            self._by_key[lease.key] = lease
            return
        several = (known,) if isinstance(known, Lease) else known
        self._by_key[lease.key] = (lease, *(one for one in several if one.address != lease.address))

    def _detach(self, lease: Lease) -> None:
        known = self._by_key.get(lease.key)
        if isinstance(known, Lease):
            if known.address == lease.address:
                del self._by_key[lease.key]
        elif known:
            rest = tuple(one for one in known if one.address != lease.address)
            self._by_key[lease.key] = rest[0] if len(rest) == 1 else rest

    # offers

    def offer(self, key: bytes, address: int, now: float) -> None:
        """Hold an address for a machine for a while; any other offer of either is void."""
        self.withdraw(key)
        holder = self._offered.get(address)
        if holder is not None:
            self.withdraw(holder)
        self._offers[key] = (address, now + OFFER_SECONDS)
        self._offered[address] = key
        while True:
            oldest, (_, until) = next(iter(self._offers.items()))
            if until > now and len(self._offers) <= self.limit:
                return
            self.withdraw(oldest)

    def offered(self, key: bytes, now: float) -> int:
        """The address that is held for this machine, or 0."""
        address, until = self._offers.get(key, (0, 0.0))
        return address if until > now else 0

    def withdraw(self, key: bytes) -> int:
        """The machine's offer, if any, is void; returns its address, or 0."""
        address, _ = self._offers.pop(key, (0, 0.0))
        if address:
            del self._offered[address]
        return address

    # what is being written down

    def begin(self, lease: Lease) -> None:
        """The store is writing this lease: nobody else may have its address meanwhile."""
        self._pending[lease.key] = lease
        self._promised[lease.address] = lease.key

    def pending(self, key: bytes) -> bool:
        """Whether a claim of this machine is being written down."""
        return key in self._pending

    def settle(self, lease: Lease, durable: bool) -> None:
        """The store has written it down, or could not."""
        self._pending.pop(lease.key, None)
        self._promised.pop(lease.address, None)
        if durable:
            self.withdraw(lease.key)
            self.record(lease)

    # whose is it?

    def owner(self, address: int, now: float) -> bytes | None:
        """
        Whose an address is: the machine's key; C{b""} where it rests; None where nobody has a claim on it.

        A lease that has ended still belongs to its machine here, unless the address is offered to another: whether it
        may be offered anew is the pool's question.
        """
        if address in self._promised:
            return self._promised[address]
        lease = self._by_address.get(address)
        if lease is not None and lease.state is not State.RELEASED and lease.expires > now:
            return lease.key
        key = self._offered.get(address)
        if key is not None and self.offered(key, now):
            return key
        return None if lease is None or lease.state is State.DECLINED else lease.key

    def taken(self, address: int, key: bytes, now: float) -> bool:
        """Whether somebody else has the address just now, or it rests; what has ended does not count."""
        if address in self._promised:
            return self._promised[address] != key
        lease = self._by_address.get(address)
        if lease is not None and lease.state is not State.RELEASED and lease.expires > now:
            return lease.key != key
        holder = self._offered.get(address)
        return holder is not None and holder != key and bool(self.offered(holder, now))

    def held(self, address: int, now: float) -> float:
        """
        Until when an address is kept by an open offer, or by a claim that is being written down; 0 where by neither.
        """
        if address in self._promised:
            return now + OFFER_SECONDS
        key = self._offered.get(address)
        until = self._offers[key][1] if key is not None else 0.0
        return until if until > now else 0.0
