"""
Another DHCP server on the machines' network: a DISCOVER is sent on it, and whoever answers is written down.

The client that it speaks of is made up, so that nobody's lease is touched; a server may hold the address that it offers
for a minute or so.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from secrets import randbits, token_bytes

from attrs import frozen

from pybootd.dhcp.client import BOOT_SERVER_PORT
from pybootd.dhcp.decision import MessageType
from pybootd.dhcp.delivery import BROADCAST_FLAG, ETHERNET, LIMITED_BROADCAST
from pybootd.dhcp.options import read_number
from pybootd.dhcp.packet import BOOTREPLY, BOOTREQUEST, COOKIE, HEADER, MESSAGE_TYPE, MINIMUM, decode
from pybootd.doctor.finding import Finding, fine, wrong
from pybootd.errors import MalformedPacket
from pybootd.machine import mac_text
from pybootd.net import frames
from pybootd.net.interfaces import Interface
from pybootd.pcap import datagram
from pybootd.text import printable

SECONDS = 2.0
"""How long answers are waited for; a server that asks around first (ping) takes one."""

SERVER, CLIENT = 67, 68
_OPTIONS = (
    (MESSAGE_TYPE, bytes((MessageType.DISCOVER,))),
    (55, bytes((1, 3, 6, 43, 60, 66, 67))),
    (60, b"PXEClient:Arch:00007:UNDI:003016"),
    (93, b"\0\7"),
    (94, b"\1\3\x10"),
)


@frozen
class Rival:
    """Somebody who answered."""

    server: int
    mac: bytes
    offered: int
    """0: it gives no address, only boot information (proxyDHCP)."""
    file: str = ""

    def __str__(self) -> str:
        return f"{IPv4Address(self.server)} ({mac_text(self.mac)})"


def discover(mac: bytes, chaddr: bytes, xid: int) -> bytes:
    """The frame of a DISCOVER of PXE firmware that does not exist."""
    head = HEADER.pack(
        BOOTREQUEST, ETHERNET, 6, 0, xid, 0, BROADCAST_FLAG, 0, 0, 0, 0, chaddr.ljust(16, b"\0"), b"", b""
    )
    options = (*_OPTIONS, (97, b"\0" + bytes(10) + chaddr))
    body = COOKIE + b"".join(bytes((code, len(value))) + value for code, value in options) + b"\xff"
    return frames.udp_frame(
        (head + body).ljust(MINIMUM, b"\0"),
        source_mac=mac,
        target_mac=frames.EVERYBODY,
        source=0,
        source_port=CLIENT,
        target=LIMITED_BROADCAST,
        target_port=SERVER,
    )


def offer(frame: bytes, xid: int) -> Rival | None:
    """Who answers that DISCOVER with this frame; None where it is something else."""
    found = datagram(frame)
    if found is None or found.source[1] not in (SERVER, BOOT_SERVER_PORT):
        return None
    try:
        packet = decode(found.data)
    except MalformedPacket:
        return None
    if packet.op != BOOTREPLY or packet.xid != xid:
        return None
    server = read_number(packet.options.get(54), 4) or int(IPv4Address(found.source[0]))
    named = packet.file.partition(b"\0")[0] or packet.options.get(67, b"")
    return Rival(server, frame[6:12], packet.yiaddr, printable(named))


def ask(interfaces: Sequence[Interface], seconds: float = SECONDS) -> dict[str, list[Rival]]:
    """
    Send a DISCOVER on each interface and wait.

    @return: by the interface's name, each that answered once.
    @raise OSError: raw frames are not for this process.
    """
    xid, chaddr = randbits(32), b"\x02" + token_bytes(5)
    found: dict[str, list[Rival]] = {one.name: [] for one in interfaces}
    sockets: dict[socket.socket, str] = {}
    try:
        for interface in interfaces:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            sockets[sock] = interface.name
            sock.bind((interface.name, frames.ETHERTYPE_IP))
            sock.send(discover(interface.mac, chaddr, xid))
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for sock in select.select(list(sockets), (), (), left)[0]:
                rival = offer(sock.recv(4096), xid)
                if rival is not None and rival not in found[sockets[sock]]:
                    found[sockets[sock]].append(rival)
    finally:
        for sock in sockets:
            sock.close()
    return found


def rivals(found: Mapping[str, Sequence[Rival]], own: Collection[int], proxy: bool) -> Iterator[Finding]:
    """
    What it means that somebody, or nobody, answers.

    @param own: this host's addresses, by which it answers itself.
    @param proxy: C{mode = proxy}: then there has to be another server.
    """
    for name, answered in found.items():
        others = [one for one in answered if one.server not in own]
        giving = [one for one in others if one.offered]
        for one in others:
            yield from _beside(one, name) if proxy else _against(one, name)
        if proxy and not giving:
            remedy = "mode = proxy needs a DHCP server beside it; where this is to be the only one: mode = server"
            yield wrong(f"nobody gives addresses on {name}: a DISCOVER was not answered for {SECONDS:g} s", remedy)
        if not proxy and not others:
            yield fine(f"no other DHCP server answers on {name}")


def _against(one: Rival, name: str) -> Iterator[Finding]:
    if one.offered:
        text = f"another DHCP server answers on {name}: {one} offers {IPv4Address(one.offered)}"
        yield wrong(text, "switch it off, or let pybootd only add the boot information: mode = proxy in [bootpd]")
    else:
        file = f" ({one.file})" if one.file else ""
        text = f"another server tells machines on {name} what to boot{file}: {one}"
        yield wrong(text, "switch its proxyDHCP (PXE) service off")


def _beside(one: Rival, name: str) -> Iterator[Finding]:
    if one.file:
        text = f"{one} on {name} names a boot file of its own, {one.file}; some firmware takes that"
        yield wrong(text, "take it out there: next-server and filename, options 66 and 67, dhcp-boot of dnsmasq")
    elif not one.offered:
        yield wrong(f"another proxyDHCP server answers on {name}: {one}", "switch it off")
    else:
        yield fine(f"{one} gives the addresses on {name}")
