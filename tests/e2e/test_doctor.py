"""C{pybootd doctor} on hosts with real troubles, each in a laboratory of its own."""

from __future__ import annotations

import sys

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.servers import Pybootd, dnsmasq, ini, ready
from tests.support.programs import ARM64, efi

OTHER = "10.77.0.3"
"""The foreign DHCP server."""

NOBODY = "65534"
HOLD = "import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 69)); time.sleep(600)"


class DoctorTests(EndToEndTestCase):
    """A server's host on which all is well, until a test does something about it."""

    needs = ("dnsmasq", "nft", "iptables", "setpriv")

    def setUp(self) -> None:
        """A configuration, and the one boot file that it names."""
        super().setUp()
        self.directory = self.lab.directory("daemon")
        self.root = self.lab.directory("root")
        (self.root / "grub.efi").write_bytes(efi())
        self.configuration: dict[str, dict[str, object]] = {
            "bootpd": {"pool_start": "10.77.0.100"},
            "bootfile": {"x64-uefi": "grub.efi"},
            "tftpd": {"root": self.root},
        }

    def doctor(self, *command: str) -> tuple[int, str]:
        """Exit status, and what it says; C{command} stands before it."""
        file = self.directory / "pybootd.ini"
        file.write_text(ini(self.configuration))
        words = (*command, sys.executable, "-m", "pybootd", "doctor", "-c", str(file))
        done = self.lab.server.run(*words, check=False, directory=self.directory)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def finds(self, *expected: str) -> None:
        """Something is wrong, and all of these are said."""
        status, said = self.doctor()
        self.assertEqual(status, 1, said)
        for words in expected:
            self.assertIn(words, said)

    def beside(self, *options: str) -> None:
        """Another DHCP server on the same network."""
        host = self.lab.segment.host(f"{OTHER}/24")
        dnsmasq(self.lab, host, "eth0", "dhcp-range=10.77.0.150,10.77.0.160", "dhcp-authoritative", *options)

    def test_healthy(self) -> None:
        """Nothing is wrong: status 0; the same while our own daemon has the ports."""
        status, said = self.doctor()
        self.assertEqual(status, 0, said)
        self.assertIn("fine:    br0 is up, 10.77.0.0/24 as 10.77.0.1, MTU 1500", said)
        self.assertIn("fine:    no other DHCP server answers on br0", said)
        self.assertIn("fine:    no rule of the firewall drops what machines send", said)
        self.assertTrue(said.endswith("nothing is wrong\n"), said)
        daemon = Pybootd(self.lab.server, self.directory, self.configuration)
        status, said = self.doctor()
        self.assertEqual(status, 0, said)
        self.assertIn(f"fine:    pybootd is running here, pid {daemon.program.pid}", said)

    def test_another_server(self) -> None:
        """A second DHCP server; with C{mode = proxy} it is as it should be, until it names a boot file."""
        self.beside("dhcp-boot=other.efi")
        self.finds(f"wrong:   another DHCP server answers on br0: {OTHER} (", "offers 10.77.0.1", "mode = proxy")
        self.configuration["bootpd"] = {"mode": "proxy", "interface": "br0"}
        self.finds(f"wrong:   {OTHER} (", "names a boot file of its own, other.efi")

    def test_proxy(self) -> None:
        """A proxy needs another server beside it."""
        self.configuration["bootpd"] = {"mode": "proxy", "interface": "br0"}
        self.finds("wrong:   nobody gives addresses on br0")
        self.beside()
        status, said = self.doctor()
        self.assertEqual(status, 0, said)
        self.assertIn(f"fine:    {OTHER} (", said)

    def test_ports_taken(self) -> None:
        """Other programs have the ports: which, and how they are stopped."""
        dnsmasq(self.lab, self.lab.server, "br0", "dhcp-range=10.77.0.150,10.77.0.160")
        holder = self.lab.server.start("python3", "-c", HOLD)
        ready(self.lab.server, holder, [("udp", 69)])
        self.finds(
            "wrong:   UDP port 67 is taken by dnsmasq (pid ",
            "systemctl disable --now dnsmasq",
            f"wrong:   UDP port 69 is taken by python3 (pid {holder.pid})",
            f"-> stop it: kill {holder.pid}",
            "2 things are wrong",
        )

    def test_several(self) -> None:
        """A boot file that is missing, a firewall, an MTU that is too large, a container's cable: all at once."""
        server = self.lab.server
        (self.root / "grub.efi").unlink()
        for line in (
            "add table inet filter",
            "add chain inet filter input { type filter hook input priority 0; policy drop; }",
            "add rule inet filter input ct state established,related accept",
            "add rule inet filter input udp dport { 67, 4011 } accept",
        ):
            server.run("nft", line)
        server.ip("link", "set", "br0b", "mtu", "9000")
        server.ip("link", "set", "br0a", "mtu", "9000")
        server.ip("link", "set", "br0", "mtu", "9000")
        self.finds(
            "[bootfile] x64-uefi = grub.efi: no such file",
            "wrong:   the firewall drops TFTP requests on br0: the policy of nft chain inet filter input",
            '-> nft insert rule inet filter input iifname "br0" udp dport 69 accept',
            "hint:    br0 has an MTU of 9000",
            "2 things are wrong",
        )
        (self.root / "grub.efi").write_bytes(efi(ARM64))
        self.finds("[bootfile] x64-uefi = grub.efi: an EFI program for arm64, not for x64", "2 things are wrong")
        server.run("nft", 'insert rule inet filter input iifname "br0" udp dport 69 accept')
        (self.root / "grub.efi").write_bytes(efi())
        self.assertEqual(self.doctor()[0], 0, "the remedies helped")

    def test_iptables(self) -> None:
        """Rules of iptables, in its own words."""
        for line in (
            "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A INPUT -p udp -m addrtype --dst-type BROADCAST -m multiport --dports 67,68 -j ACCEPT",
            "-A INPUT -i br0 -p udp -m multiport --dports 69,4011 -j REJECT",
        ):
            self.lab.server.run("iptables", *line.split())
        self.finds(
            "wrong:   the firewall drops TFTP requests on br0: iptables -A INPUT -i br0 -p udp -m multiport",
            "-> iptables -I INPUT -i br0 -p udp --dport 69 -j ACCEPT",
            "2 things are wrong",
        )

    def test_interface(self) -> None:
        """The interface is down; then it has no address."""
        self.lab.server.ip("link", "set", "br0", "down")
        self.finds("wrong:   br0 is down", "-> ip link set br0 up")
        self.lab.server.ip("addr", "flush", "dev", "br0")
        self.configuration["bootpd"]["interface"] = "br0"
        self.finds("-> ip link set br0 up; ip address add 10.77.0.1/24 dev br0")

    def test_ordinary_user(self) -> None:
        """Without root: what may not be done, what may not be written, and what cannot be seen."""
        as_nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        self.lab.server.run("sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=1024")
        status, said = self.doctor(*as_nobody)
        self.assertEqual(status, 1, said)
        self.assertIn("UDP port 67, UDP port 69: this user may not open ports below 1024", said)
        self.assertIn(f"-> chown nobody {self.directory}", said)
        self.assertIn("unknown: whether another DHCP server answers: that needs root", said)
        self.assertIn("unknown: firewall: nft cannot read its rules: ", said)
