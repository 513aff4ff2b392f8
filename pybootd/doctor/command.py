"""The command C{pybootd doctor}: looks at this host with everything that the other modules know."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from pybootd.check import Kind
from pybootd.check import check as checked
from pybootd.config import Config
from pybootd.config.loading import load
from pybootd.dhcp.client import BOOT_SERVER_PORT
from pybootd.dhcp.settings import Network
from pybootd.doctor import firewall
from pybootd.doctor.files import files
from pybootd.doctor.finding import Finding, Grade, fine, hint, unknown, wrong
from pybootd.doctor.links import container, links, look, served, surroundings
from pybootd.doctor.ports import NET_RAW, capabilities, ports, wanted
from pybootd.doctor.rival import ask, rivals
from pybootd.doctor.storage import User, storage
from pybootd.errors import EnvironmentProblem
from pybootd.flags import CommandOptions, Flags
from pybootd.net.holders import Holder, holders, taken
from pybootd.net.interfaces import Interface, interfaces, name_servers

PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
AS_ROOT = "sudo pybootd doctor"
ELSEWHERE = (
    "there is no such file below the root",
    "on no network of this host",
    "no interface with an IPv4 address",
    "is no address of this host",
)
"""What C{pybootd check} finds and the doctor looks at more closely."""

TRANSFER = "50000"
"""One of the ports from which TFTP sends; the client's answers belong to a connection that the filter knows."""


class DoctorOptions(CommandOptions):
    """C{pybootd doctor}."""

    synopsis = "Usage: pybootd doctor [-c FILE] [-p] [-t] [-H]"


def doctor(options: DoctorOptions, flags: Flags) -> int:
    """Print what is wrong and what to do about it; 1 where something is."""
    config = load(flags)
    findings = examined(config, interfaces())
    grades = list(Grade)
    for finding in sorted(findings, key=lambda finding: grades.index(finding.grade)):
        print(finding)
    count = sum(finding.grade is Grade.WRONG for finding in findings)
    print(f"{count} thing{'s are' if count != 1 else ' is'} wrong" if count else "nothing is wrong")
    return int(count > 0)


def examined(config: Config, host: Sequence[Interface]) -> list[Finding]:
    """Everything that can be found out here."""
    able = capabilities(_text("/proc/self/status"))
    asked = list(wanted(config))
    findings = list(_configuration(config, host))
    findings += ports(asked, able, holders, taken)
    if config.dhcp:
        findings += links(config, host)
        findings += storage(config, _user())
    try:
        here = [(one, network) for one, network in served(config, host) if isinstance(one, Interface)]
    except EnvironmentProblem:
        here = []  # it is told already
    own = list({network.http for _, network in here if network.http})
    findings += files(config, own, _user())
    findings += _surroundings([one.name for one, _ in here])
    if here:
        findings += _firewall(config, here)
    if config.dhcp and here:
        findings += _rivals(config, [one for one, _ in here], host, able)
    grave = {finding.text for finding in findings if finding.grade is Grade.WRONG}
    return [one for one in findings if one.grade is not Grade.HINT or one.text not in grave]


def _configuration(config: Config, host: Sequence[Interface]) -> Iterator[Finding]:
    """What C{pybootd check} says, but for what is looked at more closely here."""
    for found in checked(config, host, name_servers()):
        if found.kind is Kind.PROBLEM and not any(words in found.text for words in ELSEWHERE):
            yield wrong(found.text, "mend that line; pybootd check reads it again")
        elif found.kind is Kind.WARNING and not any(words in found.text for words in ELSEWHERE):
            yield hint(found.text)


def _user() -> User:
    """The running daemon's user; where none runs, this process's."""
    running = next(_daemons(), None)
    return User(running.uid, running.gid) if running is not None else User(os.geteuid(), os.getegid())


def _daemons() -> Iterator[Holder]:
    for number in (67, 69, BOOT_SERVER_PORT):
        yield from (one for one in holders(number, "UDP") if one.is_pybootd)


def _surroundings(names: Sequence[str]) -> Iterator[Finding]:
    try:
        own = Path("/proc/1/ns/net").stat().st_ino != Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        own = False
    found = [link for link in map(look, names) if link is not None]
    return surroundings(found, container(), own, _text("/proc/version"))


