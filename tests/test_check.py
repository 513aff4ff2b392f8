"""What C{pybootd check} says of a host."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pybootd.check import Finding, Kind, check
from pybootd.config import reader
from pybootd.net.interfaces import Interface
from tests.support.programs import ARM64, efi

LO = Interface("lo", 1, bytes(6), (IPv4Interface("127.0.0.1/8"),))
ETH0 = Interface("eth0", 2, bytes.fromhex("525400000001"), (IPv4Interface("192.168.1.1/24"),))
ETH1 = Interface("eth1", 3, bytes.fromhex("525400000002"), (IPv4Interface("10.0.0.1/29"),))
HOST = (LO, ETH0, ETH1)
A, B = "AA-BB-CC-DD-EE-01", "AA-BB-CC-DD-EE-02"
BASE = "[bootpd]\npool_start = 192.168.1.100\n"


class CheckTests(SynchronousTestCase):
    """L{check} on a host with two networks."""

    def setUp(self) -> None:
        """An empty directory for the daemon, in which C{boot} is the root."""
        self.directory = Path(self.mktemp()).absolute()
        self.root = self.directory / "boot"
        self.root.mkdir(parents=True)

    def file(self, name: str, content: bytes = b"x") -> None:
        """Make a file below the daemon's directory."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def check(self, text: str, name_servers: Sequence[str] = (), **arguments: Any) -> Sequence[Finding]:
        """Check a configuration whose root is C{./boot}, where the text says nothing else."""
        if "[tftpd]" not in text:
            text += "\n[tftpd]\nroot = ./boot\n"
        config = reader.read(text, "x.ini", directory=self.directory, **arguments)
        return check(config, HOST, tuple(map(IPv4Address, name_servers)))

    def said(self, kind: Kind, text: str, name_servers: Sequence[str] = (), **arguments: Any) -> list[str]:
        """The lines of one kind, the daemon's directory written as C{DIR}."""
        findings = self.check(text, name_servers, **arguments)
        return [one.text.replace(str(self.directory), "DIR") for one in findings if one.kind is kind]

    def test_facts(self) -> None:
        """Network, interface, addresses, ports, roots, leases and log are told."""
        self.file("boot/pxelinux.0")
        text = BASE + "pool_count = 20\n[bootfile]\ndefault = pxelinux.0\n"
        self.assertEqual(
            self.said(Kind.FACT, text, http=True),
            [
                "Log: stderr, info, text",
                "DHCP: server on 0.0.0.0, UDP port 67",
                "  eth0: 192.168.1.0/24 as 192.168.1.1, pool 192.168.1.100 to 192.168.1.119 (20), leases of 86400 s",
                "  everybody is served",
                "  leases: sqlite:DIR/pybootd.leases",
                "TFTP: 0.0.0.0, UDP port 69, root DIR/boot",
                "HTTP: 0.0.0.0, TCP port 80, root DIR/boot, for machines that were given an address",
            ],
        )
        self.assertEqual([one for one in self.check(text) if one.kind is not Kind.FACT], [])

    def test_unserved(self) -> None:
        """An interface that is named, and behind which no network is served, is said, and what would be right."""
        text, line = BASE + "interface = eth0; eth1\n", "x.ini:3: [bootpd] interface = eth1: nobody is served there; "
        self.assertIn(line + "write [subnet 10.0.0.0/29], with its pool_start", self.said(Kind.WARNING, text))
        for right in (text + "[subnet 10.0.0.0/29]\npool_start = 10.0.0.3\npool_count = 2\n", BASE):
            self.assertNotIn("nobody is served", "".join(self.said(Kind.WARNING, right)))
        proxy = "[bootpd]\nmode = proxy\ninterface = eth0; eth1\n"
        self.assertNotIn("nobody is served", "".join(self.said(Kind.WARNING, proxy)))
        twin = Interface("eth2", 4, bytes(6), (IPv4Interface("192.168.1.2/24"),))
        config = reader.read(BASE + "interface = eth0; eth2\n", "x.ini", directory=self.directory)
        (told,) = [one.text for one in check(config, (*HOST, twin), ()) if "nobody" in one.text]
        self.assertIn("eth2: nobody is served there; its network, 192.168.1.0/24, is served on eth0", told)

    def test_printed(self) -> None:
        """A problem is called an error, and stands last, for there a person looks."""
        findings = self.check("[bootpd]\npool_start = 172.16.0.1\n")
        self.assertTrue(str(findings[-1]).startswith("error: x.ini:2: [bootpd] pool_start = 172.16.0.1: "))
        self.assertEqual([one.kind for one in findings], sorted((one.kind for one in findings), key=list(Kind).index))

    def test_no_network(self) -> None:
        """C{pool_start} on no network of this host: the networks that would do are named."""
        (problem,) = self.said(Kind.PROBLEM, "[bootpd]\npool_start = 172.16.0.1\n")
        self.assertIn("192.168.1.0/24 on eth0", problem)
        self.assertIn("10.0.0.0/29 on eth1", problem)

    def test_no_interface(self) -> None:
        """So are the interfaces, where one is named that is not there."""
        (problem,) = self.said(Kind.PROBLEM, "[bootpd]\npool_start = 192.168.1.100\ninterface = eth7\n")
        self.assertIn("no interface with an IPv4 address; there is", problem)
        self.assertTrue(problem.endswith("; write e.g. interface = eth0"), problem)

    def test_no_address(self) -> None:
        """An address to listen at that is another host's, said once for all who listen there."""
        http = "[httpd]\nenable = yes\naddress = 10.0.0.9\n[status]\nenable = yes\n"
        self.assertEqual(
            self.said(Kind.PROBLEM, f"{BASE}address = 192.168.1.9\n{http}"),
            [
                f"x.ini:{line} = {address}: is no address of this host, which has 192.168.1.1, 10.0.0.1"
                for line, address in (("3: [bootpd] address", "192.168.1.9"), ("6: [httpd] address", "10.0.0.9"))
            ],
        )
        self.assertEqual(self.said(Kind.PROBLEM, f"{BASE}address = 192.168.1.1\n"), [])

    def test_subnet_never(self) -> None:
        """A section for a network that C{[bootpd]} serves serves nobody."""
        self.assertEqual(
            self.said(Kind.WARNING, f"{BASE}[subnet 192.168.1.0/25]\npool_start = 192.168.1.10\n[bootfile]\nbios = a"),
            [
                "x.ini:3: [subnet 192.168.1.0/25]: overlaps 192.168.1.0/24, which [bootpd] serves: nobody there is "
                "served by this section",
                "x.ini:6: [bootfile] bios = a: there is no such file below the root",
            ],
        )

    def test_next_server(self) -> None:
        """What another server has for boot files is not known."""
        self.assertEqual(self.said(Kind.WARNING, f"{BASE}next_server = 192.168.1.9\n[bootfile]\nbios = a\n"), [])

    def test_cache(self) -> None:
        """The cache is made, but not what it is to be in: that may be a disk that is not mounted."""
        self.assertEqual(
            self.said(Kind.PROBLEM, f"{BASE}[cache]\ndirectory = ./disk/cache\n"),
            ["x.ini:4: [cache] directory = DIR/disk: there is no such directory"],
        )
        self.assertEqual(self.said(Kind.PROBLEM, f"{BASE}[cache]\ndirectory = ./cache\n"), [])

    def test_pool_too_big(self) -> None:
        """A pool that leaves the interface's network."""
        self.assertEqual(
            self.said(Kind.PROBLEM, "[bootpd]\npool_start = 10.0.0.2\n"),
            [
                "x.ini:2: [bootpd] pool_start = 10.0.0.2: the pool, up to 10.0.0.11, does not fit into 10.0.0.0/29;"
                " pool_count = 5 does"
            ],
        )

    def test_proxy(self) -> None:
        """A proxy gives no addresses, on no loopback, and needs port 4011."""
        facts = self.said(Kind.FACT, "[bootpd]\nmode = proxy\n")
        self.assertIn("DHCP: proxy on 0.0.0.0, UDP port 67 and 4011", facts)
        self.assertIn("  eth0: 192.168.1.0/24 as 192.168.1.1, boot files only", facts)
        self.assertFalse([one for one in facts if "leases" in one or one.startswith("  lo")])

    def test_subnets(self) -> None:
        """Further networks, and how they are reached."""
        text = BASE + "[subnet 10.9.0.0/16]\n[subnet 10.0.0.0/29]\npool_start = 10.0.0.2\npool_count = 2\n"
        facts = self.said(Kind.FACT, text)
        self.assertIn("  relayed: 10.9.0.0/16 as 192.168.1.1, static addresses only", facts)
        self.assertIn("  eth1: 10.0.0.0/29 as 10.0.0.1, pool 10.0.0.2 to 10.0.0.3 (2), leases of 86400 s", facts)

    def test_access(self) -> None:
        """Who decides is told; passwords are not."""
        text = BASE + f"access = mac, http\n[mac]\n{A} = yes\n[http]\nlocation = http://u:secret@h/\n"
        facts = self.said(Kind.FACT, text)
        self.assertIn("  [mac] must agree, 1 lines", facts)
        self.assertIn("  [http] must agree: http://h", facts)

    def test_fixed_addresses(self) -> None:
        """Fixed addresses that are on no network, or this server's own."""
        text = BASE + f"[static_dhcp]\n{A} = 172.16.0.1\n[host {B}]\naddress = 192.168.1.1\n"
        self.assertEqual(
            self.said(Kind.WARNING, text)[1:],
            [f"x.ini:4: [static_dhcp] {A} = 172.16.0.1: is on no network that is served"],
        )
        self.assertEqual(
            self.said(Kind.PROBLEM, text),
            [f"x.ini:6: [host {B}] address = 192.168.1.1: is this server's own address"],
        )

    def test_gateway(self) -> None:
        """A gateway on another network cannot be reached; none is none."""
        self.assertIn(
            "x.ini:3: [bootpd] gateway = 10.0.0.1: is outside 192.168.1.0/24, where its machines cannot reach it",
            self.said(Kind.WARNING, BASE + "gateway = 10.0.0.1"),
        )
        self.assertEqual(len(self.said(Kind.WARNING, BASE + "gateway = none")), 1)

    def test_name_servers(self) -> None:
        """C{dns = auto} on a host without name servers."""
        warning = "x.ini:3: [bootpd] dns = auto: this host knows no name server that others can reach"
        self.assertIn(warning, self.said(Kind.WARNING, BASE + "dns = auto"))
        self.assertNotIn(warning, self.said(Kind.WARNING, BASE + "dns = auto", ["8.8.8.8"]))

    def test_directories(self) -> None:
        """Directories that are missing keep the daemon from starting."""
        self.file("file")
        text = (
            BASE + "[leases]\nstore = sqlite:./no/x\n[logger]\ntype = file\nfile = ./no/log\n"
            "[tftpd]\nroot = ./no\nupload = ./file\n[httpd]\nenable = yes\nroot = ./neither\n"
        )
        self.assertEqual(
            self.said(Kind.PROBLEM, text),
            [
                "x.ini:7: [logger] file = DIR/no: there is no such directory",
                "x.ini:4: [leases] store = DIR/no: there is no such directory",
                "x.ini:9: [tftpd] root = DIR/no: there is no such directory",
                "x.ini:10: [tftpd] upload = DIR/file: is a file, not a directory",
                "x.ini:13: [httpd] root = DIR/neither: there is no such directory",
            ],
        )

    def test_dashboard(self) -> None:
        """Where the dashboard is, and for whom."""
        text = BASE + "[status]\nenable = yes\n"
        self.assertIn("Dashboard: http://127.0.0.1:8067/, for this host's own users", self.said(Kind.FACT, text))
        text += "address = 192.168.1.1\nport = 80\ntoken = secret\n"
        self.assertIn("Dashboard: http://192.168.1.1:80/, for who has the token", self.said(Kind.FACT, text))

    def test_tls(self) -> None:
        """Certificate and key must be there."""
        self.file("cert")
        text = BASE + "[httpd]\nenable = yes\ntls_certificate = ./cert\ntls_key = ./key\ncheck_ip = no\n"
        self.assertEqual(self.said(Kind.PROBLEM, text), ["x.ini:6: [httpd] tls_key = DIR/key: there is no such file"])
        self.assertIn("HTTPS: 0.0.0.0, TCP port 80, root DIR/boot, for everybody", self.said(Kind.FACT, text))

    def test_remote_root(self) -> None:
        """A URL is shown without its password, and nothing is fetched to look."""
        text = BASE + "[bootfile]\ndefault = a\n[tftpd]\nroot = http://u:secret@h/x\n"
        self.assertIn("TFTP: 0.0.0.0, UDP port 69, root http://h/x", self.said(Kind.FACT, text))
        self.assertEqual((self.said(Kind.WARNING, text), self.said(Kind.PROBLEM, text)), ([], []))

    def test_other_processor(self) -> None:
        """A boot file that the machines that are told it cannot start."""
        self.file("boot/a.efi", efi(ARM64))
        self.assertEqual(
            self.said(Kind.WARNING, BASE + "[bootfile]\narm64-uefi = a.efi\nx64-uefi = a.efi\n"),
            ["x.ini:5: [bootfile] x64-uefi = a.efi: an EFI program for arm64, not for x64"],
        )

    def test_boot_files(self) -> None:
        """Boot files that are not there, but for URLs and names that are rewritten."""
        self.file("boot/here/a")
        self.file("elsewhere/h")
        text = (
            BASE
            + "[bootfile]\nbios = here\\a\nx64-uefi = gone.efi\nipxe = http://h/x\nia32-uefi = f/x\narm64-uefi = t\n"
            f"x64-uefi-http = h\n[host {A}]\nbootfile = /no\n[filters]\nf/* = here/a\n[templates]\nt = ./boot/here/a\n"
            "[httpd]\nenable = yes\nroot = ./elsewhere\n"
        )
        self.assertEqual(
            self.said(Kind.WARNING, text),
            [
                "x.ini:5: [bootfile] x64-uefi = gone.efi: there is no such file below the root",
                f"x.ini:11: [host {A}] bootfile = /no: there is no such file below the root",
            ],
        )

    def test_names(self) -> None:
        """Templates and files that hold names must be there."""
        self.file("there")
        text = (
            BASE + "[bootfile]\ndefault = x\n[filters]\nx = [./there]\na = [./gone]\nb = [gone]\nc = [{mac}]\n"
            "[templates]\nt = ./t.j2\n"
        )
        self.assertEqual(
            self.said(Kind.WARNING, text),
            [
                "x.ini:11: [templates] t = DIR/t.j2: there is no such template",
                "x.ini:7: [filters] a = [./gone]: there is no such file to read the name from",
                "x.ini:8: [filters] b = [gone]: there is no such file to read the name from",
            ],
        )
        self.assertIn("Names: 4 in [filters], 1 in [templates]", self.said(Kind.FACT, text))

    def test_only_what_runs(self) -> None:
        """Of services that do not run nothing is said."""
        facts = self.said(Kind.FACT, BASE, dhcp=False)
        self.assertEqual([one.split(":")[0] for one in facts], ["Log", "TFTP"])
        facts = self.said(Kind.FACT, BASE + "[logger]\nformat = json\n", tftp=False, debug=True)
        self.assertEqual(facts[0], "Log: stderr, debug, json")
        self.assertFalse([one for one in facts if one.startswith(("TFTP", "HTTP"))])

    def test_more_facts(self) -> None:
        """Notifications and the cache."""
        facts = self.said(Kind.FACT, BASE + "notify = 10.0.0.3:99\n[cache]\ndirectory = ./c\nsize = 1G\n")
        self.assertIn("  notifies 10.0.0.3:99", facts)
        self.assertIn("Cache: DIR/c, up to 1024 MiB", facts)
