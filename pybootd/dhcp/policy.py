"""
What pybootd answers, and why: one pure function, L{decide}.

No input or output, no clock, no chance: the time and everything else that it goes by are arguments, so that the same
question always gets the same answer, in the daemon, in C{pybootd explain}, in a replayed capture and in a test.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from attrs import evolve

from pybootd.dhcp.answer import answer, refusal
from pybootd.dhcp.decision import Decision, MessageType, Reply, Step
from pybootd.dhcp.facts import Facts, Situation
from pybootd.dhcp.options import dotted
from pybootd.dhcp.proxy import boot_server, proxied
from pybootd.dhcp.quirks import quirk_of
from pybootd.dhcp.request import Kind, Request
from pybootd.dhcp.settings import Network, Settings
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.table import REST_SECONDS

ETHERNET, INFINIBAND = 1, 32


def decide(request: Request, settings: Settings, facts: Facts) -> Decision:
    """
    Decide about one request.

    @return: the replies (none: silence), what is to be written down first, and the trace of every rule that was tried.
    """
    network = network_of(request, settings)
    if network is None:
        reason = _no_network(request)
        return Decision(reason=reason, trace=(Step("network", reason),))
    key = key_of(request)
    situation = Situation(request, settings, facts, network, settings.host(key), quirk_of(request), key)
    situation.note("network", f"{dotted(network.first)} to {dotted(network.last)}", network.origin)
    return _refused(situation) or _RULES[request.kind](situation)


def key_of(request: Request) -> bytes:
    """
    By what a machine is known: its hardware address, which all that runs on it shares (not option 61, which changes
    from ROM to operating system); for InfiniBand, whose field is empty, option 61 (RFC 4390 2.1).
    """
    return request.client_id if request.htype == INFINIBAND else request.chaddr


def network_of(request: Request, settings: Settings) -> Network | None:
    """The network that a request is about; None where none is configured for it."""
    relay = request.relay
    link = relay.link if relay is not None else 0
    # who has an address and talks to this server alone may come from behind a relay without passing it
    own = request.ciaddr if request.unicast and not request.giaddr else 0
    return settings.network(request.interface, link, request.subnet, request.giaddr, own)


def spoken_of(request: Request) -> int:
    """The address that a request speaks of: the one it asks for, or has."""
    return request.requested or request.ciaddr


# who is not served at all


def _refused(situation: Situation) -> Decision | None:
    """The rules that come before all others; None: none of them refuses."""
    request, settings, facts = situation.request, situation.settings, situation.facts
    if request.htype == INFINIBAND:
        if not request.client_id:
            return situation.silent("an InfiniBand client without an identifier (RFC 4390)")
    elif request.htype != ETHERNET or len(request.chaddr) != 6:
        # an access list knows 6 bytes; other lengths would walk around it
        return situation.silent(f"hardware type {request.htype} with {len(request.chaddr)} bytes is no Ethernet")
    if request.kind in (Kind.DECLINE, Kind.RELEASE):
        return None
    if situation.host.allow is False:
        return situation.silent("[host] allow forbids it", situation.host.allow_origin)
    if situation.host.allow is None and not facts.verdict.allowed:
        situation.note("access", facts.verdict.setting or "refused")
        return situation.silent(facts.verdict.reason)
    situation.note("access", "allowed", situation.host.allow_origin)
    if settings.proxy:
        return proxied(situation)
    if (not request.boots or request.kind is Kind.BOOTP) and not _known(situation):
        origin = settings.origin("bootpd", "allow_simple_dhcp")
        return situation.silent("it has not booted from the network; allow_simple_dhcp = yes would serve it", origin)
    return None


def _known(situation: Situation) -> bool:
    """Whether a client that does not boot just now is served all the same."""
    facts = situation.facts
    return (
        situation.settings.allow_simple_dhcp or facts.booted or facts.lease is not None or bool(situation.host.address)
    )


def _no_network(request: Request) -> str:
    if request.giaddr:
        return f"no [subnet] for the network of relay {dotted(request.giaddr)}"
    return "it came in on an interface that is not served"


# one rule for each kind of message


def _discover(situation: Situation) -> Decision:
    address = situation.known_address or situation.facts.candidate
    if not address:
        return _exhausted(situation)
    situation.note("address", dotted(address), situation.host.address_origin or situation.network.origin)
    return _serve(situation, MessageType.OFFER, address)


def _bootp(situation: Situation) -> Decision:
    address = situation.known_address or situation.facts.candidate
    if not address:
        return _exhausted(situation)
    return _serve(situation, MessageType.BOOTP, address)


def _selecting(situation: Situation) -> Decision:
    """RFC 2131 4.3.2, SELECTING: it answers an OFFER, ours or another server's."""
    request = situation.request
    ours = {network.server for network in situation.settings.networks} | {situation.server}
    if request.server not in ours:
        return situation.silent(f"it chose another server, {dotted(request.server)}", release=True)
    return _grant(situation, request.requested, may_be_new=True)


def _init_reboot(situation: Situation) -> Decision:
    """RFC 2131 4.3.2, INIT-REBOOT: it remembers an address and asks whether that is still good."""
    return _grant(situation, situation.request.requested)


def _extending(situation: Situation) -> Decision:
    """RFC 2131 4.3.2, RENEWING and REBINDING: it has an address and wants to keep it."""
    return _grant(situation, situation.request.ciaddr)