def _text(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:
        return ""


# the firewall


def _firewall(config: Config, here: Sequence[tuple[Interface, Network]]) -> Iterator[Finding]:
    rules, reason = _rules()
    if rules is None:
        yield unknown(f"firewall: {reason}", AS_ROOT if os.geteuid() else "")
        return
    clear = True
    for interface, network in here:
        for what, packet in _packets(config, interface, network):
            found = firewall.outcome(rules, packet)
            if found.dropped:
                clear = False
                yield _dropped(what, packet, found)
    if clear:
        yield fine("no rule of the firewall drops what machines send")


def _rules() -> tuple[firewall.Chains | None, str]:
    """The rules of this network namespace, or why they cannot be had."""
    found: dict[tuple[str, str], firewall.Chain] = {}
    tried = False
    reason = "neither nft nor iptables-save is installed, so that its rules cannot be read"
    legacy = "filter" in _text("/proc/net/ip_tables_names")  # asking iptables-legacy itself would load it
    for words, read, use in (
        (("nft", "-j", "list", "ruleset"), firewall.from_nft, True),
        (("iptables-legacy-save",), firewall.from_iptables, legacy),
        (("iptables-save",), firewall.from_iptables, not shutil.which("nft", path=PROGRAMS)),
    ):
        program = shutil.which(words[0], path=PROGRAMS)
        if program is None or not use:
            continue
        try:
            done = subprocess.run(  # noqa: S603 - a fixed command
                [program, *words[1:]], capture_output=True, text=True, check=False, timeout=20
            )
            if done.returncode:
                reason = (
                    f"{words[0]} cannot read its rules: {done.stderr.strip().splitlines()[0] if done.stderr else ''}"
                )
                continue
            rules = read(done.stdout)
            saved = _saved() if words[0] == "nft" and '"xt"' in done.stdout else None
            if saved is not None:  # in iptables' own words everything is understood
                rules = {key: chain for key, chain in rules.items() if key[0] not in firewall.IPTABLES} | {**saved}
            found |= rules
            tried = True
        except (OSError, subprocess.TimeoutExpired, ValueError, LookupError, TypeError, AttributeError) as error:
            reason = f"what {words[0]} says of its rules cannot be read: {error!r}"
    return (found, "") if tried else (None, reason)


def _saved() -> firewall.Chains | None:
    """The rules that iptables keeps in nftables, in its own words; None where they cannot be had."""
    program = shutil.which("iptables-nft-save", path=PROGRAMS) or shutil.which("iptables-save", path=PROGRAMS)
    if program is None:
        return None
    done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=20)  # noqa: S603
    return firewall.from_iptables(done.stdout) if not done.returncode and "*" in done.stdout else None


def _packets(config: Config, interface: Interface, network: Network) -> Iterator[tuple[str, Mapping[str, str]]]:
    """What machines send, in the order of a boot."""
    address = IPv4Address(network.pool_first or network.first + 2)
    server = str(IPv4Address(network.server))
    machine = {"iif": interface.name, "saddr": str(address), "daddr": server, "kind": "local"}
    if config.dhcp:
        broadcast = {"saddr": "0.0.0.0", "daddr": "255.255.255.255", "kind": "broadcast"}
        port = {"protocol": "udp", "dport": str(config.bootpd.port), "state": "new"}
        yield "DHCP requests", {**machine, **broadcast, **port}
        yield "PXE's requests to port 4011", {**machine, **port, "dport": str(BOOT_SERVER_PORT)}
    if config.tftp:
        port = {"protocol": "udp", "dport": str(config.tftpd.port), "state": "new"}
        yield "TFTP requests", {**machine, **port}
        if not config.tftpd.single_port:
            yield "TFTP's acknowledgements", {**machine, **port, "dport": TRANSFER, "state": "established"}
    if config.http_server:
        yield "HTTP requests", {**machine, "protocol": "tcp", "dport": str(config.httpd.port), "state": "new"}


def _dropped(what: str, packet: Mapping[str, str], found: firewall.Outcome) -> Finding:
    remedy = _opened(packet, found.where)
    if found.certain:
        return wrong(f"the firewall drops {what} on {packet['iif']}: {found.where}", remedy)
    return hint(f"the firewall may drop {what} on {packet['iif']}: {found.where}", remedy)


def _opened(packet: Mapping[str, str], where: str) -> str:
    """The command that lets it in, in the words of the firewall that drops it."""
    interface, protocol, port = packet["iif"], packet["protocol"], packet["dport"]
    answers = packet["state"] == "established"
    if "firewalld" in where:
        return f"firewall-cmd --permanent --add-port={port}/{protocol}; firewall-cmd --reload"
    if "ufw" in where and not answers:
        return f"ufw allow in on {interface} to any port {port} proto {protocol}"
    chain = re.search(r"nft chain (\S+ \S+ \S+)", where)
    if chain is not None:
        condition = "ct state established,related" if answers else f"{protocol} dport {port}"
        return f'nft insert rule {chain[1]} iifname "{interface}" {condition} accept'
    condition = "-m conntrack --ctstate ESTABLISHED,RELATED" if answers else f"-p {protocol} --dport {port}"
    return f"iptables -I INPUT -i {interface} {condition} -j ACCEPT"


# other servers


def _rivals(config: Config, here: Sequence[Interface], host: Sequence[Interface], able: int) -> Iterator[Finding]:
    states = {one.name: look(one.name) for one in here}
    ethernet = [one for one in here if len(one.mac) == 6 and (state := states[one.name]) is not None and state.works]
    if not able >> NET_RAW & 1:
        yield unknown("whether another DHCP server answers: that needs root (CAP_NET_RAW)", AS_ROOT)
        return
    try:
        found = ask(ethernet)
    except (OSError, AttributeError) as error:
        yield unknown(f"whether another DHCP server answers: {error}")
        return
    own = {int(address.ip) for one in host for address in one.addresses}
    yield from rivals(found, own, config.bootpd.mode == "proxy")
