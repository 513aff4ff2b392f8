"""Notifications by UDP, byte for byte."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.events import Declined, Leased, Released
from pybootd.interfaces import INotifier
from pybootd.notify.udp import UdpNotifier, datagram
from tests.support.net import FakeSocket

MAC, ADDRESS = "aa:bb:cc:dd:ee:0f", IPv4Address("10.77.0.100")
PRINTED = "77AABBCC-1122-3344-5566-778899AABBCC"


def leased(boot: bool, uuid: UUID | None = None) -> Leased:
    return Leased(1.0, MAC, ADDRESS, uuid, boot, "x", "node", 2.0)


class DatagramTests(SynchronousTestCase):
    """What listeners are told."""

    def test_boot(self) -> None:
        """A machine that boots has its address."""
        expected = f"BOOT,{PRINTED},AA:BB:CC:DD:EE:0F,10.77.0.100".encode()
        self.assertEqual(datagram(leased(True, UUID(PRINTED))), expected)

    def test_lease(self) -> None:
        """So has a simple one; a UUID that is not known is left out with its comma."""
        self.assertEqual(datagram(leased(False)), b"LEASE,AA:BB:CC:DD:EE:0F,10.77.0.100")

    def test_release(self) -> None:
        """An address is given back."""
        self.assertEqual(datagram(Released(1.0, MAC, ADDRESS, None)), b"RELEASE,AA:BB:CC:DD:EE:0F,10.77.0.100")

    def test_others(self) -> None:
        """Of anything else they hear nothing."""
        self.assertIsNone(datagram(Declined(1.0, MAC, ADDRESS)))


class NotifierTests(SynchronousTestCase):
    """Who is told."""

    def setUp(self) -> None:
        self.socket = FakeSocket()
        self.notifier = UdpNotifier([("10.77.0.9", 9999), ("10.77.0.8", 9998)], self.socket)

    def test_interface(self) -> None:
        """It is a notifier."""
        verifyObject(INotifier, self.notifier)

    def test_everybody(self) -> None:
        """Each listener is sent the datagram."""
        self.notifier.notify(leased(True))
        self.notifier.notify(Declined(1.0, MAC, ADDRESS))
        self.assertEqual([address for _, address in self.socket.sent], [("10.77.0.9", 9999), ("10.77.0.8", 9998)])

    def test_lost(self) -> None:
        """A listener that cannot be reached harms nothing."""
        self.socket.failing = OSError(errno.ENETUNREACH, "Network is unreachable")
        self.notifier.notify(leased(True))

    def test_close(self) -> None:
        """Nothing is pending when the server stops."""
        self.successResultOf(self.notifier.close())
        self.assertTrue(self.socket.closed)
