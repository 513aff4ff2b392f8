"""A listening socket, on the loopback interface."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from pybootd.errors import EnvironmentProblem
from pybootd.net.tcp import bind_tcp

WHAT = "pybootd.ini:9: [httpd] port"


class BindTests(SynchronousTestCase):
    """It listens, or says why not."""

    def test_listens(self) -> None:
        """A client can connect before anybody accepts."""
        sock = bind_tcp("127.0.0.1", 0, WHAT)
        self.addCleanup(sock.close)
        self.assertFalse(sock.getblocking())
        client = socket.create_connection(sock.getsockname(), 5)
        client.close()

    def test_taken(self) -> None:
        """A port that is taken is found."""
        sock = bind_tcp("127.0.0.1", 0, WHAT)
        self.addCleanup(sock.close)
        port = sock.getsockname()[1]
        problem = self.assertRaises(EnvironmentProblem, bind_tcp, "127.0.0.1", port, WHAT)
        self.assertIn(f"{WHAT}: port {port} (TCP) is taken", str(problem))
