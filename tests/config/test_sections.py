"""The configuration as values: defaults, origins and what is said in two places."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from twisted.trial.unittest import SynchronousTestCase

from pybootd.config import (
    SECTIONS,
    BootpdConfig,
    Config,
    HttpAccessConfig,
    HttpdConfig,
    SubnetConfig,
    TftpdConfig,
    options,
    pool,
)
from pybootd.config.origin import DEFAULT, Origin

LAN, OTHER = IPv4Address("192.168.1.1"), IPv4Address("192.168.2.1")

PROMISED: dict[str, dict[str, Any]] = {
    "logger": {"type": "stderr", "level": "info", "format": "text"},
    "bootpd": {
        "access": (),
        "address": IPv4Address("0.0.0.0"),
        "interface": (),
        "allow_simple_dhcp": False,
        "gateway": None,
        "lease_time": 86400,
        "pool_count": 10,
        "port": 67,
        "timeout": 5.0,
        "mode": "server",
        "reclaim": "never",
        "broadcast": "limited",
        "conflict_check": 0.5,
        "authoritative": True,
        "router_advertisement": False,
    },
    "leases": {"store": "sqlite:./pybootd.leases"},
    "http": {"always_check": False},
    "tftpd": {
        "port": 69,
        "timeout": 2.0,
        "blocksize": 512,
        "max_blocksize": 65464,
        "max_windowsize": 64,
        "retries": 5,
        "single_port": False,
        "upload": None,
    },
    "httpd": {"enable": False, "port": 80, "check_ip": True},
    "cache": {"directory": None},
    "status": {"enable": False, "address": IPv4Address("127.0.0.1"), "port": 8067},
}
"""What users were told, word for word."""


def config(**sections: Any) -> Config:
    """A configuration with these sections."""
    return Config("x.ini", Path("/srv"), **sections)


class DefaultTests(SynchronousTestCase):
    """What a value is when nobody wrote it."""

    def test_promised(self) -> None:
        """The defaults are those that users were told."""
        for section, values in PROMISED.items():
            for name, value in values.items():
                self.assertEqual(getattr(getattr(config(), section), name), value, (section, name))

    def test_limits(self) -> None:
        """256 honest machines at once pass every ceiling."""
        limits = config().limits
        for ceiling in (
            limits.transfers,
            limits.connections,
            limits.connections_per_client,
            limits.machines,
            limits.offers,
        ):
            self.assertGreaterEqual(ceiling, 256)

    def test_options(self) -> None:
        """Every option says how it is read."""
        for section in SECTIONS:
            for name, attribute in options(section).items():
                self.assertTrue(callable(attribute.metadata["parse"]), (section, name))

    def test_frozen(self) -> None:
        """Nothing changes a configuration that was read."""
        with self.assertRaises(FrozenInstanceError):
            config().bootpd.port = 68  # type: ignore[misc]


class ConfigTests(SynchronousTestCase):
    """L{Config} answers for the whole."""

    def test_origin(self) -> None:
        """What was said has its line; the rest is a default."""
        said = Origin("x.ini", 3, "bootpd", "port")
        one = config(origins={("bootpd", "port"): said})
        self.assertIs(one.origin("bootpd", "port"), said)
        self.assertEqual(one.origin("bootpd", "mode"), Origin("", 0, "bootpd", "mode"))
        self.assertEqual(str(one.origin("tftpd")), "[tftpd] (default)")

    def test_plugin_options(self) -> None:
        """A plugin's section as text, empty where there is none."""
        one = config(plugins={"ldap": {"server": "x"}})
        self.assertEqual((one.plugin_options("LDAP"), one.plugin_options("other")), ({"server": "x"}, {}))

    def test_addresses(self) -> None:
        """TFTP and HTTP listen where DHCP does, unless they are told otherwise."""
        one = config(bootpd=BootpdConfig(address=LAN))
        self.assertEqual((one.tftp_address, one.http_address), (LAN, LAN))
        two = evolve(one, tftpd=TftpdConfig(address=OTHER), httpd=HttpdConfig(address=IPv4Address(0)))
        self.assertEqual((two.tftp_address, two.http_address), (OTHER, IPv4Address(0)))

    def test_http_root(self) -> None:
        """HTTP serves what TFTP does, unless it has a root of its own."""
        one = config(tftpd=TftpdConfig(root="/a"))
        self.assertEqual((one.http_root, evolve(one, httpd=HttpdConfig(root="/b")).http_root), ("/a", "/b"))

    def test_access_timeout(self) -> None:
        """The timeout of [http] counts before that of [bootpd]."""
        one = config(bootpd=BootpdConfig(timeout=3.0))
        self.assertEqual(one.access_timeout, 3.0)
        self.assertEqual(evolve(one, http=HttpAccessConfig(timeout=0.5)).access_timeout, 0.5)


class PoolTests(SynchronousTestCase):
    """The first and the last address to give away."""

    def test_span(self) -> None:
        """Both count."""
        self.assertEqual(pool(BootpdConfig(pool_start=LAN, pool_count=10)), (int(LAN), int(LAN) + 9))
        self.assertEqual(pool(BootpdConfig(pool_start=LAN, pool_count=1)), (int(LAN), int(LAN)))

    def test_none(self) -> None:
        """Without a start or with a count of 0 there is none."""
        network: Any = None
        self.assertEqual(pool(BootpdConfig(pool_start=LAN, pool_count=0)), None)
        self.assertEqual(pool(SubnetConfig(network, DEFAULT)), None)
