"""The event stream as lines that a person reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from math import inf
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, LogPublisher, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd import events
from pybootd.interfaces import INotifier
from pybootd.machine import Firmware
from pybootd.notify.log import DELAY, REPEATS, TOGETHER, EventLog

MAC = "52:54:00:12:34:56"
ADDRESS = IPv4Address("10.77.0.100")


def seen(mac: str = MAC, message: str = "DISCOVER") -> events.Seen:
    return events.Seen(1.0, mac, None, message, Firmware.PXE, 7, None, "eth1")


def leased(**fields: Any) -> events.Leased:
    about: dict[str, Any] = {"uuid": None, "boot": True, "boot_file": "", "hostname": "", "expires": 86401.0, **fields}
    return events.Leased(1.0, MAC, ADDRESS, **about)


def begun(size: int | None, transfer: int = 1, name: str = "bootx64.efi") -> events.TransferBegun:
    return events.TransferBegun(1.0, MAC, ADDRESS, "tftp", transfer, name, "/srv/x", size, "blksize 1468, windowsize 4")


def failed(probe: bool = False, transfer: int = 1, sent: int = 20_000) -> events.TransferFailed:
    return events.TransferFailed(1.0, MAC, ADDRESS, "tftp", transfer, "x", sent, "the client fell silent", probe)


class LogCase(SynchronousTestCase):
    """An event log whose lines the test reads."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.records: list[dict[str, Any]] = []
        self.made()

    def made(self, **options: Any) -> None:
        self.log = EventLog(self.clock.callLater, self.clock.seconds, **options)
        self.log.log = Logger("pybootd", observer=LogPublisher(self.records.append))

    def lines(self, *told: events.Event) -> list[str]:
        """The lines that these events make."""
        self.records.clear()
        for event in told:
            self.log.notify(event)
        while self.clock.getDelayedCalls():
            self.clock.advance(DELAY)
        return [formatEvent(record).removeprefix(f"{MAC} ") for record in self.records]


