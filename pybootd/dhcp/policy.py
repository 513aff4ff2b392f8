"""
What pybootd answers, and why: one pure function, L{decide}.

No input or output, no clock, no chance: the time and everything else that it goes by are arguments, so that the same
question always gets the same answer, in the daemon, in C{pybootd explain}, in a replayed capture and in a test.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from attrs import evolve

from pybootd.config import FOREVER
from pybootd.dhcp.answer import answer, refusal
from pybootd.dhcp.bootfile import Choice, boot_file, offers
from pybootd.dhcp.client import BOOT_SERVER_PORT
from pybootd.dhcp.decision import Decision, MessageType, Step
from pybootd.dhcp.facts import Facts, Situation
from pybootd.dhcp.options import dotted
from pybootd.dhcp.proxy import address_of, boot_server, proxied
from pybootd.dhcp.quirks import Form, quirk_of
from pybootd.dhcp.request import INFINIBAND, Kind, Request
from pybootd.dhcp.settings import Network, Settings
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.table import REST_SECONDS

ETHERNET = 1
_BEGINS = (Kind.DISCOVER, Kind.SELECTING, Kind.INIT_REBOOT, Kind.BOOTP)
"""What a program asks that has just been started."""

GOOD_ENOUGH = 0.75
"""A lease of which so much is left is not written down anew."""

DECLINES = 4
"""
Addresses that one machine may decline within an hour: one that declines whatever it is given, by mistake or on purpose,
would else lay the whole pool to rest.
"""

NONE_LEFT = "the pool has no address left; raise pool_count, or write reclaim = expired"
ALL_LEASED = "the pool has no address left, and no lease in it has ended; raise pool_count"
NO_STORE = "the lease store cannot be written, so no lease can be promised"


def decide(
    request: Request, settings: Settings, facts: Facts, *, network: Network | None = None, traced: bool = True
) -> Decision:
    """
    Decide about one request.

    @param network: L{network_of} it, where that is known already.
    @param traced: whether the trace is wanted; the same question asked later gives the same one.
    @return: the replies (none: silence), what is to be written down first, and the trace of every rule that was tried.
    """
    network = network or network_of(request, settings)
    if network is None:
        reason = _no_network(request)
        return Decision(reason=reason, trace=(Step("network", reason),))
    key = request.key
    trace: list[Step] | None = [] if traced else None
    situation = Situation(request, settings, facts, network, settings.host(key), quirk_of(request), key, trace)
    situation.note("network", network, network.origin)
    if situation.quirk.name:
        situation.note("quirk", f"{situation.quirk.name} ({situation.quirk.source})")
    return _refused(situation) or _RULES[request.kind](situation)


def network_of(request: Request, settings: Settings) -> Network | None:
    """
    The network that a request is about; None where none is configured for it.

    What a relay says counts, the strongest word first (RFC 3527, RFC 3011, giaddr); without a relay it is the network
    behind the interface, or the one of the address that a client has which talks to this server alone: it may come from
    behind a relay without passing it.
    """
    if request.giaddr:
        link = request.relay.link if request.relay is not None else 0
        return settings.network_with(link or request.subnet or request.giaddr)
    if request.subnet:
        return settings.network_with(request.subnet)
    if request.unicast and request.ciaddr:
        routed = settings.network_with(request.ciaddr)
        if routed is not None:
            return routed
    here = settings.networks_at(request.interface)
    if len(here) > 1:
        # which of them is meant, the strongest sign first
        for address in (settings.host(request.key).address, spoken_of(request)):
            for network in here:
                if address in network:
                    return network
    return here[0] if here else None


def spoken_of(request: Request) -> int:
    """The address that a request speaks of: the one it has, or asks for."""
    return request.ciaddr or request.requested


def takes_ours(request: Request, settings: Settings, network: Network) -> bool:
    """Whether a REQUEST that takes an offer (SELECTING) takes one of this server's, not another's."""
    relay = request.relay
    told = relay.server if relay is not None and relay.server else network.server
    return request.server == told or request.server in settings.servers


# who is not served at all


def _refused(situation: Situation) -> Decision | None:
    """The rules that come before all others; None: none of them refuses."""
    request, facts = situation.request, situation.facts
    if hardware := _strange_hardware(situation):
        return situation.silent(hardware)
    if request.port == BOOT_SERVER_PORT and request.kind is not Kind.BOOT_SERVER:
        return situation.silent("port 4011 answers boot clients that have an address, nothing else")
    if situation.host.allow is False:
        return _denied(situation.silent("[host] allow forbids it", situation.host.allow_origin), situation)
    if request.kind not in (Kind.DECLINE, Kind.RELEASE):
        if situation.host.allow is None and not facts.verdict.allowed:
            situation.note("access", facts.verdict.setting or "refused")
            return _denied(situation.silent(facts.verdict.reason, setting=facts.verdict.setting), situation)
        situation.note("access", "allowed", situation.host.allow_origin)
    if situation.settings.proxy:
        return proxied(situation)
    if not _known(situation):
        origin = situation.settings.origin("bootpd", "allow_simple_dhcp")
        return situation.silent("it has not booted from the network; allow_simple_dhcp = yes would serve it", origin)
    return None


def _denied(silence: Decision, situation: Situation) -> Decision:
    """Beside another server the machine has an address all the same, by which it is known when it asks for files."""
    return evolve(silence, denied=True, uses=address_of(situation) if situation.settings.proxy else 0)


def _strange_hardware(situation: Situation) -> str:
    """An access list knows 6 bytes of Ethernet; other types and lengths would walk around it."""
    request = situation.request
    if request.htype == ETHERNET and len(request.chaddr) == 6:
        return ""
    if request.htype != INFINIBAND:
        return f"hardware type {request.htype} with {len(request.chaddr)} bytes is no Ethernet"
    if not request.client_id:
        return "an InfiniBand client without an identifier (RFC 4390)"
    return "an InfiniBand client, which no access list can tell" if situation.settings.guarded else ""


def _known(situation: Situation) -> bool:
    """Whether a client is served that does not boot just now; BOOTP says nothing of whether it does."""
    request, facts = situation.request, situation.facts
    return (
        (request.boots and request.kind is not Kind.BOOTP)
        or situation.settings.allow_simple_dhcp
        or facts.booted
        or facts.lease is not None
        or bool(situation.host.address)
    )


def _no_network(request: Request) -> str:
    if request.giaddr:
        relay, link = dotted(request.giaddr), request.relay.link if request.relay is not None else 0
        if link or request.subnet:
            return f"no [subnet] for {dotted(link or request.subnet)}, the network that relay {relay} names"
        return f"no [subnet] for the network of relay {relay}"
    return "it came in on an interface that is not served"


# one rule for each kind of message


def _discover(situation: Situation) -> Decision:
    """RFC 2131 4.3.1: the address that it has or had, else a free one."""
    return _propose(situation, MessageType.OFFER)


def _bootp(situation: Situation) -> Decision:
    """RFC 951; who has an address (ciaddr) wants its file only."""
    if situation.request.ciaddr:
        return _inform(situation, MessageType.BOOTP)
    return _propose(situation, MessageType.BOOTP)


def _propose(situation: Situation, type: MessageType) -> Decision:
    host, address = situation.host, situation.known_address
    if host.address and address != host.address:
        why = "in use by another machine" if host.address in situation.network else "of another network"
        situation.note("address", f"its own, {dotted(host.address)}, is {why}", host.address_origin)
    address = address or situation.facts.candidate
    return _serve(situation, type, address) if address else _exhausted(situation, type)


def _selecting(situation: Situation) -> Decision:
    """RFC 2131 4.3.2, SELECTING: it answers an OFFER, ours or another server's."""
    request = situation.request
    if not takes_ours(request, situation.settings, situation.network):
        return situation.silent(f"it chose another server, {dotted(request.server)}", release=True)
    return _grant(situation, may_be_new=True)


