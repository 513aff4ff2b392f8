"""The doctor and interfaces."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.reader import read
from pybootd.doctor.finding import Finding, Grade
from pybootd.doctor.links import BROADCAST, UP, Link, container, links, look, surroundings
from tests.support.dhcp import HOSTS

BASE = "[bootpd]\npool_start = {}\n[tftpd]\nroot = /srv\n"
USUAL = BASE.format("10.0.0.100")


class LinksTests(SynchronousTestCase):
    """L{links}, on a host with 10.0.0.1/24 on eth0."""

    def found(self, link: Link | None, text: str = USUAL) -> list[Finding]:
        """Findings where every interface is like C{link}."""
        return list(links(read(text), HOSTS, lambda name: link))

    def one(self, link: Link | None, text: str = USUAL) -> Finding:
        """The only finding."""
        (finding,) = self.found(link, text)
        return finding

    def test_fine(self) -> None:
        """Up, with a carrier and the usual MTU."""
        self.assertEqual(str(self.one(Link("eth0"))), "fine:    eth0 is up, 10.0.0.0/24 as 10.0.0.1, MTU 1500")
        self.assertEqual(self.found(None), [], "it went away just now")

    def test_down(self) -> None:
        """Down; up, but with nothing at the other end; no broadcast."""
        self.assertEqual(
            str(self.one(Link("eth0", BROADCAST, carrier=False))),
            "wrong:   eth0 is down\n         -> ip link set eth0 up",
        )
        self.assertIn("no carrier", self.one(Link("eth0", carrier=False)).text)
        self.assertIn("no broadcast", self.one(Link("tun0", UP)).text)
        for link, works in ((Link("x"), True), (Link("x", UP), False), (Link("x", carrier=False), False)):
            self.assertEqual(link.works, works)

    def test_other_network(self) -> None:
        """The pool is on no network of this host: what would give it one."""
        finding = self.one(Link("eth0"), BASE.format("192.168.5.100"))
        self.assertIs(finding.grade, Grade.WRONG)
        self.assertIn("ip address add 192.168.5.1/24 dev INTERFACE, or write a pool_start", finding.remedy)

    def test_no_address(self) -> None:
        """An interface that is there, but has no address; one that is not there."""
        text = BASE.format("192.168.5.100\ninterface = eth7")
        self.assertEqual(self.one(Link("eth7"), text).remedy, "ip address add 192.168.5.1/24 dev eth7")
        down = "ip link set eth7 up; ip address add 192.168.5.1/24 dev eth7"
        self.assertEqual(self.one(Link("eth7", 0), text).remedy, down)
        self.assertIn("mend [bootpd] interface", self.one(None, text).remedy)

    def test_large(self) -> None:
        """A larger MTU is promised to clients, unless the configuration says otherwise."""
        _, finding = self.found(Link("eth0", mtu=9000))
        self.assertIn("blocks of up to 8968 bytes", finding.text)
        self.assertIn("max_blocksize = 1468", finding.remedy)
        self.assertEqual(len(self.found(Link("eth0", mtu=9000), USUAL + "max_blocksize = 1468\n")), 1)

    def test_small(self) -> None:
        """A smaller MTU makes blocks smaller; so does the usual one, where the configuration wants larger ones."""
        _, finding = self.found(Link("eth0", mtu=1280))
        self.assertIn("TFTP's blocks are cut to 1248", finding.text)
        _, finding = self.found(Link("eth0"), USUAL + "max_blocksize = 8000\n")
        self.assertIn("max_blocksize = 8000 is more than eth0 carries; 1468", finding.text)

    def test_look(self) -> None:
        """C{/sys/class/net}; the carrier of an interface that is down cannot be read."""
        sys = Path(self.mktemp())
        (sys / "eth0").mkdir(parents=True)
        for name, value in (("flags", "0x1003"), ("mtu", "9000"), ("ifindex", "3"), ("iflink", "8")):
            (sys / "eth0" / name).write_text(value + "\n")
        self.assertEqual(look("eth0", sys), Link("eth0", 0x1003, False, 9000, True))
        (sys / "eth0/carrier").write_text("1\n")
        (sys / "eth0/iflink").write_text("3\n")
        self.assertEqual(look("eth0", sys), Link("eth0", 0x1003, True, 9000, False))
        self.assertIsNone(look("eth9", sys))


class SurroundingsTests(SynchronousTestCase):
    """Where this runs."""

    def said(self, *arguments: object) -> str:
        """All of it."""
        return "\n".join(str(one) for one in surroundings(*arguments))  # type: ignore[arg-type]

    def test_plain(self) -> None:
        """A host like any other."""
        self.assertEqual(self.said([Link("eth0")], "", False, "Linux version 6.1"), "")

    def test_contained(self) -> None:
        """A container behind a bridge, one on a network of its own, one on its host's."""
        self.assertIn("--network=host", self.said([Link("eth0", paired=True)], "docker", True, ""))
        self.assertIn("podman", self.said([Link("eth0")], "podman", True, ""))
        self.assertEqual(self.said([Link("eth0")], "podman", False, ""), "")
        self.assertIn("network namespace", self.said([Link("eth0")], "", True, ""))
        self.assertIn("WSL", self.said([], "", False, "Linux version 5.15.0-microsoft-standard-WSL2"))

    def test_container(self) -> None:
        """Its marks."""
        root = Path(self.mktemp())
        (root / "proc/1").mkdir(parents=True)
        self.assertEqual(container(root), "")
        (root / "proc/1/environ").write_text("PATH=/bin\0container=lxc\0")
        self.assertEqual(container(root), "lxc")
        (root / ".dockerenv").touch()
        self.assertEqual(container(root), "docker")
