"""
C{pybootd replay}: what would be answered today to a recorded network.

Every DHCP, PXE and BOOTP request of a capture is decided about as the daemon would, with leases in memory only: nothing
is sent, and no file but the configuration's and the capture is touched.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from difflib import ndiff
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from twisted.python import usage

from pybootd.commands.offline import Access, OfflineOptions, answers, traced
from pybootd.config import Config
from pybootd.config.loading import load
from pybootd.dhcp.architectures import name_of
from pybootd.dhcp.client import BOOT_SERVER_PORT, understand
from pybootd.dhcp.decision import Decision, MessageType
from pybootd.dhcp.options import dotted
from pybootd.dhcp.packet import decode
from pybootd.dhcp.rehearsal import Answered, Rehearsal
from pybootd.dhcp.request import Request
from pybootd.errors import EnvironmentProblem, MalformedPacket
from pybootd.flags import Flags
from pybootd.here import settings_here
from pybootd.interfaces import Verdict
from pybootd.machine import mac_text
from pybootd.net.interfaces import Interface
from pybootd.pcap import DamagedCapture, Datagram, datagrams
from pybootd.registry import Context, provider
from pybootd.text import printable

PORTS = (67, BOOT_SERVER_PORT)
BROADCASTS = ("255.255.255.255", "0.0.0.0")


class ReplayOptions(OfflineOptions):
    """C{pybootd replay}."""

    synopsis = "Usage: pybootd replay FILE.pcap [-c FILE] [--against OTHER.ini] [--as ADDRESS/BITS] [-v]"
    optParameters = [
        *OfflineOptions.optParameters,
        ["against", None, None, "Another configuration: only what would be answered differently is shown."],
    ]
    optFlags: list[Any] = [*OfflineOptions.optFlags, ["trace", "v", "Every rule that was tried, and every packet."]]

    def parseArgs(self, *files: str) -> None:
        if len(files) != 1:
            raise usage.UsageError("write: pybootd replay FILE.pcap")
        self["file"] = Path(files[0])


class Server:
    """One configuration, rehearsed."""

    def __init__(self, config: Config, host: Sequence[Interface] | None) -> None:
        """
        @param host: the interfaces of the host that it would run on; None: of this one.
        @raise EnvironmentProblem: it would not run there.
        """
        settings = settings_here(config, host)
        self._access = Access(config)
        self._rehearsal = Rehearsal(settings, self._judge, config.bootpd.reclaim == "expired", _alone(config))
        self._broadcasts = {*BROADCASTS, *(dotted(network.last) for network in settings.networks)}

    @property
    def assumed(self) -> str:
        """What is taken for granted, to be said first."""
        return self._access.assumed

    def _judge(self, request: Request, uuid: bytes) -> Verdict:
        return self._access.ask(request, uuid)[0]

    def ask(self, asked: Datagram, now: float) -> Answered | None:
        """
        Decide about one datagram.

        @raise MalformedPacket: it is no request.
        """
        address, port = asked.destination
        request = understand(decode(asked.data), asked.source, port, 0, address not in self._broadcasts)
        return self._rehearsal.ask(request, now)


def _alone(config: Config) -> bool:
    """Whether no other server uses the lease store; of one that cannot be made here that is not known."""
    scheme = config.leases.store.partition(":")[0]
    context = Context(scheme, config, config.plugins.get(scheme, {}), None, lambda *_: None)
    try:
        return not provider("pybootd.leases", scheme, context).shared
    except EnvironmentProblem:
        return False


@frozen
class Answer:
    """What would be answered to one datagram, for people."""

    who: str
    summary: str
    trace: tuple[str, ...] = ()
    packets: tuple[tuple[str, ...], ...] = ()


def replay(options: ReplayOptions, flags: Flags) -> int:
    """Print what would be answered; 1 where another configuration would answer differently."""
    host = options.host()
    named = [flags.config] + ([Path(options["against"])] if options["against"] else [])
    servers = [Server(load(evolve(flags, config=file)), host) for file in named]
    for server, file in zip(servers, named, strict=True):
        if server.assumed:
            print(f"{file}: {server.assumed}" if len(servers) > 1 else server.assumed)
    try:
        stream = options["file"].open("rb")
    except OSError as error:
        raise EnvironmentProblem(f"{options['file']}: {error.strerror}") from None
    with stream:
        requests = _requests(datagrams(stream), options["file"])
        if len(servers) > 1:
            return _compared(requests, servers, [str(file) for file in named], options["trace"])
        return _told(requests, servers[0], options["trace"])


def _requests(found: Iterator[Datagram], file: Path) -> Iterator[tuple[Datagram, float]]:
    """What was sent to a server's port, with its time: the capture's clock may be set back, ours never is."""
    now, read = 0.0, False
    try:
        for datagram in found:
            read = True
            if datagram.destination[1] in PORTS and datagram.data[:1] == b"\x01":
                now = max(now, datagram.time)
                yield datagram, now
    except DamagedCapture as error:
        if not read:
            raise EnvironmentProblem(f"{file}: {error}") from None
        print(f"pybootd: {error}; nothing more is read", file=sys.stderr)


def _told(requests: Iterator[tuple[Datagram, float]], server: Server, with_trace: bool) -> int:
    asked = served = 0
    begin = None
    for datagram, now in requests:
        begin = now if begin is None else begin
        answer = _answer(server, datagram, now)
        asked += 1
        served += bool(answer.packets)
        print(f"{_when(datagram, now - begin)} {answer.who}: {answer.summary}")
        if with_trace:
            for line in (*answer.trace, *(line for packet in answer.packets for line in ("", *packet))):
                print(f"    {line}".rstrip())
            print()
    print(f"{asked} requests, {served} answered" if asked else "no DHCP request to port 67 or 4011 in this capture")
    return 0


def _compared(
    requests: Iterator[tuple[Datagram, float]], servers: Sequence[Server], names: Sequence[str], with_trace: bool
) -> int:
    asked = differ = 0
    begin = None
    width = max(map(len, names))
    for datagram, now in requests:
        begin = now if begin is None else begin
        ours, theirs = (_answer(server, datagram, now) for server in servers)
        asked += 1
        if ours.packets == theirs.packets:
            continue
        differ += 1
        print(f"{_when(datagram, now - begin)} {ours.who}")
        for name, answer in zip(names, (ours, theirs), strict=True):
            print(f"    {name:{width}}  {answer.summary}")
            if with_trace:
                for line in answer.trace:
                    print(f"        {line}")
        for line in _difference(ours, theirs):
            print(f"      {line}")
    print(f"{differ} of {asked} requests would be answered differently")
    return int(differ > 0)


def _difference(ours: Answer, theirs: Answer) -> Iterator[str]:
    """Line by line, where both answer: what only the one says (-), what only the other (+)."""
    for one, other in zip(ours.packets, theirs.packets, strict=False):
        yield from (line for line in ndiff(one[1:], other[1:]) if line[0] in "-+")


def _when(datagram: Datagram, seconds: float) -> str:
    return f"{datagram.number:>5} {seconds:9.3f}"


def _answer(server: Server, datagram: Datagram, now: float) -> Answer:
    if not datagram.whole:
        return Answer(datagram.source[0], "the capture kept its beginning only; record whole packets (tcpdump -s 0)")
    try:
        answered = server.ask(datagram, now)
    except MalformedPacket as error:
        return Answer(datagram.source[0], f"no request: {error}")
    if answered is None:
        who = decode(datagram.data).chaddr
        return Answer(mac_text(who), "no answer: another server gives the addresses, and it has not booted here")
    request, decision = answered.request, answered.decision
    summary = _summary(decision) + (" (as if it had taken our offer)" if answered.adapted else "")
    return Answer(
        _who(request), summary, tuple(traced(decision)), tuple(tuple(packet) for packet in answers(decision, request))
    )


def _who(request: Request) -> str:
    name = f" {name_of(request.architecture)}" if request.architecture is not None else ""
    client = f", {request.firmware.value}{name}" if request.boots else ""
    relay = f", relayed by {dotted(request.giaddr)}" if request.giaddr else ""
    return f"{mac_text(request.key) or 'nobody'} {request.kind.value}{client}{relay}"


def _summary(decision: Decision) -> str:
    """The answer and why, in a line."""
    if not decision.replies:
        if decision.claim is not None:
            return decision.trace[-1].outcome
        setting = decision.setting or (str(decision.origin) if decision.origin is not None else "")
        return f"no answer: {printable(decision.reason)}" + (f"   ({setting})" if setting else "")
    reply = decision.replies[0]
    name = "BOOTP reply" if reply.type is MessageType.BOOTP else reply.type.name
    if reply.type is MessageType.NAK:
        return f"{name}: {decision.reason}"
    words = [f"{name} {dotted(reply.yiaddr)}" if reply.yiaddr else name]
    if reply.boot_file:
        words.append(f"boot file {printable(reply.boot_file)}")
    origins = {step.rule: str(step.origin) for step in decision.trace if step.origin is not None and step.origin.line}
    why = origins.get("boot file") if reply.boot_file else origins.get("address")
    return ", ".join(words) + (f"   ({why})" if why else "")
