"""
DHCP clients of real systems, without the systems: dhclient, udhcpc, dhcpcd and systemd-networkd, in hosts of their own.

None of them may touch this machine's files: each runs with a script of ours in place of its own, which
sets the address and writes down what it was told.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.support.lab import Lab, Namespace
from tests.e2e.support.program import Program, Unexpected

PATIENCE = 60
"""Seconds that a client may take for one exchange."""

DHCLIENT_SCRIPT = """#!/bin/sh
case $reason in
    BOUND|RENEW|REBIND|REBOOT)
        ip addr flush dev eth0 scope global
        ip addr add "$new_ip_address/$new_subnet_mask" dev eth0
        for router in $new_routers; do ip route replace default via "$router"; done;;
    RELEASE|STOP|EXPIRE|FAIL) ip addr flush dev eth0 scope global;;
esac
set | grep -E '^(reason|new_)' >>"$(dirname "$0")/told"
echo . >>"$(dirname "$0")/told"
"""

UDHCPC_SCRIPT = """#!/bin/sh
case $1 in
    bound|renew)
        ip addr flush dev eth0 scope global
        ip addr add "$ip/$mask" dev eth0;;
    deconfig) ip addr flush dev eth0 scope global;;
esac
{ echo "reason='$1'"; set | grep -E '^[a-z]'; echo .; } >>"$(dirname "$0")/told"
"""

DHCPCD_SCRIPT = """#!/bin/sh
{ set | grep -E '^(reason|new_|interface)'; echo .; } >>"$(dirname "$0")/told"
"""


class Client:
    """
    One host with one DHCP client, of which it knows what it was told.

    @ivar host: its namespace; the interface is C{eth0}.
    """

    script = ""

    def __init__(self, lab: Lab, host: Namespace) -> None:
        self.host = host
        self.place = lab.directory(f"client-{host.name}")
        self._script = self.place / "script"
        self._script.write_text(self.script)
        self._script.chmod(0o755)

    @property
    def told(self) -> list[dict[str, str]]:
        """What the server told it, one dictionary for each time the client called its script."""
        file = self.place / "told"
        text = file.read_text() if file.exists() else ""
        # the shell quotes what needs it, and only that
        lines = (re.findall(r"^(\w+)='?(.*?)'?$", part, re.MULTILINE) for part in text.split("\n.\n"))
        return [dict(found) for found in lines if found]

    @property
    def address(self) -> str:
        """The address on its interface now, or nothing."""
        found = re.search(r"inet ([0-9.]+)/", self.host.ip("-4", "addr", "show", "dev", "eth0", "scope", "global"))
        return found[1] if found else ""


class Dhclient(Client):
    """ISC's client."""

    script = DHCLIENT_SCRIPT

    def _run(self, *options: str) -> str:
        return self.host.run(
            *("dhclient", "-4", "-v", "-sf", self._script, "-cf", "/dev/null"),
            *("-lf", self.place / "leases", "-pf", self.place / "pid", *options, "eth0"),
            timeout=PATIENCE,
        ).stderr

    def obtain(self) -> str:
        """Get an address; with a lease in its file it reboots into it (RFC 2131 3.2).  Leaves the client running."""
        return self._run("-1")

    def stop(self) -> None:
        """End the client; the lease stays, the address goes with the interface's."""
        self._run("-x")

    def release(self) -> str:
        """Give the address back."""
        return self._run("-r")

    def believe(self, address: str) -> None:
        """Make it believe that it has a lease of this address, on whatever network it is."""
        (self.place / "leases").write_text(
            f'lease {{\n  interface "eth0";\n  fixed-address {address};\n  option subnet-mask 255.255.255.0;\n'
            f"  option dhcp-lease-time 86400;\n  renew never;\n  rebind never;\n  expire never;\n}}\n"
        )


class Udhcpc(Client):
    """busybox' client."""

    script = UDHCPC_SCRIPT

    def start(self, *options: str) -> Program:
        """Start it in the foreground; SIGUSR1 renews, SIGUSR2 releases."""
        return self.host.start("udhcpc", "-f", "-i", "eth0", "-t", "5", "-T", "2", "-s", self._script, *options)

    def obtain(self, *options: str) -> None:
        """
        Get an address, however late the server answers, and end.

        @raise Unexpected: it got none.
        """
        program = self.start("-t", "25", "-n", "-q", *options)
        if program.wait(PATIENCE) or not self.address:
            raise Unexpected(f"{program.name} got no address:\n{program.output}")

    def in_vain(self) -> str:
        """
        Ask for an address that is not to be had, until it gives up.

        @return: what it printed.
        """
        program = self.start("-t", "3", "-n", "-q")
        program.wait(PATIENCE)
        return program.output

    def obtains(self, tries: int) -> str:
        """The address that it gets when it asks anew, once a second and so often; nothing where it gets none."""
        self.host.ip("addr", "flush", "dev", "eth0")
        self.host.run(
            *("udhcpc", "-f", "-n", "-q", "-i", "eth0", "-t", str(tries), "-T", "1", "-A", "1", "-s", self._script),
            check=False,
            timeout=PATIENCE,
        )
        return self.address


class Dhcpcd(Client):
    """Roy Marples' client, as Raspberry Pi OS and the BSDs have it."""

    script = DHCPCD_SCRIPT

    def __init__(self, lab: Lab, host: Namespace) -> None:
        super().__init__(lab, host)
        self._configuration = self.place / "dhcpcd.conf"
        self._configuration.write_text(
            "option domain_name_servers, domain_name, host_name, routers\nnohook resolv.conf\nnodev\nnoarp\nclientid\n"
        )
        for name in ("lib", "run"):
            (self.place / name).mkdir()

    def _command(self, *options: str) -> list[str | Path]:
        """dhcpcd has its state in fixed directories: ours stand in their place, for this program only."""
        mounts = " && ".join(
            f"mkdir -p {where} && mount --bind {self.place}/{name} {where}" for name, where in _DHCPCD_STATE.items()
        )
        dhcpcd = ("dhcpcd", "-4", "-f", self._configuration, "-c", self._script, *options, "eth0")
        return ["sh", "-c", f'{mounts} && exec "$@"', "sh", *dhcpcd]

    def start(self, *options: str) -> Program:
        """Start it in the foreground."""
        return self.host.start(*self._command("-B", "-d", *options))

    def ask(self, *options: str) -> None:
        """Tell the running client something: C{--rebind}, C{--release}."""
        self.host.run(*self._command(*options), timeout=PATIENCE)


class Networkd(Client):
    """systemd's network daemon, without the rest of systemd."""

    def start(self) -> Program:
        """Start it in the foreground; when it ends, it gives its address back."""
        network = self.place / "10-eth0.network"
        network.write_text(
            "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nLLDP=no\n"
        )
        return self.host.start(
            "sh", "-c", _NETWORKD.format(network=network), environment={"SYSTEMD_LOG_LEVEL": "debug"}
        )


_NETWORKD = """
mount -o remount,ro /sys && mount -t tmpfs none /run && mkdir -p /run/systemd/netif /run/systemd/network || exit 1
chown -R systemd-network /run/systemd/netif
cp {network} /run/systemd/network/ && exec /lib/systemd/systemd-networkd
"""
"""With a C{/sys} that is read-only it takes itself to be in a container, and waits for no udev."""

_DHCPCD_STATE = {"lib": "/var/lib/dhcpcd", "run": "/run/dhcpcd"}