def _remembering(situation: Situation) -> Decision:
    """
    RFC 2131 4.3.2, INIT-REBOOT: it remembers an address and asks whether that is still good; RENEWING and REBINDING: it
    has one and wants to keep it.
    """
    return _grant(situation)


def _grant(situation: Situation, may_be_new: bool = False) -> Decision:
    """An ACK for the address that it speaks of, a NAK where that is wrong, silence where this server does not know."""
    facts, address = situation.facts, spoken_of(situation.request)
    if address not in situation.network:
        return _deny(situation, f"{dotted(address)} is not of this network")
    remembered = facts.owner not in (None, situation.key) and address != situation.host.address
    if remembered or not situation.may_have(address):
        return _deny(situation, f"{dotted(address)} belongs to another machine")
    known = situation.known_address
    if known and known != address:
        lease = facts.lease
        certain = known != facts.offered and lease is not None and lease.expires > facts.now
        return _deny(situation, f"this machine's address is {dotted(known)}", certain)
    if not known and not (may_be_new and facts.owner is None and situation.network.pools(address)):
        # RFC 2131 4.3.2: a server without a record of the client stays silent
        return situation.silent(f"nothing is known of its address {dotted(address)}")
    return _serve(situation, MessageType.ACK, address)


def _deny(situation: Situation, reason: str, certain: bool = False) -> Decision:
    """A NAK, so that the client begins anew at once (RFC 2131 4.3.2)."""
    if not situation.facts.complete:
        origin = situation.settings.origin("leases", "store")
        return situation.silent(f"{reason}, unless another server knows better, and the store cannot be asked", origin)
    if not situation.settings.authoritative and not certain:
        origin = situation.settings.origin("bootpd", "authoritative")
        return situation.silent(f"{reason}, and this server is not authoritative", origin)
    situation.note("answer", f"NAK: {reason}")
    return situation.answered(refusal(situation, reason), release=True, reason=reason)


