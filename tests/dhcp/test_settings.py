"""What decisions go by, compiled from the configuration and this host's networks."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.reader import read
from pybootd.dhcp.settings import Settings, settings_from
from pybootd.errors import EnvironmentProblem
from tests.support.dhcp import HOSTS, MAC, OTHER, USUAL, Host, number, settings

FAR = "[subnet 10.20.0.0/16]\npool_start = 10.20.0.10\n"
PROXY = USUAL.replace("pool_start = 10.0.0.100\npool_count = 3", "mode = proxy")
LOOPBACK = Host("lo", 1, (IPv4Interface("127.0.0.1/8"),))


def on(hosts: Sequence[Host], text: str = USUAL, extra: str = "") -> Settings:
    """Settings on a host with these interfaces."""
    return settings_from(read(text + extra), hosts)


class HomeTests(SynchronousTestCase):
    """The network that is served without a relay."""

    def test_pool_start(self) -> None:
        """C{pool_start} tells which of the host's networks it is, with its pool, and this host as its server."""
        (network,) = settings().networks
        self.assertEqual((network.interface, network.interface_name, str(network)), (2, "eth0", "10.0.0.0/24"))
        self.assertEqual((network.server, network.next_server), (number("10.0.0.1"),) * 2)
        self.assertEqual((network.pool_first, network.pool_count), (number("10.0.0.100"), 3))
        self.assertTrue(network.pools(number("10.0.0.102")))
        self.assertFalse(network.pools(number("10.0.0.103")))
        self.assertEqual(network.origin.option, "pool_start")

    def test_options(self) -> None:
        """Mask, router (this server), name servers in one option, domain, broadcast address: encoded already."""
        (network,) = settings().networks
        self.assertEqual(
            network.options,
            {
                1: b"\xff\xff\xff\0",
                3: b"\x0a\0\0\x01",
                6: b"\x0a\0\0\x35\x0a\0\0\x36",
                15: b"example.org",
                28: b"\x0a\0\0\xff",
            },
        )

    def test_gateway(self) -> None:
        """The router is the configured one, or none at all."""
        for line, router in (
            ("gateway = 10.0.0.254", b"\x0a\0\0\xfe"),
            ("gateway = none", None),
            ("set_gateway = no", None),
        ):
            (network,) = settings(USUAL.replace("[bootpd]", f"[bootpd]\n{line}")).networks
            self.assertEqual(network.options.get(3), router, line)

    def test_dns_auto(self) -> None:
        """C{dns = auto} means the host's own."""
        (network,) = settings(USUAL.replace("10.0.0.53; 10.0.0.54", "auto")).networks
        self.assertEqual(network.options[6], b"\x0a\0\0\x63")

    def test_netmask(self) -> None:
        """C{netmask} overrides that of the interface."""
        (network,) = settings(USUAL.replace("[bootpd]", "[bootpd]\nnetmask = 255.255.255.128")).networks
        self.assertEqual((str(network), network.options[1]), ("10.0.0.0/25", b"\xff\xff\xff\x80"))

    def test_narrowest(self) -> None:
        """Of several networks that hold C{pool_start} the narrowest counts."""
        hosts = (Host("wide", 5, (IPv4Interface("10.0.0.9/8"),)), *HOSTS)
        self.assertEqual(on(hosts).networks[0].interface_name, "eth0")

    def test_address(self) -> None:
        """Where the host has two addresses on that network, C{address} says which is the server's."""
        hosts = (Host("eth0", 2, (IPv4Interface("10.0.0.1/24"), IPv4Interface("10.0.0.2/24"))),)
        text = USUAL.replace("[bootpd]", "[bootpd]\naddress = 10.0.0.2")
        self.assertEqual(on(hosts, text).networks[0].server, number("10.0.0.2"))

    def test_nowhere(self) -> None:
        """C{pool_start} on no network of the host: the message names those that would do."""
        text = USUAL.replace("10.0.0.100", "192.168.7.1")
        error = self.assertRaises(EnvironmentProblem, on, (LOOPBACK, *HOSTS), text)
        for part in ("192.168.7.1", "10.0.0.0/24 on eth0", "10.9.0.0/16 on eth1", "write e.g. pool_start = 10.0.0.100"):
            self.assertIn(part, str(error))

    def test_no_network(self) -> None:
        """A host without any network is told to get one."""
        self.assertIn("no network", str(self.assertRaises(EnvironmentProblem, on, (LOOPBACK,), USUAL)))
        self.assertRaises(EnvironmentProblem, on, (), PROXY)

    def test_unknown_interface(self) -> None:
        """An interface that does not exist is named, with those that do."""
        text = USUAL.replace("[bootpd]", "[bootpd]\ninterface = eth7")
        error = str(self.assertRaises(EnvironmentProblem, on, HOSTS, text))
        self.assertIn("eth7", error)
        self.assertIn("eth0", error)

    def test_other_interface(self) -> None:
        """C{interface} without the network of C{pool_start} is a mistake."""
        self.assertRaises(EnvironmentProblem, on, HOSTS, USUAL.replace("[bootpd]", "[bootpd]\ninterface = eth1"))

    def test_proxy(self) -> None:
        """A proxy serves the interface of the default route; without one all but the loopback; and has no pools."""
        (network,) = settings_from(read(PROXY), HOSTS, (), "eth1").networks
        self.assertEqual(network.interface_name, "eth1")
        named = read(PROXY.replace("[bootpd]", "[bootpd]\ninterface = eth0; eth1"))
        self.assertEqual(len(settings_from(named, HOSTS, (), "eth1").networks), 2)
        networks = on((LOOPBACK, *HOSTS), PROXY, FAR).networks
        self.assertEqual([network.interface_name for network in networks], ["eth0", "eth1", ""])
        self.assertEqual({network.pool_count for network in networks}, {0})


