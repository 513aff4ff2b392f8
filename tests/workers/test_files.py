"""HTTP bodies in a worker."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.local import LocalFiles
from pybootd.http import sendfile
from pybootd.http.sendfile import Pump
from pybootd.workers.files import PROGRESS, FileSender
from pybootd.workers.messages import Ended, Progress, Report, SendFile
from tests.support.tree import open_descriptors
from tests.support.workers import Reactor

DATA = os.urandom(1 << 20) * 4


def now(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    """In a thread, if there were any."""
    return succeed(function(*arguments))


class FileSenderTests(SynchronousTestCase):
    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))
        self.addCleanup(lambda: self.assertEqual(Pump.active, 0))
        self.reactor = Reactor()
        self.reports: list[Report] = []
        self.sender = FileSender(self.reactor, LocalFiles(), self.reports.append, now)
        self.addCleanup(self.sender.close)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "file"
        self.path.write_bytes(DATA)

    def begin(self, begin: int = 0, end: int = len(DATA)) -> socket.socket:
        """What the main process hands over; the client's end of the connection."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.addCleanup(theirs.close)
        self.sender.begin(SendFile(7, begin, end), (ours.detach(), os.open(self.path, os.O_RDONLY)))
        return theirs

    def receive(self, client: socket.socket, wanted: int) -> bytes:
        received = b""
        while len(received) < wanted:
            self.reactor.advance(PROGRESS / 10)
            try:
                received += client.recv(1 << 20)
            except BlockingIOError:
                self.reactor.turn()
        return received

    def test_part(self) -> None:
        """The part arrives, no more and no less, and its end is told."""
        self.path.write_bytes(DATA[:100_000])
        client = self.begin(10, 90_000)
        self.assertEqual(self.receive(client, 89_990), DATA[10:90_000])
        self.assertEqual(self.reports, [Ended(7, 89_990, "")])

    def test_progress(self) -> None:
        """What has left is told now and then."""
        client = self.begin()
        self.receive(client, len(DATA))
        *reports, end = self.reports
        self.assertEqual(end, Ended(7, len(DATA), ""))
        self.assertTrue(reports)
        self.assertTrue(all(isinstance(one, Progress) and 0 < one.sent < len(DATA) for one in reports), reports)

    def test_distant(self) -> None:
        """A connection does not block, in no process, when a thread has sent a file of another host on it."""
        self.patch(sendfile, "is_cached", lambda *part: False)
        self.patch(sendfile, "is_distant_file", lambda file: True)
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        ours.setblocking(False)
        theirs.settimeout(5)
        self.sender.begin(SendFile(7, 0, 5000), (os.dup(ours.fileno()), os.open(self.path, os.O_RDONLY)))
        self.assertEqual(theirs.recv(9999), DATA[:5000])
        self.assertEqual(self.reports, [Ended(7, 5000, "")])
        self.assertFalse(os.get_blocking(ours.fileno()))

    def test_gone(self) -> None:
        """A client that goes away is told."""
        self.begin().close()
        self.reactor.turn()
        [end] = self.reports
        self.assertEqual(end.failure, "The client went away")

    def test_drop(self) -> None:
        """One that is dropped is silent from then on."""
        self.begin()
        self.sender.drop(7)
        self.sender.drop(7)
        self.assertEqual((self.reports, self.reactor.writers), ([], []))
