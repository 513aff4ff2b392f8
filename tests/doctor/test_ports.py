"""The doctor and ports."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.reader import read
from pybootd.doctor.finding import Finding, Grade
from pybootd.doctor.ports import NET_RAW, Port, capabilities, ports, trial, wanted
from pybootd.net.holders import Holder

DHCP = Port("UDP", IPv4Address("0.0.0.0"), 67, "x.ini:2: [bootpd] port")
TFTP = Port("UDP", IPv4Address("0.0.0.0"), 69, "[tftpd] port (default)")
ALL = -1
BASE = "[bootpd]\npool_start = 10.0.0.100\n[tftpd]\nroot = /srv\n"


def found(
    refused: Mapping[int, int],
    having: Sequence[Holder] = (),
    able: int = ALL,
    taken: bool = False,
) -> list[Finding]:
    """Findings about 67 and 69; C{refused} says why which of them cannot be had."""
    return list(
        ports(
            (DHCP, TFTP),
            able,
            lambda number, protocol: having if number in refused else (),
            lambda number, protocol: taken,
            lambda port: refused.get(port.number, 0),
        )
    )


class PortsTests(SynchronousTestCase):
    """L{ports}."""

    def only_wrong(self, findings: list[Finding]) -> Finding:
        """The one that is wrong."""
        (one,) = [one for one in findings if one.grade is Grade.WRONG]
        return one

    def test_free(self) -> None:
        """Nobody has them."""
        self.assertEqual(
            [str(one) for one in found({})], ["fine:    UDP port 67 is free", "fine:    UDP port 69 is free"]
        )

    def test_taken(self) -> None:
        """Who has it, and how that program is stopped."""
        one = self.only_wrong(found({67: errno.EADDRINUSE}, [Holder(7, "dnsmasq")]))
        self.assertEqual(one.text, "UDP port 67 is taken by dnsmasq (pid 7)")
        self.assertIn("systemctl disable --now dnsmasq", one.remedy)
        one = self.only_wrong(found({67: errno.EADDRINUSE}, [Holder(7, "one"), Holder(8, "two")]))
        self.assertEqual(one.text, "UDP port 67 is taken by one (pid 7) and two (pid 8)")
        self.assertIn("kill 7; or mend x.ini:2", one.remedy)

    def test_hidden(self) -> None:
        """It is taken, but by whom only root may see."""
        for findings in (found({67: errno.EADDRINUSE}), found({67: errno.EACCES}, taken=True)):
            one = self.only_wrong(findings)
            self.assertIn("cannot be seen", one.text)
            self.assertIn("as root", one.remedy)

    def test_own(self) -> None:
        """Our own daemon has them: all is well, and a user who may not open them does not matter."""
        own = Holder(7, "pybootd", ("pybootd",))
        findings = found({67: errno.EADDRINUSE, 69: errno.EADDRINUSE}, [own], able=0)
        self.assertEqual([str(one) for one in findings], ["fine:    pybootd is running here, pid 7"])

    def test_socket_unit(self) -> None:
        """systemd holds it for somebody: for us, if all is well."""
        findings = found({67: errno.EADDRINUSE}, [Holder(1, "systemd")])
        self.assertEqual([one.grade for one in findings], [Grade.HINT, Grade.FINE])
        self.assertIn("pybootd.socket is right", findings[0].text)

    def test_forbidden(self) -> None:
        """Ports that this user may not open, in one finding."""
        one = self.only_wrong(found({67: errno.EACCES, 69: errno.EPERM}))
        self.assertIn("UDP port 67, UDP port 69: this user may not open ports", one.text)

    def test_address(self) -> None:
        """An address that this host does not have."""
        one = self.only_wrong(found({67: errno.EADDRNOTAVAIL}))
        self.assertEqual(one.text, "UDP port 67: 0.0.0.0 is no address of this host")
        self.assertIn("EMFILE", self.only_wrong(found({67: errno.EMFILE})).text)

    def test_raw(self) -> None:
        """Without raw sockets it works, but worse."""
        self.assertEqual([one.grade for one in found({}, able=0)], [Grade.FINE, Grade.FINE, Grade.HINT])
        self.assertEqual([one.grade for one in found({}, able=1 << NET_RAW)], [Grade.FINE, Grade.FINE])

    def test_capabilities(self) -> None:
        """The kernel's line."""
        self.assertEqual(capabilities("Name:\tx\nCapEff:\t0000000000002400\nSeccomp:\t0\n"), 1 << 10 | 1 << 13)
        self.assertEqual(capabilities(""), -1)

    def test_wanted(self) -> None:
        """Every port of the configuration."""
        text = BASE + "[httpd]\nenable = yes\nport = 8080\n"
        self.assertEqual(
            [str(one) for one in wanted(read(text))][:4],
            ["UDP port 67", "UDP port 4011", "UDP port 69", "TCP port 8080"],
        )
        odd = BASE.replace("[bootpd]", "[bootpd]\nport = 1067")
        self.assertEqual([one.number for one in wanted(read(odd))], [1067, 69])
        self.assertEqual(
            [one.number for one in wanted(read(odd.replace("[bootpd]", "[bootpd]\nmode = proxy")))], [1067, 4011, 69]
        )
        self.assertEqual([one.number for one in wanted(read(BASE, dhcp=False))], [69])

    def test_trial(self) -> None:
        """A port that somebody has cannot be had; a free one can, again and again."""
        for protocol, kind in (("UDP", socket.SOCK_DGRAM), ("TCP", socket.SOCK_STREAM)):
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.bind(("127.0.0.1", 0))
                if protocol == "TCP":
                    sock.listen(1)
                port = Port(protocol, IPv4Address("127.0.0.1"), sock.getsockname()[1], "")
                self.assertEqual(trial(port), errno.EADDRINUSE, protocol)
            self.assertEqual((trial(port), trial(port)), (0, 0), protocol)