class ServiceTests(SynchronousTestCase):
    """Where the boot files come from."""

    def network(self, extra: str, *, http: bool = True) -> tuple[str, str]:
        """The TFTP server's address, and how URLs of our own HTTP begin."""
        network = settings(extra=extra, http=http).networks[0]
        return str(IPv4Address(network.next_server)), network.http

    def test_usual(self) -> None:
        """This server."""
        self.assertEqual(self.network(""), ("10.0.0.1", "http://10.0.0.1/"))

    def test_no_http(self) -> None:
        """No URL where HTTP does not run."""
        self.assertEqual(self.network("", http=False), ("10.0.0.1", ""))

    def test_another(self) -> None:
        """Another server that C{[bootpd]} names, for networks behind relays, too; one of their own counts more."""
        text = USUAL.replace("[bootpd]", "[bootpd]\nnext_server = 10.0.0.9")
        third = "[subnet 10.30.0.0/24]\npool_start = 10.30.0.10\nnext_server = 10.30.0.3\n"
        found = [str(IPv4Address(network.next_server)) for network in settings(text, extra=FAR + third).networks]
        self.assertEqual(found, ["10.0.0.9", "10.0.0.9", "10.30.0.3"])

    def test_elsewhere(self) -> None:
        """The addresses and ports where TFTP and HTTP listen."""
        tftp = USUAL.replace("root = /srv", "root = /srv\naddress = 10.0.0.2")
        network = settings(tftp, extra="[httpd]\naddress = 10.0.0.3\nport = 8000\n").networks[0]
        self.assertEqual((network.next_server, network.http), (number("10.0.0.2"), "http://10.0.0.3:8000/"))


class SubnetTests(SynchronousTestCase):
    """C{[subnet]}."""

    def test_relayed(self) -> None:
        """A network behind a relay: our first network's address is its server, the relay its router."""
        network = settings(extra=FAR).networks[1]
        self.assertEqual((network.interface, network.server), (0, number("10.0.0.1")))
        self.assertEqual((network.pool_first, network.pool_count), (number("10.20.0.10"), 10))
        self.assertNotIn(3, network.options)
        self.assertTrue(network.relay_routes)
        self.assertEqual((network.lease_time, network.options[15]), (86400, b"example.org"))

    def test_own(self) -> None:
        """What it says itself counts more than what C{[bootpd]} says."""
        own = FAR + "gateway = 10.20.0.1\ndns = 10.20.0.2\ndomain = far.org\nlease_time = 60\nnext_server = 10.20.0.3\n"
        network = settings(extra=own).networks[1]
        self.assertEqual((network.options[3], network.options[6]), (b"\x0a\x14\0\x01", b"\x0a\x14\0\x02"))
        self.assertEqual((network.options[15], network.lease_time), (b"far.org", 60))
        self.assertEqual((network.next_server, network.relay_routes), (number("10.20.0.3"), False))

    def test_no_gateway(self) -> None:
        """C{gateway = none}: no router, not the relay either."""
        network = settings(extra=FAR + "gateway = none\n").networks[1]
        self.assertEqual((network.relay_routes, 3 in network.options), (False, False))

    def test_local(self) -> None:
        """A network on an interface of this host is served there, with that interface's address."""
        network = settings(extra="[subnet 10.9.0.0/16]\npool_start = 10.9.1.0\n").networks[1]
        self.assertEqual((network.interface, network.server), (3, number("10.9.0.1")))
        self.assertEqual(network.options[3], b"\x0a\x09\0\x01")

    def test_wrong_interface(self) -> None:
        """An interface without an address there is a mistake, with its line."""
        error = self.assertRaises(EnvironmentProblem, settings, extra=FAR + "interface = eth1\n")
        self.assertIn("has no address in 10.20.0.0/16", str(error))