def _inform(situation: Situation, type: MessageType = MessageType.ACK) -> Decision:
    """RFC 2131 4.3.5: it has an address of its own and wants the rest."""
    request, network = situation.request, situation.network
    if not network.first < request.ciaddr < network.last:
        # whoever forges a request could send answers anywhere, and to everybody
        return situation.silent(f"its address {dotted(request.ciaddr)} is not of this network")
    file, form = "", None
    if request.boots:
        choice = boot_file(situation)
        form = _form(situation, choice)
        file = choice.told(form)
    situation.note("answer", f"{type.name} without an address")
    return situation.answered(answer(situation, type, form=form, file=file))


def _decline(situation: Situation) -> Decision:
    """RFC 2131 4.3.3: somebody else uses the address; only who has it may say so."""
    address = situation.request.requested
    if not address or address != situation.known_address:
        return situation.silent(f"it declines {dotted(address)}, which is not its own")
    if situation.facts.declined >= DECLINES:
        return situation.silent(f"it declined {DECLINES} addresses within an hour already, and may decline no more")
    rest = Lease(address, b"", State.DECLINED, situation.facts.now + REST_SECONDS)
    situation.note("address", f"{dotted(address)} rests")
    return situation.answered(claim=Claim(rest, fresh=False, owner=situation.key), release=True)


def _release(situation: Situation) -> Decision:
    """RFC 2131 4.3.4: it gives its address back; only its own."""
    lease, facts = situation.facts.lease, situation.facts
    if lease is None or lease.address != situation.request.ciaddr or lease.state is not State.BOUND:
        return situation.silent(f"it releases {dotted(situation.request.ciaddr)}, which is not its own")
    given_back = evolve(lease, state=State.RELEASED, expires=facts.now)
    situation.note("address", f"{dotted(lease.address)} is given back")
    return situation.answered(claim=Claim(given_back, fresh=False), release=True)


def _boot_server(situation: Situation) -> Decision:
    """PXE 2.1 2.2.3: a client that has its address asks for its file."""
    if not situation.request.boots:
        return situation.silent("port 4011 is for machines that boot from the network")
    choice = boot_file(situation)
    return situation.silent(choice.reason, choice.origin) if choice.reason else boot_server(situation, choice.file)


_RULES: dict[Kind, Callable[[Situation], Decision]] = {
    Kind.BOOTP: _bootp,
    Kind.DISCOVER: _discover,
    Kind.SELECTING: _selecting,
    Kind.INIT_REBOOT: _remembering,
    Kind.RENEWING: _remembering,
    Kind.REBINDING: _remembering,
    Kind.INFORM: _inform,
    Kind.DECLINE: _decline,
    Kind.RELEASE: _release,
    Kind.BOOT_SERVER: _boot_server,
}


# what a served machine gets


