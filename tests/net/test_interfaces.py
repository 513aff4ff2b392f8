"""The host's networks, as netifaces and as C{ip} tell of them."""

from __future__ import annotations

import json
import socket
import subprocess
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pybootd.errors import EnvironmentProblem
from pybootd.net import interfaces as module
from pybootd.net.interfaces import Interface, default_interface, holding, interfaces, name_servers

LO = Interface("lo", 1, bytes(6), (IPv4Interface("127.0.0.1/8"),))
ETH0 = Interface("eth0", 2, bytes.fromhex("525400123456"), (IPv4Interface("10.77.0.1/24"),))
ETH1 = Interface("eth1", 3, b"", (IPv4Interface("10.0.0.1/8"), IPv4Interface("192.168.1.1/24")))


class FakeNetifaces:
    """Answers as netifaces does."""

    AF_INET, AF_PACKET = 2, 17

    def __init__(self, told: dict[str, dict[int, list[dict[str, str]]]]) -> None:
        self._told = told

    def interfaces(self) -> list[str]:
        return list(self._told)

    def ifaddresses(self, name: str) -> dict[int, list[dict[str, str]]]:
        return self._told[name]


class InterfacesTests(SynchronousTestCase):
    """Which interfaces there are."""

    def setUp(self) -> None:
        indexes = {"lo": 1, "eth0": 2, "eth1": 3}

        def index(name: str) -> int:
            if name not in indexes:
                raise OSError("no such device")
            return indexes[name]

        self.patch(socket, "if_nametoindex", index)

    def by_netifaces(self, told: dict[str, dict[int, list[dict[str, str]]]]) -> tuple[Interface, ...]:
        self.patch(module, "netifaces", FakeNetifaces(told))
        return interfaces()

    def by_ip(self, told: Any) -> tuple[Interface, ...]:
        self.patch(module, "netifaces", None)
        self.patch(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, json.dumps(told)))
        return interfaces()

    def test_netifaces(self) -> None:
        """Name, index, hardware address and every address with its network."""
        told = {
            "lo": {2: [{"addr": "127.0.0.1", "netmask": "255.0.0.0"}], 17: [{"addr": "00:00:00:00:00:00"}]},
            "eth0": {2: [{"addr": "10.77.0.1", "netmask": "255.255.255.0"}], 17: [{"addr": "52:54:00:12:34:56"}]},
            "eth1": {
                2: [{"addr": "10.0.0.1", "mask": "255.0.0.0"}, {"addr": "192.168.1.1", "netmask": "255.255.255.0"}]
            },
        }
        self.assertEqual(self.by_netifaces(told), (LO, ETH0, ETH1))

    def test_ip(self) -> None:
        """Without netifaces, C{ip} tells the same."""

        def row(name: str, mac: str, *addresses: str) -> dict[str, Any]:
            pairs = [address.split("/") for address in addresses]
            told = [{"family": "inet", "local": own, "prefixlen": int(bits)} for own, bits in pairs]
            return {"ifname": name, "address": mac, "addr_info": [*told, {"family": "inet6", "local": "fe80::1"}]}

        told = [
            row("lo", "00:00:00:00:00:00", "127.0.0.1/8"),
            row("eth0", "52:54:00:12:34:56", "10.77.0.1/24"),
            row("eth1", "", "10.0.0.1/8", "192.168.1.1/24"),
        ]
        self.assertEqual(self.by_ip(told), (LO, ETH0, ETH1))

    def test_neither(self) -> None:
        """Where there is not even C{ip}, the message says so."""
        self.patch(module, "netifaces", None)

        def missing(*_: Any, **__: Any) -> None:
            raise FileNotFoundError(2, "No such file or directory", "ip")

        self.patch(subprocess, "run", missing)
        self.assertRaises(EnvironmentProblem, interfaces)

    def test_useless(self) -> None:
        """Without an address, without a netmask, link-local, or a host route: nobody can be given an address there."""
        told = {
            "eth0": {17: [{"addr": "52:54:00:12:34:56"}]},
            "eth1": {
                2: [
                    {"addr": "169.254.7.7", "netmask": "255.255.0.0"},
                    {"addr": "10.1.1.1", "netmask": "255.255.255.255"},
                    {"addr": "10.2.2.2"},
                ]
            },
        }
        self.assertEqual(self.by_netifaces(told), ())

    def test_gone(self) -> None:
        """An interface that goes away while it is looked at is left out."""
        told = {"eth9": {2: [{"addr": "10.9.0.1", "netmask": "255.255.255.0"}]}}
        self.assertEqual(self.by_netifaces(told), ())

    def test_this_host(self) -> None:
        """This host has a loopback interface, by either way."""
        self.patch(socket, "if_nametoindex", lambda name: 1)
        self.assertIn("lo", [one.name for one in interfaces()])


