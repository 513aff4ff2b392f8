"""
What an existing C{pybootd.ini} is promised: the original's sections and options, seen from outside.

A daemon with an INI file in one namespace, a client's packets from another.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from struct import pack

from pybootd.dhcp.packet import Packet, decode
from tests.e2e.support.capture import Recorder
from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.lab import Namespace, until
from tests.e2e.support.program import Program
from tests.e2e.support.servers import Pybootd
from tests.support.dhcp import BROADCAST, DISCOVER, REQUEST, datagram, number

ROOT = Path(__file__).resolve().parents[3]
SERVER = "10.77.0.1"
MAC, OTHER = bytes.fromhex("5254000000aa"), bytes.fromhex("5254000000ab")
DASHED = "52-54-00-00-00-AA"
ANSWERED = 30
"""Seconds in which an answer comes that has to come; silence is listened to for less."""

PRINTED = "77aabbcc-1122-3344-5566-77889900aabb"


class SeedTestCase(EndToEndTestCase):
    """A daemon with the original's sample configuration, changed as the test wants; a client host beside it."""

    def serve(
        self,
        sections: Mapping[str, Mapping[str, object]] | None = None,
        *flags: str,
        tftp: bool = True,
        port: int = 67,
        mounts: Mapping[str, Path] | None = None,
        directory: str = "daemon",
    ) -> None:
        """
        Start the daemon.

        @param sections: options beside the usual ones, or in their place; None: this one is left out.
        """
        place = self.lab.directory(directory)
        self.root = place / "images"
        self.root.mkdir()
        configuration: dict[str, dict[str, object]] = {
            "logger": {"type": "stderr", "level": "debug"},
            "bootpd": {
                "pool_start": "10.77.0.100",
                "pool_count": 5,
                "servername": "debian",
                "domain": "localdomain",
                "dns": "10.77.0.53;10.77.0.54",
                "conflict_check": 0,
            },
            "bootfile": {"default": "pxelinux.0", "00007": "boot.efi"},
            "tftpd": {"root": "./images"},
        }
        for section, options in (sections or {}).items():
            configuration.setdefault(section, {}).update(options)
        said = {
            name: {option: value for option, value in options.items() if value is not None}
            for name, options in configuration.items()
        }
        self.port = port
        ports = [("udp", port), *([("udp", 69)] if tftp else [])]
        self.pybootd = Pybootd(self.lab.server, place, said, *flags, ports=ports, mounts=mounts)
        self.client: Namespace = self.lab.segment.host("10.77.0.9/24")

    def ask(self, *datagrams: bytes, seconds: float = 1.5) -> list[Packet]:
        """The answers to these datagrams, in order; each is waited for so long."""
        words = [
            sys.executable,
            "-m",
            "tests.e2e.support.asker",
            "eth0",
            str(seconds),
            str(self.port),
            *(one.hex() for one in datagrams),
        ]
        done = self.client.run(*words, directory=ROOT, environment={"PYTHONPATH": str(ROOT)})
        return [decode(bytes.fromhex(line)) for line in done.stdout.split()]

    def discover(self, options: dict[int, bytes], mac: bytes = MAC) -> list[Packet]:
        """The answers to a DISCOVER."""
        return self.ask(datagram(DISCOVER, options, mac=mac, flags=BROADCAST))

    def offer(self, options: dict[int, bytes], mac: bytes = MAC) -> Packet:
        """The one answer to a DISCOVER."""
        (offer,) = self.ask(datagram(DISCOVER, options, mac=mac, flags=BROADCAST), seconds=ANSWERED)
        return offer

    def lease(self, options: dict[int, bytes], mac: bytes = MAC) -> Packet:
        """A whole exchange: the ACK."""
        offer = self.offer(options, mac)
        chosen = {50: pack("!I", offer.yiaddr), 54: pack("!I", number(SERVER)), **options}
        (ack,) = self.ask(datagram(REQUEST, chosen, mac=mac, flags=BROADCAST), seconds=ANSWERED)
        self.assertEqual(ack.options[53], b"\5")
        return ack

    def record(self) -> Recorder:
        """Record what passes the client's interface."""
        return Recorder(self.client, "eth0", self.lab.scratch / "client.pcap")

    def tftp(self, name: str) -> bytes | None:
        """A file by TFTP; None where the server refuses."""
        target = self.pybootd.directory / "got"
        target.unlink(missing_ok=True)
        done = self.client.run("atftp", "--get", "-r", name, "-l", target, SERVER, check=False, timeout=60)
        return target.read_bytes() if done.returncode == 0 and target.exists() else None

    def helper(self, text: str, *words: str) -> Program:
        """A small program beside the client, once it says that it is ready."""
        program = self.client.start(sys.executable, "-c", text, *words)
        until(lambda: "ready" in program.output, 60, "the helper is ready")
        return program
