"""Sockets that systemd opened."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from pybootd.errors import EnvironmentProblem
from pybootd.net import inherited as module
from pybootd.net.inherited import inherited, sockets
from pybootd.net.tcp import bind_tcp
from pybootd.net.udp import bind_udp

WHAT = "pybootd.ini:3: [bootpd] port"


class SocketsTests(SynchronousTestCase):
    """What the environment says."""

    def found(self, **environ: str) -> tuple[list[socket.socket], dict[str, str]]:
        return list(sockets(environ, 42)), environ

    def test_none(self) -> None:
        """Without the variables there are none; nor for another process, nor where they say nonsense."""
        for environ in ({}, {"LISTEN_PID": "41", "LISTEN_FDS": "1"}, {"LISTEN_PID": "42", "LISTEN_FDS": "1_0"}):
            self.assertEqual(self.found(**environ), ([], {}), environ)

    def test_some(self) -> None:
        """Each descriptor from 3 on that is a socket; a child sees the variables no longer."""
        one, two = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        self.addCleanup(one.close)
        self.addCleanup(two.close)
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        self.addCleanup(os.close, reader)
        first = min(one.fileno(), two.fileno(), reader)
        self.patch(module, "FIRST", first)
        copies, environ = self.found(
            LISTEN_PID="42", LISTEN_FDS=str(max(one.fileno(), two.fileno(), writer) - first + 1), LISTEN_FDNAMES="a"
        )
        kinds = {copy.fileno(): copy.type for copy in copies}
        for copy in copies:
            copy.detach()
        self.assertEqual((kinds[one.fileno()], kinds[two.fileno()]), (socket.SOCK_DGRAM, socket.SOCK_STREAM))
        self.assertNotIn(writer, kinds)
        self.assertEqual(environ, {})


CHILD = """
import socket
import twisted.internet.endpoints
from pybootd.net.inherited import inherited
print(inherited(socket.SOCK_DGRAM, %d, "x").fileno())
"""


class ProcessTests(SynchronousTestCase):
    """A process that was really begun with sockets."""

    def test_after_twisted(self) -> None:
        """They are found though Twisted has taken the variables away (on Linux, where systemd is)."""
        if not Path("/proc/self/environ").exists():
            return
        given = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(given.close)
        given.bind(("127.0.0.1", 0))
        begin = f'exec 3<&{given.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -c "$1"'
        command = ["/bin/bash", "-c", begin, sys.executable, CHILD % given.getsockname()[1]]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            command, pass_fds=[given.fileno()], env=environ, capture_output=True, text=True, check=False
        )
        self.assertEqual(done.stdout, "3\n", done.stderr)


class InheritedTests(SynchronousTestCase):
    """The port that is wanted among those that were handed over."""

    def give(self, kind: socket.SocketKind) -> tuple[socket.socket, int]:
        sock = socket.socket(socket.AF_INET, kind)
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        self.patch(module, "_given", lambda: (sock,))
        return sock, sock.getsockname()[1]

    def test_udp(self) -> None:
        """A UDP port is taken as it is."""
        sock, port = self.give(socket.SOCK_DGRAM)
        self.assertIs(bind_udp("0.0.0.0", port, WHAT), sock)
        self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST))

    def test_tcp(self) -> None:
        """So is a TCP port."""
        sock, port = self.give(socket.SOCK_STREAM)
        sock.listen()
        self.assertIs(bind_tcp("0.0.0.0", port, WHAT), sock)
        self.assertFalse(sock.getblocking())

    def test_another_port(self) -> None:
        """Another port, or the same one of the other protocol, is not it."""
        _, port = self.give(socket.SOCK_DGRAM)
        self.assertIsNone(inherited(socket.SOCK_DGRAM, port ^ 1, WHAT))
        self.assertIsNone(inherited(socket.SOCK_STREAM, port, WHAT))

    def test_other_family(self) -> None:
        """A socket for IPv6 would not tell what DHCP needs to know: the message says what the unit must say."""
        foreign = SimpleNamespace(  # a host need not have IPv6 to run this
            family=socket.AF_INET6, type=socket.SOCK_DGRAM, getsockname=lambda: ("::", 67, 0, 0)
        )
        self.patch(module, "_given", lambda: (foreign,))
        problem = self.assertRaises(EnvironmentProblem, inherited, socket.SOCK_DGRAM, 67, WHAT)
        self.assertIn("0.0.0.0:67", str(problem))
