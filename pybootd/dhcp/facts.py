"""
What a decision goes by beside the request: the facts of the moment, and all of it in one place.

Whoever carries a decision out gathers the L{Facts} first: whatever needs waiting, or a clock, happens there.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from pybootd.config.origin import Origin
from pybootd.dhcp.decision import Decision, Reply, Step
from pybootd.dhcp.options import dotted
from pybootd.dhcp.quirks import Quirk
from pybootd.dhcp.request import Request
from pybootd.dhcp.settings import Host, Network, Settings
from pybootd.interfaces import Verdict
from pybootd.leases.lease import Claim, Lease, State

ALLOWED = Verdict(True, "access is open")


@define
class Facts:
    """What is known at this moment about the machine that asks."""

    now: float
    """Seconds since the epoch."""

    verdict: Verdict = ALLOWED
    """What the access backends say; they fail closed."""

    lease: Lease | None = None
    """The machine's latest lease in this network, ended or not."""

    offered: int = 0
    """The address that is held for the machine."""

    candidate: int = 0
    """An address that nobody has a claim on, for a machine that has none yet; 0: the pool is empty."""

    owner: bytes | None = None
    """Whose the address is that the request speaks of: a machine's key, C{b""} where it rests, None where nobody's."""

    taken: frozenset[int] = frozenset()
    """Addresses, of those that the machine could have, that somebody else has just now, or that rest."""

    booted: bool = False
    """The machine has shown itself as a boot client before."""

    writable: bool = True
    """Whether the lease store can be written; without it nothing is promised beyond what it holds."""

    alone: bool = False
    """No other server writes to the lease store: what is on record of the machine is all that holds."""

    complete: bool = True
    """Whether it is known what the servers know that share the lease store; else nobody is told that it is wrong."""

    attempt: int = 0
    """How many forms of answer this client, or its like, has ignored."""

    loaded: str = ""
    """The file that the machine was given the last time, where it runs iPXE."""

    loads: int = 0
    """How often in a row, lately."""

    declined: int = 0
    """How many addresses the machine declined lately, where it declines one more."""

    next_boot: str = ""
    """The file that is ordered for its next boot, this time only; nothing: the usual one."""

    boot_file_size: int | None = None
    """Bytes, where the client asks for it (option 13) and it is known."""


@define
class Situation:
    """A request, and all that is needed to decide about it; the trace grows while it is decided."""

    request: Request
    settings: Settings
    facts: Facts
    network: Network
    host: Host
    quirk: Quirk
    key: bytes
    trace: list[Step] | None
    """None: nobody wants to know, and it costs nothing."""
    next_boot: bool = False
    """The file of its next boot was chosen."""

    def note(self, rule: str, outcome: object, origin: Origin | None = None) -> None:
        """
        One more step of the trace.

        @param outcome: words, or what makes them; an integer is an address.
        """
        if self.trace is not None:
            self.trace.append(Step(rule, dotted(outcome) if isinstance(outcome, int) else str(outcome), origin))

    def silent(
        self,
        reason: str,
        origin: Origin | None = None,
        *,
        setting: str = "",
        release: bool = False,
        routine: bool = False,
        wants_address: Callable[[int], Decision] | None = None,
    ) -> Decision:
        """No answer, and why."""
        self.note("answer", f"none: {reason}", origin)
        return Decision(
            reason=reason,
            origin=origin,
            setting=setting,
            release=release,
            routine=routine,
            wants_address=wants_address,
            trace=tuple(self.trace or ()),
        )

    def answered(
        self, *replies: Reply, offer: int = 0, claim: Claim | None = None, release: bool = False, reason: str = ""
    ) -> Decision:
        """What is done, with the trace of how it came about."""
        return Decision(
            replies=replies,
            offer=offer,
            claim=claim,
            release=release,
            reason=reason,
            next_boot=self.next_boot,
            trace=tuple(self.trace or ()),
        )

    @property
    def known_address(self) -> int:
        """The address that this machine has by configuration, by lease or by offer; 0 where it has none."""
        own, lease, offered = self.host.address, self.facts.lease, self.facts.offered
        if own and self.may_have(own):
            return own
        if lease is not None and lease.state is not State.DECLINED and self.may_have(lease.address):
            return lease.address
        return offered if offered and self.may_have(offered) else 0

    def may_have(self, address: int) -> bool:
        """Whether this address is of the network, left to this machine by the configuration, and nobody else's now."""
        return (
            self.network.first <= address <= self.network.last
            and self.settings.reserved.get(address, self.key) == self.key
            and address not in self.facts.taken
        )

    def lease_time(self, address: int) -> int:
        """Seconds for which the address can be promised now; 0 where the lease store does not allow it."""
        if self.facts.writable:
            return self.network.lease_time
        lease = self.facts.lease
        if lease is None or lease.address != address or lease.state is not State.BOUND:
            return 0
        return int(max(0, min(lease.expires - self.facts.now, self.network.lease_time)))

    @property
    def hostname(self) -> str:
        """The name to hand out (option 12): configured, or the access server's."""
        return self.host.hostname or self.facts.verdict.hostname

    @property
    def server(self) -> int:
        """Option 54: as the relay wants it (RFC 5107), else this server's address on that network."""
        relay = self.request.relay
        return relay.server if relay is not None and relay.server else self.network.server
