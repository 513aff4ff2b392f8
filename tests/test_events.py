"""The bus on which everything that happens to a machine is told."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from math import inf
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from pybootd.events import KINDS, Bus, Event, Leased, Seen, plain, record
from pybootd.machine import Firmware

EVENT = Event(1.0, "52:54:00:00:00:0a", None)


class BusTests(SynchronousTestCase):
    """L{Bus} hands each event to everybody, whatever one of them does."""

    def test_everybody_hears(self) -> None:
        """Each subscriber gets each event."""
        bus = Bus()
        first, second = record(bus), record(bus)
        bus.publish(EVENT)
        self.assertEqual((first, second), ([EVENT], [EVENT]))

    def test_nobody_listens(self) -> None:
        """A bus says whether anybody would hear."""
        bus = Bus()
        self.assertFalse(bus.listening)
        leave = bus.subscribe(lambda event: None)
        self.assertTrue(bus.listening)
        leave()
        self.assertFalse(bus.listening)

    def test_one_raises(self) -> None:
        """A subscriber that raises is reported; the others hear all the same, and it hears the next one too."""
        reported = []
        bus = Bus(report=reported.append)

        def broken(event: Event) -> None:
            raise ValueError("broken")

        bus.subscribe(broken)
        heard = record(bus)
        bus.publish(EVENT)
        bus.publish(EVENT)
        self.assertEqual(heard, [EVENT, EVENT])
        self.assertEqual(reported, [broken, broken])

    def test_unsubscribes_while_told(self) -> None:
        """A subscriber may leave while an event is being told; the others still hear it."""
        bus = Bus()
        heard: list[Event] = []

        def once(event: Event) -> None:
            leave()

        leave = bus.subscribe(once)
        bus.subscribe(heard.append)
        bus.publish(EVENT)
        bus.publish(EVENT)
        self.assertEqual(heard, [EVENT, EVENT])


class PlainTests(SynchronousTestCase):
    """Events as programs outside know them."""

    def test_names(self) -> None:
        """Every kind has a name of its own."""
        self.assertEqual(len(KINDS), 14)
        self.assertLessEqual({"leased", "file_asked", "transfer_begun"}, set(KINDS))

    def test_fields(self) -> None:
        """Addresses, UUIDs and firmware are text, what ends never is null, and all of it is JSON."""
        uuid = UUID("77aabbcc-1122-3344-5566-778899aabbcc")
        leased = Leased(1.5, "52:54:00:00:00:0a", IPv4Address("10.77.0.100"), uuid, True, "x.efi", "node", inf)
        self.assertEqual(
            json.loads(json.dumps(plain(leased))),
            {
                "event": "leased",
                "time": 1.5,
                "mac": "52:54:00:00:00:0a",
                "address": "10.77.0.100",
                "uuid": "77aabbcc-1122-3344-5566-778899aabbcc",
                "boot": True,
                "boot_file": "x.efi",
                "hostname": "node",
                "expires": None,
            },
        )
        seen = Seen(1.5, "52:54:00:00:00:0a", None, "DISCOVER", Firmware.IPXE, 7, None, "eth0")
        self.assertEqual((plain(seen)["firmware"], plain(seen)["address"]), ("iPXE", None))
