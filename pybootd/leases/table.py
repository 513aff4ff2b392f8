"""
Who has which address: every lease and every open offer, indexed both ways.

Pure: time is an argument, and what is durable is somebody else's care.  A machine is known by its hardware address,
which its ROM, its loader and its operating system share.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from attrs import frozen

from pybootd.leases.lease import Lease, State

OFFER_SECONDS = 60.0
"""How long an address is held for a machine that was offered it (RFC 2131 4.3.1 leaves it to the server)."""

REST_SECONDS = 3600.0
"""How long an address rests that somebody else was found to use."""

NOBODY = b""


@frozen
class Offer:
    """An address that is held for a machine."""

    address: int
    expires: float


class LeaseTable:
    """Leases by machine and by address, offers, and the claims that are being written down."""

    def __init__(self, leases: Iterable[Lease] = (), offers: int = 4096) -> None:
        """
        @param leases: what the store knew.
        @param offers: how many offers may be open at once; past it the oldest gives way.
        """
        self._limit = offers
        self._by_address: dict[int, Lease] = {}
        self._by_key: dict[bytes, Lease | tuple[Lease, ...]] = {}
        self._offers: OrderedDict[bytes, Offer] = OrderedDict()
        self._offered: dict[int, bytes] = {}
        self._pending: dict[bytes, Lease] = {}
        self._promised: dict[int, bytes] = {}
        for lease in leases:
            self.record(lease)

    def __len__(self) -> int:
        return len(self._by_address)

    def __iter__(self) -> Iterator[Lease]:
        return iter(tuple(self._by_address.values()))

    # leases

    def record(self, lease: Lease) -> None:
        """This lease is durable: it is the truth about its address from now on."""
        before = self._by_address.get(lease.address)
        if before is not None and before.key != lease.key:
            self._detach(before)
        self._by_address[lease.address] = lease
        if lease.key:
            self._attach(lease)

    def at(self, address: int) -> Lease | None:
        """The record of an address."""
        return self._by_address.get(address)

    def of(self, key: bytes, first: int, last: int) -> Lease | None:
        """The machine's latest lease within a network, C{first} to C{last} included; expired ones too."""
        known = self._by_key.get(key)
        if isinstance(known, Lease):
            return known if first <= known.address <= last else None
        return next((lease for lease in known or () if first <= lease.address <= last), None)

    def forget(self, address: int) -> None:
        """The address is nobody's: an operator took it back."""
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
        """Hold an address for a machine for a while."""
        self.withdraw(key)
        self._offers[key] = Offer(address, now + OFFER_SECONDS)
        self._offered[address] = key
        if len(self._offers) > self._limit:
            self.withdraw(next(iter(self._offers)))

    def offered(self, key: bytes, now: float) -> int:
        """The address that is held for this machine, or 0."""
        offer = self._offers.get(key)
        return offer.address if offer is not None and offer.expires > now else 0

    def withdraw(self, key: bytes) -> int:
        """The machine's offer, if any, is void; returns its address, or 0."""
        offer = self._offers.pop(key, None)
        if offer is None:
            return 0
        if self._offered.get(offer.address) == key:
            del self._offered[offer.address]
        return offer.address

    def lapsed(self, now: float) -> Iterator[int]:
        """Withdraws the offers that nobody took up; yields their addresses."""
        while self._offers:
            key, offer = next(iter(self._offers.items()))
            if offer.expires > now:
                return
            yield self.withdraw(key)

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

        A lease that expired still belongs to its machine here: whether it may be given anew is the pool's question.
        """
        key = self._offered.get(address)
        if key is not None and self.offered(key, now) == address:
            return key
        if address in self._promised:
            return self._promised[address]
        lease = self._by_address.get(address)
        if lease is None or (lease.state is State.DECLINED and lease.expires <= now):
            return None
        return lease.key