class LineTests(LogCase):
    """What a line says."""

    def test_interface(self) -> None:
        """It is a notifier."""
        verifyObject(INotifier, self.log)

    def test_asks(self) -> None:
        """A machine asks: what it is, and where."""
        self.assertEqual(self.lines(seen()), ["DISCOVER: PXE, x64-uefi, on eth1"])
        system = events.Seen(1.0, MAC, None, "BOOTP", Firmware.UNKNOWN, None, None, "")
        self.assertEqual(self.lines(system), ["BOOTP: unknown"])

    def test_is_answered(self) -> None:
        """It is offered an address and leases it, with its boot file."""
        offered = events.Offered(1.0, MAC, ADDRESS, "bootx64.efi")
        told = self.lines(offered, leased(boot_file="bootx64.efi"), leased())
        self.assertEqual(
            told,
            [
                "offered 10.77.0.100, boot file bootx64.efi",
                "leased 10.77.0.100 for 1 day, boot file bootx64.efi",
                "leased 10.77.0.100 for 1 day",
            ],
        )

    def test_proxy(self) -> None:
        """A proxy offers no address."""
        self.assertEqual(
            self.lines(events.Offered(1.0, MAC, None, "x.efi")), ["told its boot file by proxy, boot file x.efi"]
        )

    def test_durations(self) -> None:
        """How long a lease lasts, in a unit that fits."""
        for seconds, text in ((45, "45 seconds"), (60, "1 minute"), (5400, "1.5 hours"), (172800, "2 days")):
            self.assertEqual(self.lines(leased(expires=1.0 + seconds)), [f"leased 10.77.0.100 for {text}"])
        for expires in (inf, 1.0 + 0xFFFFFFFF):
            self.assertEqual(self.lines(leased(expires=expires)), ["leased 10.77.0.100 for ever"])

    def test_is_refused(self) -> None:
        """It is refused or ignored: why, and which line of the configuration says so."""
        setting = "pybootd.ini:14: [mac] 52-54-00-12-34-56"
        told = self.lines(
            events.Ignored(1.0, MAC, None, "DISCOVER", "[mac] blocks it", setting),
            events.Refused(1.0, MAC, None, "REQUEST", "the address is taken", ""),
        )
        self.assertEqual(
            told, [f"DISCOVER ignored: [mac] blocks it ({setting})", "REQUEST refused: the address is taken"]
        )

    def test_fetches(self) -> None:
        """A long transfer has two lines, a short one its last; blocks that were lost are told."""
        ended = events.TransferEnded(2.0, MAC, ADDRESS, "tftp", 1, "bootx64.efi", 1_300_000, 0.12, 0)
        self.assertEqual(
            self.lines(begun(1_300_000), ended),
            [
                "fetching bootx64.efi by TFTP (1.3 MB, blksize 1468, windowsize 4)",
                "has bootx64.efi: 1.3 MB by TFTP in 0.1 s",
            ],
        )
        short = events.TransferEnded(2.0, MAC, ADDRESS, "http", 2, "x", 900, 0.0, 3)
        self.assertEqual(self.lines(begun(900, 2), short), ["has x: 900 bytes by HTTP in 0.0 s, 3 blocks sent again"])
        self.assertEqual(self.lines(begun(None, 3)), ["fetching bootx64.efi by TFTP (blksize 1468, windowsize 4)"])

    def test_fails(self) -> None:
        """A transfer that failed is a warning."""
        self.assertEqual(self.lines(failed()), ["did not get x: the client fell silent (after 20 kB)"])
        self.assertIs(self.records[0]["log_level"], LogLevel.warn)

    def test_probe(self) -> None:
        """A client that only wanted to know a file's size has no line at all."""
        self.assertEqual(self.lines(begun(5_000_000), failed(probe=True)), [])

    def test_addresses(self) -> None:
        """Addresses that are given back, in use elsewhere, or answering before they are given."""
        told = self.lines(
            events.Released(1.0, MAC, ADDRESS, None),
            events.Declined(1.0, MAC, ADDRESS),
            events.Conflict(1.0, "", ADDRESS),
        )
        self.assertEqual(told[0], "released 10.77.0.100")
        self.assertIn("declined 10.77.0.100", told[1])
        self.assertIn("10.77.0.100 answers already", told[2])

    def test_nobody(self) -> None:
        """A request without a hardware address is somebody's."""
        told = self.lines(events.Ignored(1.0, "", None, "DISCOVER", "0 bytes is no Ethernet", ""))
        self.assertEqual(told, ["somebody: DISCOVER ignored: 0 bytes is no Ethernet"])

    def test_hostile_names(self) -> None:
        """What a client sent forges no line."""
        [told] = self.lines(begun(None, name="a\n52:54:00:00:00:01 leased\x1b[2J"))
        self.assertTrue(told.isprintable(), told)

    def test_fields(self) -> None:
        """Programs that read the log have the machine in fields of its own."""
        self.lines(seen(), leased())
        self.assertEqual({record["mac"] for record in self.records}, {MAC})
        self.assertEqual([record["address"] for record in self.records], [None, str(ADDRESS)])


class LevelTests(LogCase):
    """What is worth a line."""

    def test_info(self) -> None:
        """By default REQUESTs, short files and names that are not there have none."""
        missing = events.FileMissing(1.0, MAC, ADDRESS, "tftp", "x", "no such file")
        self.assertEqual(self.lines(seen(message="REQUEST (selecting)"), begun(900), missing), [])

    def missing(self, name: str) -> events.FileMissing:
        """A name that is not there."""
        return events.FileMissing(1.0, MAC, ADDRESS, "tftp", name, "no such file")

    def test_no_boot_file(self) -> None:
        """The one that the machine was told has a line, in whatever way it is written; a few times, not always."""
        told = leased(boot_file="boot/x.efi")
        expected = "did not get its boot file boot/x.efi: no such file; put it below [tftpd] root, or name another one"
        self.assertEqual(self.lines(told, self.missing("y.efi"), self.missing("boot/x.efi"))[1:], [expected])
        self.assertEqual(self.records[-1]["log_level"], LogLevel.warn)
        self.assertIn("did not get", self.lines(self.missing("\\boot\\x.efi"))[0])
        self.assertIn("did not get", self.lines(leased(boot_file="http://10.0.0.1/z.efi"), self.missing("/z.efi"))[1])
        self.assertEqual(len(self.lines(*[self.missing("z.efi")] * 10)), REPEATS)

    def test_forgotten(self) -> None:
        """So many machines are known, the latest ones."""
        self.made(clients=1)
        other = events.Offered(1.0, "52:54:00:12:34:99", None, "y")
        self.assertEqual(len(self.lines(leased(boot_file="x"), other, self.missing("x"))), 2)

    def test_debug(self) -> None:
        """With C{-d} they have."""
        self.made(level=LogLevel.debug)
        missing = events.FileMissing(1.0, MAC, ADDRESS, "tftp", "x", "no such file")
        asked = self.lines(seen(message="REQUEST (selecting)"), begun(900), failed(probe=True, transfer=2), missing)
        self.assertEqual(len(asked), 4)

    def test_warning(self) -> None:
        """Of lines below the level nothing is even made."""
        self.made(level=LogLevel.warn)
        self.assertEqual(len(self.lines(seen(), failed())), 1)

    def test_other_events(self) -> None:
        """Progress has no line."""
        self.made(level=LogLevel.debug)
        self.assertEqual(self.lines(events.TransferProgress(1.0, MAC, ADDRESS, 1, 5)), [])


