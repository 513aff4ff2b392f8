"""The next boot of a machine: told once, then the usual again."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.decision import Decision, MessageType
from pybootd.dhcp.facts import ALLOWED, Facts
from pybootd.dhcp.once import LIMIT, Once
from pybootd.dhcp.policy import decide
from pybootd.interfaces import Verdict
from tests.support.dhcp import (
    ACK,
    BIOS,
    DISCOVER,
    INFORM,
    IPXE,
    MAC,
    OTHER,
    REQUEST,
    SYSTEM,
    UEFI,
    UEFI_HTTP,
    request,
    settings,
)  # fmt: skip
from tests.support.server import Sent, Server, mac

REST = "[bootfile]\ndefault = pxelinux.0\nx64-uefi = grub.efi\n[tftpd]\nroot = /srv\n"
PROXY = "[bootpd]\nmode = proxy\ninterface = eth0\n" + REST
SIMPLE = "[bootpd]\nallow_simple_dhcp = yes\npool_start = 10.0.0.100\n" + REST
HOST = "[host 52-54-00-00-00-01]\nbootfile = own.0\n"


class List:
    """Orders in memory."""

    def __init__(self, file: str = "") -> None:
        """@param file: for the machine."""
        self.orders = {MAC: file}
        self.finished: list[bytes] = []

    def of(self, key: bytes) -> str:
        """The file, if it was not given yet."""
        return self.orders.get(key, "")

    def done(self, key: bytes) -> None:
        """It was given."""
        self.finished.append(key)
        self.orders.pop(key, None)


class ChoiceTests(SynchronousTestCase):
    """What is chosen, and what the trace says."""

    def decide(self, options: dict[int, bytes], file: str, extra: str = "", **facts: object) -> Decision:
        """Decide about a DISCOVER of a machine with this order."""
        given = Facts(0.0, ALLOWED, candidate=0x0A000064, next_boot=file)
        for name, value in facts.items():
            setattr(given, name, value)
        return decide(request(DISCOVER, options), settings(extra=extra), given)

    def test_first(self) -> None:
        """It comes before [host], the access server's word and [bootfile]; the trace says so."""
        for extra in ("", HOST):
            decision = self.decide(BIOS, "rescue.0", extra, verdict=Verdict(True, "", boot_file="named.0"))
            self.assertEqual(decision.replies[0].boot_file, "rescue.0")
            self.assertTrue(decision.next_boot)
            steps = [(step.rule, step.outcome) for step in decision.trace]
            self.assertIn(("next boot", "rescue.0, this time only"), steps)

    def test_usual(self) -> None:
        """Without an order nothing is said of it."""
        decision = self.decide(BIOS, "")
        self.assertEqual((decision.replies[0].boot_file, decision.next_boot), ("pxelinux.0", False))
        self.assertNotIn("next boot", [step.rule for step in decision.trace])

    def test_url(self) -> None:
        """A ROM that cannot use a URL gets the usual, and the iPXE that this is gets the URL."""
        decision = self.decide(BIOS, "http://h/rescue.ipxe")
        self.assertEqual((decision.replies[0].boot_file, decision.next_boot), ("pxelinux.0", False))
        steps = {step.rule: step.outcome for step in decision.trace}
        self.assertEqual(
            steps["next boot"], "its firmware loads by TFTP and cannot use http://h/rescue.ipxe; it stays in order"
        )
        decision = self.decide(IPXE, "http://h/rescue.ipxe")
        self.assertEqual((decision.replies[0].boot_file, decision.next_boot), ("http://h/rescue.ipxe", True))

    def test_name_by_http(self) -> None:
        """UEFI that loads by HTTP is given a whole URL."""
        decision = self.decide(UEFI_HTTP, "rescue.efi")
        self.assertEqual((decision.replies[0].boot_file, decision.next_boot), ("http://10.0.0.1/rescue.efi", True))

    def test_loader_of_its_own(self) -> None:
        """An iPXE in the ROM asks first: it is told the file too, though there is a script for iPXE."""
        self.assertEqual(self.decide(IPXE, "rescue.0").replies[0].boot_file, "rescue.0")

    def test_refused(self) -> None:
        """An order is no permission."""
        decision = self.decide(BIOS, "rescue.0", verdict=Verdict(False, "not in the list"))
        self.assertEqual((decision.replies, decision.next_boot), ((), False))