def _serve(situation: Situation, type: MessageType, address: int) -> Decision:
    """An OFFER, an ACK or a BOOTP reply, and the lease that it promises."""
    lease_time = situation.lease_time(address)
    origin = situation.host.address_origin if address == situation.host.address else situation.network.origin
    situation.note("address", address, origin)
    if not lease_time:
        origin = situation.settings.origin("leases", "store")
        return situation.silent(NO_STORE, origin)
    file, form = "", None
    if situation.request.boots:
        choice = boot_file(situation)
        if choice.reason and type is not MessageType.BOOTP:
            return situation.silent(choice.reason, choice.origin)
        form = _form(situation, choice)
        file = choice.told(form)
    left = _left(situation, type, address)
    told = 0 if type is MessageType.BOOTP else left or lease_time
    reply = answer(situation, type, address=address, lease_time=told, form=form, file=file)
    situation.note("answer", type.name)
    if not situation.facts.writable:
        return situation.answered(reply)
    if type is MessageType.OFFER and not situation.quirk.binds:
        return situation.answered(reply, offer=address)
    if left:
        situation.note("lease", "as it is on record, " + ("for ever" if left == FOREVER else f"for {left} s more"))
        return situation.answered(reply, release=True)
    return situation.answered(reply, claim=_claim(situation, type, address))


def _left(situation: Situation, type: MessageType, address: int) -> int:
    """
    Seconds for which the lease on record holds still, where that is good enough (RFC 2131 4.3.1 has it returned); 0
    where a new one is to be written down.

    A machine that boots asks two or three times within a minute, each time as another program: only the first one
    waits for a disk.  Who renews wants a new lease, and gets it.  They are few different times, so that replies have
    their templates in common.
    """
    facts, whole = situation.facts, situation.network.lease_time
    lease, certain = facts.lease, facts.alone and facts.writable
    if not certain or lease is None or lease.address != address or lease.state is not State.BOUND:
        return 0
    if situation.request.kind not in _BEGINS or situation.quirk.binds:
        return 0
    ends, left = _ends(situation, type), lease.expires - facts.now
    if not (whole * GOOD_ENOUGH <= left <= whole if ends else left == inf):
        return 0
    if (lease.uuid, lease.hostname) != (_uuid(situation), _hostname(situation)):
        return 0
    step = max(1, whole // 64)
    return int(left) // step * step if ends else FOREVER


def _ends(situation: Situation, type: MessageType) -> bool:
    """Whether its lease ends some day; a BOOTP client never asks again."""
    return type is not MessageType.BOOTP and situation.network.lease_time < FOREVER


def _form(situation: Situation, choice: Choice) -> Form:
    """How a client that boots is told what to load; one that ignored a form is told in the next."""
    (form,) = offers(situation, choice)
    situation.note("form", form.name)
    return form


def _claim(situation: Situation, type: MessageType, address: int) -> Claim:
    lease, network = situation.facts.lease, situation.network
    expires = situation.facts.now + network.lease_time if _ends(situation, type) else inf
    bound = Lease(address, situation.key, State.BOUND, expires, _uuid(situation), _hostname(situation))
    return Claim(bound, fresh=lease is None or lease.address != address or lease.state is not State.BOUND)


def _uuid(situation: Situation) -> bytes:
    """For the record: an operating system does not repeat what the boot phase told."""
    lease = situation.facts.lease
    return situation.request.uuid or (lease.uuid if lease is not None else b"")


def _hostname(situation: Situation) -> str:
    """For the record: a ROM does not know what its operating system told."""
    lease = situation.facts.lease
    return situation.hostname or situation.request.hostname or (lease.hostname if lease is not None else "")


def _exhausted(situation: Situation, type: MessageType) -> Decision:
    """No address: what to do about it."""
    if not situation.facts.writable:
        return situation.silent(NO_STORE, situation.settings.origin("leases", "store"))
    settings, network = situation.settings, situation.network
    # in server mode the first is that of [bootpd], the others have sections of their own
    origin = settings.origin("bootpd", "pool_count") if network is settings.networks[0] else network.origin
    if not network.pool_count:
        return situation.silent("the pool is empty and it has no line in [static_dhcp]", origin)
    reason = ALL_LEASED if settings.reclaim else NONE_LEFT

    def with_address(address: int) -> Decision:
        if situation.trace:
            situation.trace.pop()  # that there was none
        return _serve(situation, type, address)

    return situation.silent(reason, origin, wants_address=with_address)
