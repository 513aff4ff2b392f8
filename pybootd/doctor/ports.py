"""The ports that the daemon needs: free, its own already, or taken, and by whom; and whether it may open them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address

from attrs import frozen

from pybootd.config import Config
from pybootd.dhcp.client import BOOT_SERVER_PORT
from pybootd.doctor.finding import Finding, fine, hint, wrong
from pybootd.net.holders import Holder

NET_BIND_SERVICE, NET_RAW = 10, 13
"""Bits of a process's capabilities (capability.h)."""

SYSTEMD = "systemd"
STOP = {
    "dnsmasq": "systemctl disable --now dnsmasq; where a virtual machine manager started it: virsh net-destroy default",
    "dhcpd": "systemctl disable --now isc-dhcp-server",
    "kea-dhcp4": "systemctl disable --now kea-dhcp4-server",
    "in.tftpd": "systemctl disable --now tftpd-hpa",
    "atftpd": "systemctl disable --now atftpd",
    "inetd": "take the line of tftp or bootps out of /etc/inetd.conf, then: systemctl restart inetd",
    "xinetd": "write disable = yes in /etc/xinetd.d/tftp, then: systemctl restart xinetd",
    "systemd-networkd": "write DHCPServer=no in its .network file, then: systemctl restart systemd-networkd",
    "nginx": "let it listen on another port, or write another port in [httpd]",
    "apache2": "let it listen on another port, or write another port in [httpd]",
}
"""What to do about programs that are often in the way."""


@frozen
class Port:
    """One port that the configuration asks for."""

    protocol: str
    address: IPv4Address
    number: int
    setting: str

    def __str__(self) -> str:
        return f"{self.protocol} port {self.number}"


def wanted(config: Config) -> Iterator[Port]:
    """Every port that the daemon would open."""
    bootpd = config.bootpd
    if config.dhcp:
        setting = str(config.origin("bootpd", "port"))
        yield Port("UDP", bootpd.address, bootpd.port, setting)
        if bootpd.port == 67 or bootpd.mode == "proxy":
            yield Port("UDP", bootpd.address, BOOT_SERVER_PORT, setting)
    if config.tftp:
        yield Port("UDP", config.tftp_address, config.tftpd.port, str(config.origin("tftpd", "port")))
    if config.http_server:
        yield Port("TCP", config.http_address, config.httpd.port, str(config.origin("httpd", "port")))
    if config.status.enable:
        yield Port("TCP", config.status.address, config.status.port, str(config.origin("status", "port")))


def trial(port: Port) -> int:
    """Open a port and close it again: 0, or why it cannot be had (an C{errno})."""
    kind = socket.SOCK_DGRAM if port.protocol == "UDP" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as sock:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((str(port.address), port.number))
            if kind == socket.SOCK_STREAM:
                sock.listen(1)
        except OSError as error:
            return error.errno or errno.EIO
    return 0


def ports(
    wanted: Sequence[Port],
    capabilities: int,
    holders: Callable[[int, str], Sequence[Holder]],
    taken: Callable[[int, str], object],
    trial: Callable[[Port], int] = trial,
) -> Iterator[Finding]:
    """
    Look at the ports.

    @param capabilities: this process's, as a number of bits.
    @param holders: the programs that have a port.
    @param taken: whether anybody has it, where it cannot be seen who.
    """
    running: dict[int, Holder] = {}
    forbidden = []
    for port in wanted:
        refused = trial(port)
        having = holders(port.number, port.protocol)
        own = next((one for one in having if one.is_pybootd), None)
        if own is not None:
            running[own.pid] = own
        elif having and all(one.name == SYSTEMD for one in having):
            text = f"{port} is held by a socket unit of systemd; pybootd.socket is right, another one is in the way"
            yield hint(text, f"systemctl list-sockets | grep {port.number}")
        elif refused == errno.EADDRINUSE or (refused and taken(port.number, port.protocol)):
            yield _taken(port, having)
        elif refused in (errno.EACCES, errno.EPERM):
            forbidden.append(port)
        elif refused == errno.EADDRNOTAVAIL:
            where = f"address, beside {port.setting}"
            remedy = f"mend {where}, or give it to this host: ip address add {port.address}/24 dev ..."
            yield wrong(f"{port}: {port.address} is no address of this host", remedy)
        elif refused:
            yield wrong(f"{port} cannot be opened: {errno.errorcode.get(refused, refused)}", f"see {port.setting}")
        else:
            yield fine(f"{port} is free")
    for own in running.values():
        yield fine(f"pybootd is running here, pid {own.pid}")
    if forbidden:
        names = ", ".join(map(str, forbidden))
        remedy = "start it as root (twistd --uid drops that afterwards), or by conf/pybootd.socket"
        yield wrong(f"{names}: this user may not open ports below 1024 (no CAP_NET_BIND_SERVICE)", remedy)
    if not capabilities >> NET_RAW & 1 and not running:
        yield hint(
            "no raw sockets (no CAP_NET_RAW): machines without an address are answered by broadcast, and addresses are"
            " given without asking whether somebody uses them",
            "start it as root, or give it the capability: AmbientCapabilities=CAP_NET_RAW, --cap-add=NET_RAW",
        )


def _taken(port: Port, having: Sequence[Holder]) -> Finding:
    if not having:
        remedy = f"as root, pybootd doctor says who; else: ss -lunpt 'sport = {port.number}'"
        return wrong(f"{port} is taken, by a program that cannot be seen from here", remedy)
    names = " and ".join(map(str, having))
    known = next((STOP[one.name] for one in having if one.name in STOP), "")
    return wrong(f"{port} is taken by {names}", known or f"stop it: kill {having[0].pid}; or mend {port.setting}")


def capabilities(status: str) -> int:
    """The effective capabilities in a process's C{/proc/PID/status}; all of them where there is no such line."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return -1
