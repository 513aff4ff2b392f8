"""The systemd units and the Containerfile agree with the program."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config import Config, LimitsConfig
from pybootd.dhcp.client import BOOT_SERVER_PORT
from pybootd.net.descriptors import RESERVE, TRANSFER

CONF = Path(__file__).parent.parent / "conf"


def values(unit: str, name: str) -> list[str]:
    """What a unit says of one setting, line by line."""
    return re.findall(rf"^{name}=(.*)$", (CONF / unit).read_text(), re.MULTILINE)


class UnitTests(SynchronousTestCase):
    """C{conf/pybootd.service} and C{conf/pybootd.socket}."""

    def test_ports(self) -> None:
        """The sockets are those of a configuration that says nothing of ports."""
        config = Config("x.ini", Path())
        datagrams = {f"0.0.0.0:{port}" for port in (config.bootpd.port, BOOT_SERVER_PORT, config.tftpd.port)}
        self.assertEqual(set(values("pybootd.socket", "ListenDatagram")), datagrams)
        self.assertEqual(values("pybootd.socket", "ListenStream"), [f"0.0.0.0:{config.httpd.port}"])

    def test_descriptors(self) -> None:
        """As many open files are allowed as the ceilings need."""
        limits = LimitsConfig()
        (allowed,) = values("pybootd.service", "LimitNOFILE")
        self.assertGreaterEqual(int(allowed), TRANSFER * limits.transfers + limits.connections + RESERVE)

    def test_capabilities(self) -> None:
        """Raw frames, and nothing else; never root."""
        for name in ("AmbientCapabilities", "CapabilityBoundingSet"):
            self.assertEqual(values("pybootd.service", name), ["CAP_NET_RAW"])
        self.assertEqual(values("pybootd.service", "DynamicUser"), ["yes"])

    def test_container(self) -> None:
        """The container runs as its own user, and shows the same ports."""
        text = (CONF / "Containerfile").read_text()
        self.assertIn("\nUSER pybootd\n", text)
        for unit, protocol in (("ListenDatagram", "udp"), ("ListenStream", "tcp")):
            for socket in values("pybootd.socket", unit):
                self.assertIn(f" {socket.rpartition(':')[2]}/{protocol}", text)
