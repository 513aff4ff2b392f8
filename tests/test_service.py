"""All services together, without sockets: from one configuration to the next."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Interface
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from pybootd import dhcpd, here, registry, shared
from pybootd.config import Config
from pybootd.config.reader import read
from pybootd.content.content import Content
from pybootd.dhcp.decision import MessageType
from pybootd.dhcp.packet import decode
from pybootd.dhcp.preview import Difference
from pybootd.dhcpd import LOOK, DhcpService
from pybootd.errors import EnvironmentProblem
from pybootd.events import Event, Seen
from pybootd.httpd import HttpService
from pybootd.interfaces import INotifier
from pybootd.leases.lease import Lease, State
from pybootd.machine import Firmware
from pybootd.net.interfaces import Interface
from pybootd.registry import Context
from pybootd.service import BootServer, Telling, compose
from pybootd.statusd import StatusService
from pybootd.steady import Steady
from pybootd.tftpd import TftpService
from tests.support.dhcp import BIOS, DISCOVER, MAC, REQUEST, datagram
from tests.support.server import Wire

TEXT = """
[bootpd]
pool_start = 10.0.0.100
conflict_check = 0
[leases]
store = memory
[bootfile]
default = pxelinux.0
[tftpd]
root = {root}
[filters]
other = file
"""


@implementer(INotifier)
class Lamp:
    """A plugin that notes what it hears."""

    name = "lamp"

    def __init__(self, context: Context) -> None:
        self.word = context.options["word"]
        self.heard: list[Event] = []
        self.closed = False

    def notify(self, event: Event) -> None:
        self.heard.append(event)

    def close(self) -> Deferred[None]:
        self.closed = True
        return succeed(None)


class Socket:
    """
    A port of the DHCP server.

    @ivar done: what became of it, in order, and what left by it.
    """

    port = 67

    def __init__(self) -> None:
        self.done: list[str] = []

    def send(self, data: bytes, *way: object) -> None:
        self.done.append(MessageType(decode(data).options[53][0]).name)

    def pause(self) -> None:
        self.done.append("pause")

    def stop(self) -> None:
        self.done.append("stop")


class ServiceTests(SynchronousTestCase):
    """L{BootServer.prepare}."""

    def setUp(self) -> None:
        """Two roots with a file of the same name, and a host with one network."""
        self.clock = Clock()
        self.roots = []
        for name in ("one", "two"):
            root = Path(self.mktemp()).absolute()
            root.mkdir()
            (root / "file").write_text(name)
            self.roots.append(root)
        self.host(Interface("eth0", 2, MAC, (IPv4Interface("10.0.0.1/24"),)))
        self.patch(here, "name_servers", lambda: ())
        self.patch(dhcpd, "changes", lambda changed, reactor: None)
        self.lamps: list[Lamp] = []

    def host(self, *interfaces: Interface) -> None:
        """These are the host's interfaces now."""
        self.patch(dhcpd, "interfaces", lambda: interfaces)
        self.patch(dhcpd, "neighbours", lambda served, reactor: {})

    def read(self, root: int = 0, extra: str = "", **replaced: str) -> Config:
        """A configuration."""
        text = TEXT.format(root=self.roots[root]) + extra
        for old, new in replaced.items():
            self.assertIn(old, text)
            text = text.replace(old, new)
        return read(text, directory=self.roots[0], plugins=["lamp"], http=True)

    def serve(self, config: Config) -> BootServer:
        """The services, started."""
        server = compose(config, self.clock)
        for service in server:
            if isinstance(service, DhcpService | Telling):
                service.startService()
        self.addCleanup(self.flushLoggedErrors)
        return server

    def part(self, server: BootServer, name: str) -> object:
        """One of the services."""
        return server.getServiceNamed(name)

    def turn(self, server: BootServer, config: Config) -> Sequence[Difference]:
        """From this configuration on."""
        turn, answers = server.prepare(config)
        turn()
        self.assertIs(server.config, config)
        return answers

    def content(self, server: BootServer, name: str) -> tuple[bytes, bytes]:
        """What TFTP and HTTP would send."""
        found = []
        tftp, http = self.part(server, "tftp"), self.part(server, "http")
        assert isinstance(tftp, TftpService)
        assert isinstance(http, HttpService)
        for resolver in (tftp._tftp._resolver, http._site.resolver):
            content = resolver.resolve(name, None)
            assert isinstance(content, Content)
            found.append(content.body.read(0, 100) or b"")
            content.body.close()
        return found[0], found[1]

    def test_workers(self) -> None:
        """Another number of workers takes effect without a restart, for each protocol."""
        server = self.serve(self.read())
        tftp, http = self.part(server, "tftp"), self.part(server, "http")
        pools = [part.workers for part in (tftp, http)]  # type: ignore[attr-defined]
        self.assertEqual([pool.count for pool in pools], [0, 0])
        self.turn(server, self.read(extra="[httpd]\nworkers = 3\n", **{"[tftpd]": "[tftpd]\nworkers = 2"}))
        self.assertEqual([pool.count for pool in pools], [2, 3])

    def test_files(self) -> None:
        """Root, filters and ceilings change for TFTP and HTTP alike."""
        server = self.serve(self.read())
        self.assertEqual(self.content(server, "other"), (b"one", b"one"))
        limits = "[limits]\ntransfers = 7\nconnections = 9\n"
        self.turn(server, self.read(1, limits, **{"other = file": "third = file"}))
        self.assertEqual(self.content(server, "third"), (b"two", b"two"))
        tftp, http = self.part(server, "tftp"), self.part(server, "http")
        self.assertEqual((tftp._tftp._visits.most, http._site.limits.connections), (7, 9))  # type: ignore[attr-defined]

    def test_dhcp(self) -> None:
        """Boot file and leases: the next answer is another; the lease table is the same."""
        server = self.serve(self.read())
        service = self.part(server, "dhcp")
        assert isinstance(service, DhcpService)
        dhcp = service._dhcp
        assert dhcp is not None
        wire = dhcp._replies.transport = Wire(self.clock)
        dhcp.received(datagram(DISCOVER, BIOS), ("0.0.0.0", 68), 0xFFFFFFFF, 2)
        before, table = wire.sent[-1], dhcp.table
        (answer,) = self.turn(server, self.read(0, "[limits]\nmachines = 5\n", **{"pxelinux.0": "lpxelinux.0"}))
        self.assertIn("boot file pxelinux.0 -> lpxelinux.0", str(answer))
        dhcp.received(datagram(DISCOVER, BIOS, xid=2), ("0.0.0.0", 68), 0xFFFFFFFF, 2)
        after = wire.sent[-1]
        self.assertEqual((before.file, after.file), (b"pxelinux.0", b"lpxelinux.0"))
        self.assertEqual(before.address, after.address)
        self.assertIs(dhcp.table, table)
        self.assertEqual(server.shared.machines.limit, 5)

    def test_stop(self) -> None:
        """A lease in hand when the server stops is written, and its machine told, before the port closes."""
        service = self.dhcp(self.serve(self.read()))
        port = service._ports[67] = Socket()  # type: ignore[assignment]
        assert service._dhcp is not None
        for message, options in ((DISCOVER, BIOS), (REQUEST, {**BIOS, 50: b"\x0a\0\0\x64", 54: b"\x0a\0\0\x01"})):
            service._dhcp.received(datagram(message, options), ("0.0.0.0", 68), 0xFFFFFFFF, 2)
        stopped = service.stopService()
        self.assertEqual(port.done, ["pause"])
        self.clock.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(port.done, ["pause", "OFFER", "ACK", "stop"])

    def test_on_record(self) -> None:
        """A machine with a lease is known before it is heard of: to TFTP and HTTP, and where a change is told."""
        server = self.serve(self.read())
        service = self.part(server, "dhcp")
        assert isinstance(service, DhcpService)
        assert service._dhcp is not None
        service._dhcp.table.record(Lease(int(IPv4Interface("10.0.0.100").ip), MAC, State.BOUND, 2e9))
        (answer,) = self.turn(server, self.read(extra=f"[static_dhcp]\n{MAC.hex('-')} = 10.0.0.50\n"))
        self.assertIn("10.0.0.100 -> 10.0.0.50", str(answer))
        self.assertIsNotNone(server.shared.machines.at(IPv4Interface("10.0.0.100").ip))

    def test_status(self) -> None:
        """The dashboard knows machines, packets and leases, and goes on with the next configuration's lines."""
        status = "[status]\nenable = yes\n"
        server = self.serve(self.read(0, status))
        service, dhcp = self.part(server, "status"), self.part(server, "dhcp")
        assert isinstance(service, StatusService)
        assert isinstance(dhcp, DhcpService)
        assert dhcp._dhcp is not None
        dhcp._dhcp._replies.transport = Wire(self.clock)
        self.assertEqual(service._troubles(), [])
        dhcp._dhcp.received(datagram(DISCOVER, BIOS), ("0.0.0.0", 68), 0xFFFFFFFF, 2)
        board = service._board
        self.assertEqual([record.boot_file for record in board.timeline], ["pxelinux.0"])
        assert server.shared.exchanges is not None
        self.assertEqual(len(server.shared.exchanges.of("52:54:00:00:00:01")), 1)
        before = board.feed.where("tftpd", "root")
        self.turn(server, self.read(0, status + "[limits]\nmachines = 1\n", **{"[tftpd]": "\n[tftpd]"}))
        self.assertNotEqual(board.feed.where("tftpd", "root"), before)
        for last in (2, 3):
            packet = datagram(DISCOVER, BIOS, mac=bytes.fromhex(f"52540000000{last}"))
            dhcp._dhcp.received(packet, ("0.0.0.0", 68), 0xFFFFFFFF, 2)
        self.assertEqual([record.key[-1] for record in board.timeline], ["3"])

    def test_no_status(self) -> None:
        """Without a dashboard no packet and no trace is kept."""
        self.assertIsNone(self.serve(self.read()).shared.exchanges)

    def test_variables(self) -> None:
        """A machine that is in the middle of its boot has its new variables at once."""
        host = "[host 52-54-00-00-00-01]\nvar.role = {}\n"
        server = self.serve(self.read(0, host.format("web")))
        machine = server.shared.machines.see("52:54:00:00:00:01", 0)
        self.turn(server, self.read(0, host.format("db")))
        self.assertEqual(machine.variables, {"role": "db"})

    def test_nothing_by_halves(self) -> None:
        """What fails, fails before anything has changed: every part goes on as before."""
        server = self.serve(self.read())
        config, before = server.config, server.shared
        for wrong in (
            self.read(1, **{"10.0.0.100": "10.5.0.100"}),
            self.read(1, **{str(self.roots[1]): "/no/such/directory"}),
            self.read(1, "[httpd]\ntls_certificate = /none\ntls_key = /none\n"),
        ):
            self.assertRaises(EnvironmentProblem, server.prepare, wrong)
            self.assertIs(server.config, config)
            self.assertIs(server.shared, before)
            self.assertEqual(self.content(server, "file"), (b"one", b"one"))

    def test_what_stays(self) -> None:
        """Providers whose part of the configuration is as it was stay; others are made anew."""
        guarded = {"conflict_check": "access = mac\nconflict_check"}
        server = self.serve(self.read(0, "[mac]\n52-54-00-00-00-01 = yes\n", **guarded))
        before = dict(server.shared._made)
        self.turn(server, self.read(1, "[mac]\n52-54-00-00-00-02 = yes\n", **guarded))
        after = server.shared._made
        same = {key for key in after if after[key] is before.get(key)}
        self.assertLessEqual({("pybootd.leases", "memory"), ("pybootd.sources", "http")}, same)
        self.assertNotIn(("pybootd.access", "mac"), same)

    def plugin(self, service: object = None) -> None:
        """A notifier of a third party is installed; it may have a service of its own."""

        def make(group: str, name: str, context: Context) -> object:
            if name != "lamp":
                return registry.provider(group, name, context)
            if service is not None:
                context.attach(service)  # type: ignore[arg-type]
            self.lamps.append(Lamp(context))
            return self.lamps[-1]

        def third_party(group: str) -> Sequence[str]:
            return ["lamp"] if group == "pybootd.notifiers" else []

        self.patch(shared, "provider", make)
        self.patch(shared, "third_party", third_party)
        self.patch(shared, "chosen", lambda group, config: [one for one in third_party(group) if one in config.plugins])

    def test_notifiers(self) -> None:
        """A plugin that hears of what happens is made anew; the old one is closed, and nothing is heard twice."""
        self.plugin()
        server = self.serve(self.read(0, "[lamp]\nword = a\n"))
        self.turn(server, self.read(0, "[lamp]\nword = b\n"))
        server.shared.bus.publish(Seen(0.0, "m", None, "DISCOVER", Firmware.PXE, 0, None, "eth0"))
        first, second = self.lamps
        self.assertEqual((first.closed, len(first.heard), second.word, len(second.heard)), (True, 0, "b", 1))
        self.turn(server, self.read())
        self.assertTrue(second.closed)

    def test_plugin_with_a_service(self) -> None:
        """A plugin with a service of its own stays while its section does; else a restart is needed, and said."""
        self.plugin(Service())
        server = self.serve(self.read(0, "[lamp]\nword = a\n"))
        self.turn(server, self.read(1, "[lamp]\nword = a\n"))
        self.assertEqual(len(self.lamps), 1)
        error = self.assertRaises(EnvironmentProblem, server.prepare, self.read(1, "[lamp]\nword = b\n"))
        self.assertIn("needs a restart", str(error))

    def test_interfaces(self) -> None:
        """The host's addresses are looked at again: the server's own may be another by now."""
        server = self.serve(self.read())
        self.host(Interface("eth0", 5, MAC, (IPv4Interface("10.0.0.9/24"),)))
        self.turn(server, self.read())
        service = self.part(server, "dhcp")
        assert isinstance(service, DhcpService)
        (network,) = service._settings.networks
        self.assertEqual((network.interface, network.server), (5, int(IPv4Interface("10.0.0.9/24"))))

    def dhcp(self, server: BootServer) -> DhcpService:
        """The service that gives addresses."""
        service = self.part(server, "dhcp")
        assert isinstance(service, DhcpService)
        return service

    def test_another_address(self) -> None:
        """Where an interface gets another address, or comes back as another one, it is served as such."""
        service = self.dhcp(self.serve(self.read()))
        for index, address in ((2, "10.0.0.9/24"), (7, "10.0.0.9/24"), (7, "10.0.0.1/16")):
            self.host(Interface("eth0", index, MAC, (IPv4Interface(address),)))
            service._look_at_interfaces()
            (network,) = service._settings.networks
            self.assertEqual((network.interface, network.server), (index, int(IPv4Interface(address).ip)))

    def test_no_address(self) -> None:
        """Where no interface is on the network that is served, it is said once, and all stays until one is again."""
        service = self.dhcp(self.serve(self.read()))
        lines: list[str] = []
        self.patch(service, "log", Logger("test", observer=lambda event: lines.append(event["log_level"].name)))
        settings = service._settings
        self.host(Interface("lo", 1, b"", (IPv4Interface("127.0.0.1/8"),)))
        service._look_at_interfaces()
        service._look_at_interfaces()
        self.assertIs(service._settings, settings)
        self.assertEqual(lines, ["error"])
        self.host(Interface("eth0", 9, MAC, (IPv4Interface("10.0.0.1/24"),)))
        service._look_at_interfaces()
        self.assertEqual(service._settings.networks[0].interface, 9)

    def test_clock(self) -> None:
        """Where the host's clock is set, leases end as many seconds from now as before, on record too."""
        service = self.dhcp(self.serve(self.read()))
        dhcp, written = service._dhcp, []
        assert dhcp is not None
        lease = Lease(int(IPv4Interface("10.0.0.100").ip), MAC, State.BOUND, 1_000_100.0)
        dhcp.table.record(lease)
        wall = 1_000_000.0
        service._clock = Steady(lambda: wall, self.clock.seconds)
        self.patch(service._store, "commit", lambda claims: succeed([not written.append(one) for one in claims]))
        for step in (-999_000.0, 1e9, 2.0):
            wall += step + LOOK
            self.clock.advance(LOOK)
        self.clock.advance(0)
        self.assertEqual([one.lease.expires for one in written], [1100.0, 1100.0 + 1e9])
        self.assertEqual([one.expires for one in dhcp.table], [1100.0 + 1e9])