class LookupTests(SynchronousTestCase):
    """Which network, which host."""

    def test_by_address(self) -> None:
        """The network of an address, where there is one."""
        known = settings(extra=FAR)
        self.assertIs(known.network_with(number("10.20.7.7")), known.networks[1])
        self.assertIsNone(known.network_with(number("172.16.0.1")))

    def test_by_interface(self) -> None:
        """The network behind an interface; the first where the system does not say which interface."""
        known = settings(extra=FAR)
        self.assertEqual([list(known.networks_at(index)) for index in (2, 0, 3)], [[known.networks[0]]] * 2 + [[]])

    def test_two_behind_one_interface(self) -> None:
        """Two networks on one cable are both there."""
        hosts = (Host("eth0", 2, (IPv4Interface("10.0.0.1/24"), IPv4Interface("10.1.0.1/24"))),)
        known = on(hosts, extra="[subnet 10.1.0.0/24]\npool_start = 10.1.0.10\n")
        self.assertEqual(list(known.networks_at(2)), list(known.networks))

    def test_hosts(self) -> None:
        """C{[static_dhcp]} and C{[host]} together are what is known of one machine, with their lines."""
        known = settings(
            extra="[static_dhcp]\n52-54-00-00-00-01 = 10.0.0.50\n"
            "[host 52:54:00:00:00:01]\nhostname = one\nvar.role = db\n"
        )
        host = known.host(MAC)
        self.assertEqual((host.address, host.hostname, host.variables), (number("10.0.0.50"), "one", {"role": "db"}))
        self.assertEqual(host.address_origin.section, "static_dhcp")
        self.assertEqual(known.host(OTHER).address, 0)

    def test_reserved(self) -> None:
        """Nobody is given what belongs to a host, a server or a router."""
        known = settings(extra="[static_dhcp]\n52-54-00-00-00-01 = 10.0.0.50\n")
        self.assertEqual(known.reserved[number("10.0.0.50")], MAC)
        for address in ("10.0.0.1", "10.0.0.53", "10.0.0.54"):
            self.assertEqual(known.reserved[number(address)], b"", address)

    def test_guarded(self) -> None:
        """Whether anybody at all is refused."""
        self.assertFalse(settings().guarded)
        self.assertTrue(settings(extra="[host 52-54-00-00-00-01]\nallow = no\n").guarded)
        access = USUAL.replace("[bootpd]", "[bootpd]\naccess = mac") + "[mac]\n52-54-00-00-00-01 = yes\n"
        self.assertTrue(settings(access).guarded)

    def test_server_name(self) -> None:
        """C{servername} with the domain; nothing where there is none."""
        self.assertEqual(settings().server_name, b"")
        named = USUAL.replace("[bootpd]", "[bootpd]\nservername = boot")
        self.assertEqual(settings(named).server_name, b"boot.example.org")

    def test_broadcast(self) -> None:
        """C{broadcast = network}: the network's broadcast address, but for buggy clients; else the limited one."""
        known = settings()
        self.assertEqual(known.broadcast_for(known.networks[0], MAC), 0)
        text = USUAL.replace("[bootpd]", "[bootpd]\nbroadcast = network") + "[buggy_clients]\n52-54-00-00-00-01 = yes\n"
        known = settings(text)
        self.assertEqual(known.broadcast_for(known.networks[0], OTHER), number("10.0.0.255"))
        self.assertEqual(known.broadcast_for(known.networks[0], MAC), number("255.255.255.255"))