class HoldingTests(SynchronousTestCase):
    """Which interface's network an address is on."""

    def test_narrowest(self) -> None:
        """Of networks within one another, the narrowest."""
        self.assertEqual(holding(IPv4Address("10.77.0.50"), [ETH1, ETH0]), (ETH0, IPv4Interface("10.77.0.1/24")))
        self.assertEqual(holding(IPv4Address("10.78.0.50"), [ETH1, ETH0]), (ETH1, IPv4Interface("10.0.0.1/8")))

    def test_none(self) -> None:
        """Perhaps none."""
        self.assertIsNone(holding(IPv4Address("192.168.2.1"), [LO, ETH0, ETH1]))


class DefaultTests(SynchronousTestCase):
    """The interface of the default route."""

    def test_netifaces(self) -> None:
        """Where the kernel has no table of routes to read, netifaces tells."""
        gateways = {"default": {2: ("10.77.0.254", "eth0")}}
        self.patch(module, "netifaces", type("Fake", (), {"AF_INET": 2, "gateways": staticmethod(lambda: gateways)}))
        self.patch(module, "ROUTES", Path("/no/such/file"))
        self.assertEqual(default_interface([LO, ETH0]), ETH0)

    def test_table(self) -> None:
        """On Linux the table tells."""
        table = Path(self.mktemp())
        table.write_text("Iface\tDestination\tGateway\neth0\t00004D0A\t00000000\neth1\t00000000\t010000A0\n")
        self.patch(module, "ROUTES", table)
        self.assertEqual(default_interface([LO, ETH0, ETH1]), ETH1)
        self.assertIsNone(default_interface([LO, ETH0]))


class NameServersTests(SynchronousTestCase):
    """C{dns = auto}."""

    def told(self, *texts: str) -> list[str]:
        files = []
        for text in texts:
            file = Path(self.mktemp())
            file.write_text(text)
            files.append(file)
        return [str(address) for address in name_servers([*files, Path("/no/such/file")])]

    def test_several(self) -> None:
        """All that the file names, in its order; comments and IPv6 are passed over."""
        text = "# nameserver 9.9.9.9\nsearch example.org\nnameserver 10.0.0.2\n nameserver\t10.0.0.1 \nnameserver ::1\n"
        self.assertEqual(self.told(text), ["10.0.0.2", "10.0.0.1"])

    def test_stub(self) -> None:
        """A stub on this host is of no use to others: the file that names its servers counts."""
        self.assertEqual(self.told("nameserver 127.0.0.53\n", "nameserver 10.0.0.1\n"), ["10.0.0.1"])

    def test_first(self) -> None:
        """The host's own file counts where it names real servers."""
        self.assertEqual(self.told("nameserver 10.0.0.2\n", "nameserver 10.0.0.1\n"), ["10.0.0.2"])

    def test_none(self) -> None:
        """Nonsense and nothing give none."""
        self.assertEqual(self.told("nameserver 999.1.1.1\nnameserver\n", ""), [])
