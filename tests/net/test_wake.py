"""Wake-on-LAN."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from pybootd.net import wake
from tests.support.dhcp import MAC


class WakeTests(SynchronousTestCase):
    """The magic packet."""

    def test_magic(self) -> None:
        """102 bytes, as adapters look for them."""
        self.assertEqual(wake.magic(MAC), b"\xff" * 6 + bytes.fromhex("525400000001") * 16)
        self.assertEqual(len(wake.magic(MAC)), 102)

    def test_sent(self) -> None:
        """It leaves by the interface that was asked for, more than once."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(5)
            self.patch(wake, "PORT", sock.getsockname()[1])
            wake.wake(MAC, IPv4Address("127.0.0.1"), socket.if_nametoindex("lo"))
            self.assertEqual([sock.recv(200) for _ in range(wake.TIMES)], [wake.magic(MAC)] * wake.TIMES)

    def test_refused(self) -> None:
        """An interface that is not there is an error of the system's."""
        self.assertRaises(OSError, wake.wake, MAC, IPv4Address("127.0.0.1"), 0x7FFFFFF)