def _grant(situation: Situation, address: int, may_be_new: bool = False) -> Decision:
    """An ACK for this address, a NAK where it is wrong, silence where this server does not know."""
    facts = situation.facts
    if address not in situation.network:
        return _deny(situation, f"{dotted(address)} is not of this network")
    if facts.owner not in (None, situation.key) or not situation.may_have(address):
        return _deny(situation, f"{dotted(address)} belongs to another machine")
    known = situation.known_address
    if known and known != address:
        return _deny(situation, f"this machine's address is {dotted(known)}", certain=True)
    if not known:
        first, count = situation.network.pool_first, situation.network.pool_count
        if not (may_be_new and facts.owner is None and first <= address < first + count):
            # RFC 2131 4.3.2: a server without a record of the client stays silent
            return situation.silent(f"nothing is known of its address {dotted(address)}")
    situation.note("address", dotted(address), situation.host.address_origin or situation.network.origin)
    return _serve(situation, MessageType.ACK, address)


def _deny(situation: Situation, reason: str, certain: bool = False) -> Decision:
    if not situation.settings.authoritative and not certain:
        origin = situation.settings.origin("bootpd", "authoritative")
        return situation.silent(f"{reason}, and this server is not authoritative", origin)
    situation.note("answer", f"NAK: {reason}")
    reply = refusal(situation.request, situation.server, reason)
    return Decision(replies=(reply,), release=True, reason=reason, trace=tuple(situation.trace))


def _inform(situation: Situation) -> Decision:
    """RFC 2131 4.3.5: it has an address of its own and wants the rest."""
    choice = situation.choose_file() if situation.request.boots else None
    reply = _reply(situation, MessageType.ACK, 0, choice.file if choice is not None else "")
    return Decision(replies=(reply,), trace=tuple(situation.trace))


def _decline(situation: Situation) -> Decision:
    """RFC 2131 4.3.3: somebody else uses the address; only who has it may say so."""
    address = situation.request.requested
    if not address or address != situation.known_address:
        return situation.silent(f"it declines {dotted(address)}, which is not its own")
    rest = Lease(address, b"", State.DECLINED, situation.facts.now + REST_SECONDS)
    situation.note("address", f"{dotted(address)} rests")
    return Decision(claim=Claim(rest, fresh=False), release=True, trace=tuple(situation.trace))


def _release(situation: Situation) -> Decision:
    """RFC 2131 4.3.4: it gives its address back; only its own."""
    lease, facts = situation.facts.lease, situation.facts
    if lease is None or lease.address != situation.request.ciaddr or lease.state is not State.BOUND:
        return situation.silent(f"it releases {dotted(situation.request.ciaddr)}, which is not its own")
    given_back = evolve(lease, state=State.RELEASED, expires=facts.now)
    situation.note("address", f"{dotted(lease.address)} is given back")
    return Decision(claim=Claim(given_back, fresh=False), release=True, trace=tuple(situation.trace))


def _boot_server(situation: Situation) -> Decision:
    if not situation.request.boots:
        return situation.silent("port 4011 is for machines that boot from the network")
    choice = situation.choose_file()
    return boot_server(situation, choice.file) if choice.file else situation.silent(choice.reason, choice.origin)


_RULES: dict[Kind, Callable[[Situation], Decision]] = {
    Kind.BOOTP: _bootp,
    Kind.DISCOVER: _discover,
    Kind.SELECTING: _selecting,
    Kind.INIT_REBOOT: _init_reboot,
    Kind.RENEWING: _extending,
    Kind.REBINDING: _extending,
    Kind.INFORM: _inform,
    Kind.DECLINE: _decline,
    Kind.RELEASE: _release,
    Kind.BOOT_SERVER: _boot_server,
}


# what a served machine gets


def _serve(situation: Situation, type: MessageType, address: int) -> Decision:
    """An OFFER, an ACK or a BOOTP reply, and the lease that it promises."""
    file = ""
    if not situation.lease_time(address):
        origin = situation.settings.origin("leases", "store")
        return situation.silent("the lease store cannot be written, so no lease can be promised", origin)
    if situation.request.boots:
        choice = situation.choose_file()
        if not choice.file:
            return situation.silent(choice.reason, choice.origin)
        file = choice.file
    reply = _reply(situation, type, address, file)
    situation.note("answer", type.name)
    if not situation.facts.writable:
        return Decision(replies=(reply,), trace=tuple(situation.trace))
    if type is MessageType.OFFER and not situation.quirk.binds:
        return Decision(replies=(reply,), offer=address, trace=tuple(situation.trace))
    return Decision(replies=(reply,), claim=_claim(situation, type, address), trace=tuple(situation.trace))


def _claim(situation: Situation, type: MessageType, address: int) -> Claim:
    request, lease = situation.request, situation.facts.lease
    expires = inf if type is MessageType.BOOTP else situation.facts.now + situation.network.lease_time
    uuid = request.uuid or (lease.uuid if lease is not None else b"")
    hostname = situation.hostname or request.hostname
    bound = Lease(address, situation.key, State.BOUND, expires, uuid, hostname)
    return Claim(bound, fresh=lease is None or lease.address != address or lease.state is not State.BOUND)


def _reply(situation: Situation, type: MessageType, address: int, file: str) -> Reply:
    return answer(
        type,
        situation.request,
        situation.network,
        address=address,
        server=situation.server,
        lease_time=situation.lease_time(address) if address and type is not MessageType.BOOTP else 0,
        boot_file=file,
        boot_file_size=situation.facts.boot_file_size,
        hostname=situation.hostname,
        server_name=situation.settings.server_name,
        quirk=situation.quirk,
    )


def _exhausted(situation: Situation) -> Decision:
    origin = situation.settings.origin("bootpd", "pool_count")
    if not situation.network.pool_count:
        return situation.silent("the pool is empty and it has no line in [static_dhcp]", origin)
    decision = situation.silent("the pool has no address left; raise pool_count, or write reclaim = expired", origin)
    return evolve(decision, wants_address=True)