class FloodTests(LogCase):
    """Nobody can drown the log, nor hold the server up with it."""

    def test_off_the_path(self) -> None:
        """Nothing is written when an event happens."""
        self.log.notify(seen())
        self.assertEqual(self.records, [])
        self.clock.advance(DELAY)
        self.assertEqual(len(self.records), 1)

    def test_a_few_at_a_time(self) -> None:
        """A storm's lines are written in portions, in their order."""
        for number in range(3 * TOGETHER):
            self.log.notify(seen(f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}"))
        for portion in (1, 2, 3):
            self.clock.advance(DELAY)
            self.assertEqual(len(self.records), portion * TOGETHER)
        self.assertEqual([record["mac"] for record in self.records], sorted(record["mac"] for record in self.records))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_repeats(self) -> None:
        """A machine that asks for ever, and is ignored for ever, has a few lines in a minute."""
        ignored = events.Ignored(1.0, MAC, None, "DISCOVER", "[mac] blocks it", "")
        self.assertEqual(len(self.lines(*[seen(), ignored] * 10)), 2 * REPEATS)
        self.clock.advance(60)
        self.assertEqual(len(self.lines(seen(), ignored)), 2)

    def test_one_client(self) -> None:
        """What one client provokes is cut off; what is left out is counted; others have their lines."""
        self.made(lines_per_client=5)
        told = self.lines(*[failed()] * 17, seen("52:54:00:00:00:01"))
        self.assertEqual(len(told), 7)
        self.assertIn("12", told[-1])
        self.assertIn("52:54:00:00:00:01 DISCOVER", told[-2])

    def test_too_many(self) -> None:
        """More than can wait is counted, not kept."""
        self.made(waiting=10)
        told = self.lines(*(seen(f"52:54:00:00:00:{number:02x}") for number in range(15)))
        self.assertEqual(len(told), 11)
        self.assertIn("5", told[-1])

    def test_together(self) -> None:
        """The lines of a moment are logged within one block, so that they can be written at once."""
        blocks: list[int] = []

        @contextmanager
        def together() -> Iterator[None]:
            before = len(self.records)
            yield
            blocks.append(len(self.records) - before)

        self.made(together=together)
        self.lines(seen(), leased(), begun(None))
        self.assertEqual(blocks, [3])

    def test_close(self) -> None:
        """A server that stops writes what waits."""
        self.log.notify(seen())
        self.successResultOf(self.log.close())
        self.assertEqual(len(self.records), 1)
        self.clock.advance(DELAY)
        self.assertEqual(len(self.records), 1)


class InVainTests(LogCase):
    """Transfers that never began."""

    def test_repeated(self) -> None:
        """A file that cannot be had is said a few times; one that broke off, each time."""
        in_vain = [failed(sent=0) for _ in range(20)]
        self.assertEqual(len(self.lines(*in_vain)), REPEATS)
        self.assertEqual(len(self.lines(*[failed(sent=9) for _ in range(20)])), 20)