class LifeTests(SynchronousTestCase):
    """Whole boots."""

    def server(self, text: str = "", file: str = "rescue.0") -> tuple[Server, List]:
        """A server with an order for the machine."""
        orders = List(file)
        return (Server(text, orders=orders) if text else Server(orders=orders)), orders

    def files(self, sent: Sequence[Sent]) -> list[str]:
        """The boot files in these answers."""
        return [one.file.decode() for one in sent]

    def test_once(self) -> None:
        """OFFER and ACK name it; the next boot is the usual one."""
        server, orders = self.server()
        (offer,) = server.say(DISCOVER, BIOS, xid=1)
        self.assertEqual((offer.file, orders.finished), (b"rescue.0", []))
        (ack,) = server.take(offer, BIOS, xid=1)
        self.assertEqual((ack.kind, ack.file, orders.finished), (ACK, b"rescue.0", [MAC]))
        self.assertEqual(server.obtain(BIOS, xid=2).file, b"pxelinux.0")
        self.assertEqual(orders.finished, [MAC])

    def test_lost_ack(self) -> None:
        """The same REQUEST again gets the same answer; a minute later it does not."""
        server, orders = self.server()
        (offer,) = server.say(DISCOVER, BIOS, xid=1)
        for _ in range(3):
            server.clock.advance(4)
            self.assertEqual(self.files(server.take(offer, BIOS, xid=1)), ["rescue.0"])
        self.assertEqual(orders.finished, [MAC])
        server.clock.advance(61)
        self.assertEqual(self.files(server.take(offer, BIOS, xid=1)), ["pxelinux.0"])

    def test_unfinished(self) -> None:
        """A machine that was switched off after the OFFER is told it again."""
        server, orders = self.server()
        for xid in (1, 2):
            self.assertEqual(self.files(server.say(DISCOVER, BIOS, xid=xid)), ["rescue.0"])
        self.assertEqual(orders.finished, [])

    def test_others(self) -> None:
        """Other machines, and the machine's own operating system, do not use it up."""
        server, orders = self.server()
        server.obtain(BIOS, mac=OTHER)
        server.say(DISCOVER, BIOS)
        server.obtain(SYSTEM)
        self.assertEqual(orders.finished, [])

    def test_next_order(self) -> None:
        """A new order counts at once, even right after the last."""
        server, orders = self.server()
        server.obtain(BIOS, xid=1)
        orders.orders[MAC] = "memtest.0"
        self.assertEqual(server.obtain(BIOS, xid=2).file, b"memtest.0")

    def test_chain(self) -> None:
        """A URL waits for the iPXE that the ROM is given."""
        server, orders = self.server(file="http://h/rescue.ipxe")
        self.assertEqual(server.obtain(BIOS, xid=1).file, b"pxelinux.0")
        self.assertEqual(orders.finished, [])
        self.assertEqual(server.obtain(IPXE, xid=2).file, b"http://h/rescue.ipxe")
        self.assertEqual(orders.finished, [MAC])
        self.assertEqual(server.obtain(IPXE, xid=3).file, b"http://10.0.0.1/boot.ipxe")

    def test_bootp(self) -> None:
        """A BOOTP reply is all that such a machine gets."""
        server, orders = self.server(SIMPLE)
        self.assertEqual(self.files(server.say(None, xid=1)), ["rescue.0"])
        self.assertEqual(orders.finished, [MAC])

    def test_inform(self) -> None:
        """An INFORM that is answered with it uses it up, too."""
        server, orders = self.server()
        server.say(INFORM, UEFI, ciaddr="10.0.0.7", source=("10.0.0.7", 68))
        self.assertEqual(orders.finished, [MAC])

    def test_log(self) -> None:
        """The log says so, once."""
        lines: list[str] = []

        def observe(event: LogEvent) -> None:
            lines.append(formatEvent(event))

        server, _ = self.server()
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        (offer,) = server.say(DISCOVER, BIOS, xid=1)
        for _ in range(2):
            server.take(offer, BIOS, xid=1)
        self.assertEqual(lines, ["52:54:00:00:00:01 boots rescue.0, this time only"])

    def test_boot_server(self) -> None:
        """Beside another server: the ACK of port 4011 uses it up."""
        server, orders = self.server(PROXY)
        server.say(DISCOVER, UEFI, xid=1)
        ends = {"ciaddr": "10.0.0.50", "source": ("10.0.0.50", 4011), "to": "10.0.0.1", "port": 4011}
        (ack,) = server.say(REQUEST, UEFI, xid=9, **ends)  # type: ignore[arg-type]
        self.assertEqual((ack.file, orders.finished), (b"rescue.0", [MAC]))
        self.assertEqual(self.files(server.say(DISCOVER, UEFI, xid=2))[0], "grub.efi")

    def test_proxy_offer(self) -> None:
        """Where the OFFER was all that it needed: when it comes again, having taken its address."""
        server, orders = self.server(PROXY)
        chosen = {**BIOS, 50: b"\x0a\0\0\x32", 54: b"\x0a\0\0\xfe"}
        self.assertIn("rescue.0", self.files(server.say(DISCOVER, BIOS, xid=1)))
        server.say(REQUEST, chosen, xid=1)
        self.assertEqual(orders.finished, [])
        self.assertIn("pxelinux.0", self.files(server.say(DISCOVER, BIOS, xid=2)))
        self.assertEqual(orders.finished, [MAC])
        self.assertIn("pxelinux.0", self.files(server.say(DISCOVER, BIOS, xid=3)))


class OnceTests(SynchronousTestCase):
    """L{Once} itself."""

    def test_bounded(self) -> None:
        """It remembers so many machines, and forgets the oldest."""
        once = Once(List())
        for index in range(LIMIT + 5):
            once.told(mac(index), request(DISCOVER, BIOS), MessageType.ACK, "x", 0.0)
        self.assertEqual(once.file(mac(0), request(DISCOVER, BIOS), 1.0), "")
        self.assertEqual(once.file(mac(LIMIT), request(DISCOVER, BIOS), 1.0), "x")
